//! What a supervisor is notified of: that the server is ready, reloads, ends, and is alive. systemd
//! alone asks for it, by `NOTIFY_SOCKET` and `WATCHDOG_USEC`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Shared;

/// How often each worker's loop has turned.
#[derive(Debug)]
pub(crate) struct Turns(Vec<AtomicU64>);

impl Turns {
    /// The number of a worker that has ended.
    const ENDED: u64 = u64::MAX;

    pub(crate) fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| AtomicU64::new(0)).collect())
    }

    /// The loop of `worker` has turned.
    pub(crate) fn turned(&self, worker: usize) {
        self.0[worker].fetch_add(1, Ordering::Relaxed);
    }

    /// `worker` has ended, and the others go on.
    pub(crate) fn retire(&self, worker: usize) {
        self.0[worker].store(Self::ENDED, Ordering::Relaxed);
    }

    /// Whether every worker's loop has turned since the last call with the same `seen`, or has
    /// ended.
    #[cfg_attr(
        all(not(target_os = "linux"), not(test)),
        expect(dead_code, reason = "only systemd asks for it")
    )]
    fn all_turned(&self, seen: &mut Vec<u64>) -> bool {
        let now: Vec<_> = self.0.iter().map(|turns| turns.load(Ordering::Relaxed)).collect();
        let stands =
            now.iter().zip(seen.iter()).any(|(now, seen)| now == seen && *now != Self::ENDED);
        if !stands {
            *seen = now;
        }
        !stands
    }
}

#[cfg(target_os = "linux")]
mod systemd {
    use std::sync::Weak;
    use std::thread;

    use sd_notify::NotifyState;

    use super::{Arc, Shared};
    use crate::service::events::What;
    use crate::stderr::record::Level;

    /// Notifies the supervisor, if there is one; a failure is no reason to end.
    pub(super) fn tell(states: &[NotifyState<'_>]) {
        let _ = sd_notify::notify(states);
    }

    /// Feeds the watchdog as long as all workers' loops turn.
    pub(super) fn start_watchdog(shared: &Arc<Shared>) {
        let Some(limit) = sd_notify::watchdog_enabled() else { return };
        let events = shared.events.clone();
        let shared: Weak<Shared> = Arc::downgrade(shared);
        let spawned = thread::Builder::new().name("watchdog".to_owned()).spawn(move || {
            let mut seen = Vec::new();
            while let Some(shared) = shared.upgrade() {
                if shared.turns.all_turned(&mut seen) {
                    tell(&[NotifyState::Watchdog]);
                }
                drop(shared);
                // Half of it is what sd_watchdog_enabled(3) recommends; a loop that stalled briefly
                // gets a second look within the limit.
                thread::sleep(limit / 4);
            }
        });
        if let Err(error) = spawned {
            let text = format!("the supervisor's watchdog will not be fed: {error}");
            events.tell(What::Notice(Level::Warn, text));
        }
    }
}

/// Notifies the supervisor that sleds are served, and feeds its watchdog from now on.
pub(super) fn ready(shared: &Arc<Shared>) {
    #[cfg(target_os = "linux")]
    {
        systemd::tell(&[sd_notify::NotifyState::Ready]);
        systemd::start_watchdog(shared);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = shared;
}

/// Notifies the supervisor that the server ends.
pub(super) fn stopping() {
    #[cfg(target_os = "linux")]
    systemd::tell(&[sd_notify::NotifyState::Stopping]);
}

/// Notifies the supervisor that the configuration is read again while `reload` runs.
pub(super) fn reloading(reload: impl FnOnce()) {
    #[cfg(target_os = "linux")]
    if let Ok(now) = sd_notify::NotifyState::monotonic_usec_now() {
        systemd::tell(&[sd_notify::NotifyState::Reloading, now]);
    }
    reload();
    #[cfg(target_os = "linux")]
    systemd::tell(&[sd_notify::NotifyState::Ready]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_loop_that_stands_is_enough_and_one_that_has_ended_does_not_count() {
        let turns = Turns::new(2);
        let mut seen = Vec::new();
        assert!(turns.all_turned(&mut seen));
        assert!(!turns.all_turned(&mut seen));
        turns.turned(0);
        assert!(!turns.all_turned(&mut seen));
        turns.turned(1);
        assert!(turns.all_turned(&mut seen));
        turns.retire(1);
        turns.turned(0);
        assert!(turns.all_turned(&mut seen));
        turns.turned(0);
        assert!(turns.all_turned(&mut seen));
        assert!(!turns.all_turned(&mut seen));
    }
}
