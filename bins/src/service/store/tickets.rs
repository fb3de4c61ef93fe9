//! Looks at the files, as tickets: workers ask for them, and learn when they are done.

use super::atomic::{AtomicBool, AtomicU64, Ordering};

/// Tickets for looks, counted up.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    asked: AtomicU64,
    done: AtomicU64,
    /// Whether the keeper has been woken and has not taken the tickets yet.
    woken: AtomicBool,
}

impl Tickets {
    /// Asks for a look. Returns its number, and whether the keeper has to be woken for it.
    pub(crate) fn ask(&self) -> (u64, bool) {
        let ticket = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        (ticket, !self.woken.swap(true, Ordering::AcqRel))
    }

    /// The last ticket. Asking from here on wakes the keeper again.
    pub(crate) fn take(&self) -> u64 {
        // A plain store could be reordered after the load: a request in between would neither wake
        // the keeper nor be seen.
        self.woken.swap(false, Ordering::AcqRel);
        self.asked.load(Ordering::Acquire)
    }

    /// All looks up to `ticket` are done.
    pub(crate) fn finish(&self, ticket: u64) {
        self.done.fetch_max(ticket, Ordering::AcqRel);
    }

    /// Whether the look `ticket` is done.
    pub(crate) fn is_done(&self, ticket: u64) -> bool {
        self.done.load(Ordering::Acquire) >= ticket
    }
}
