//! When each sled needs attention.

use super::order::Order;
use super::sled_id::SledId;
use crate::time::Instant;

/// One moment per sled, in order.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    moments: Order<Instant>,
}

impl Agenda {
    /// Sets when `sled` needs attention; `None` for never.
    pub(super) fn note(&mut self, sled: SledId, due: Option<Instant>) {
        self.moments.note(sled, due);
    }

    /// Takes the first sled that is due at `now`.
    pub(super) fn next(&mut self, now: Instant) -> Option<SledId> {
        let (_, sled) = self.moments.first().filter(|(due, _)| *due <= now)?;
        self.note(sled, None);
        Some(sled)
    }

    /// When `sled` needs attention.
    #[cfg(test)]
    pub(super) fn noted(&self, sled: SledId) -> Option<Instant> {
        self.moments.noted(sled)
    }

    /// When the next sled is due.
    pub(super) fn due(&self) -> Option<Instant> {
        self.moments.first().map(|(due, _)| due)
    }
}
