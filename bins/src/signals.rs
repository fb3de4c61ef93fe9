//! The signals that a tool answers to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::{iterator, low_level};

use crate::exit::Exit;

/// Which signals have come since [`Signals::install`].
#[derive(Clone, Debug, Default)]
pub struct Signals {
    interrupted: Arc<AtomicBool>,
    terminated: Arc<AtomicBool>,
    hangup: Arc<AtomicBool>,
    user: Arc<AtomicBool>,
}

/// Signals that are caught and not noted yet.
#[derive(Debug)]
pub struct Coming {
    coming: iterator::Signals,
    signals: Signals,
}

impl Coming {
    /// Notes those that have come and all that follow, on a thread of its own.
    ///
    /// # Errors
    ///
    /// If the system refuses the thread.
    pub fn start(mut self) -> io::Result<()> {
        thread::Builder::new().name("signals".to_owned()).spawn(move || {
            let mut first = None;
            for signal in &mut self.coming {
                self.signals.note(signal);
                let now = Instant::now();
                if matches!(signal, SIGINT | SIGTERM)
                    && now.duration_since(*first.get_or_insert(now)) >= Signals::AGAIN
                {
                    low_level::exit(Exit::of(signal) as i32);
                }
            }
        })?;
        Ok(())
    }
}

impl Signals {
    /// Begins to note SIGINT, SIGTERM, SIGHUP and SIGUSR1, on a thread of its own.
    ///
    /// If the first has no effect, another SIGINT or SIGTERM ends the process at once, but only
    /// from a second later on: a signal to a group and its leader comes twice.
    ///
    /// # Errors
    ///
    /// If the system refuses a handler or the thread.
    pub fn install() -> io::Result<Self> {
        let (signals, coming) = Self::catch()?;
        coming.start()?;
        Ok(signals)
    }

    /// Catches the same signals, which are noted as soon as [`Coming::start`] is called.
    ///
    /// # Errors
    ///
    /// If the system refuses a handler.
    pub fn catch() -> io::Result<(Self, Coming)> {
        let coming = iterator::Signals::new([SIGINT, SIGTERM, SIGHUP, SIGUSR1])?;
        let signals = Self::default();
        Ok((signals.clone(), Coming { coming, signals }))
    }

    /// Everything that a tool does before it ends takes less.
    const AGAIN: Duration = Duration::from_secs(1);

    fn note(&self, signal: i32) {
        let flag = match signal {
            SIGINT => &self.interrupted,
            SIGTERM => &self.terminated,
            SIGHUP => &self.hangup,
            _ => &self.user,
        };
        flag.store(true, Ordering::Release);
    }

    /// Whether SIGINT or SIGTERM has come.
    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire) || self.terminated()
    }

    /// Whether SIGTERM has come: the end of a service that is no longer wanted.
    pub fn terminated(&self) -> bool {
        self.terminated.load(Ordering::Acquire)
    }

    /// Whether any of them has come: for tools that a closed terminal ends as an interrupt does.
    pub fn stopped(&self) -> bool {
        self.interrupted() || self.hangup.load(Ordering::Acquire)
    }

    /// Fails if any of them has come.
    ///
    /// # Errors
    ///
    /// If the tool was interrupted.
    pub fn check(&self) -> anyhow::Result<()> {
        anyhow::ensure!(!self.stopped(), "interrupted");
        Ok(())
    }

    /// Whether SIGHUP has come since the last call.
    pub fn take_hangup(&self) -> bool {
        self.hangup.swap(false, Ordering::AcqRel)
    }

    /// Whether SIGUSR1 has come since the last call.
    pub fn take_user(&self) -> bool {
        self.user.swap(false, Ordering::AcqRel)
    }
}
