//! The signals that a tool answers to.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1};
use signal_hook::flag;

/// Which signals have come since [`Signals::install`].
#[derive(Clone, Debug)]
pub struct Signals {
    interrupted: Arc<AtomicBool>,
    hangup: Arc<AtomicBool>,
    user: Arc<AtomicBool>,
}

impl Signals {
    /// Begins to note SIGINT, SIGTERM, SIGHUP and SIGUSR1. A second SIGINT or SIGTERM ends the process
    /// at once, in case nobody looks.
    ///
    /// # Errors
    ///
    /// If the system refuses a handler.
    pub fn install() -> io::Result<Self> {
        let signals =
            Self { interrupted: Arc::default(), hangup: Arc::default(), user: Arc::default() };
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_shutdown(signal, 130, Arc::clone(&signals.interrupted))?;
            flag::register(signal, Arc::clone(&signals.interrupted))?;
        }
        flag::register(SIGHUP, Arc::clone(&signals.hangup))?;
        flag::register(SIGUSR1, Arc::clone(&signals.user))?;
        Ok(signals)
    }

    /// Whether the run was interrupted.
    pub fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Acquire)
    }

    /// Whether any of them has come: for tools that a closed terminal ends as an interrupt does.
    pub fn stopped(&self) -> bool {
        self.interrupted() || self.hangup.load(Ordering::Acquire)
    }

    /// Fails if any of them has come.
    ///
    /// # Errors
    ///
    /// That it was interrupted.
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
