//! Looks at files that workers ask for, and how these learn that one is done.

use super::atomic::{AtomicBool, AtomicU64, Ordering};

/// Looks that were asked for; each is a number, which counts up.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    asked: AtomicU64,
    done: AtomicU64,
    /// Whether somebody wakes the keeper, who has not taken what is asked since.
    woken: AtomicBool,
}

impl Tickets {
    /// Asks for a look. Returns its number, and whether the keeper has to be woken for it.
    pub(crate) fn ask(&self) -> (u64, bool) {
        let ticket = self.asked.fetch_add(1, Ordering::AcqRel) + 1;
        (ticket, !self.woken.swap(true, Ordering::AcqRel))
    }

    /// The last look that was asked for. Whoever asks from here on wakes the keeper again.
    pub(crate) fn take(&self) -> u64 {
        // A mere store could come after the load: whoever asks in between would wake nobody, and
        // not be seen either.
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
