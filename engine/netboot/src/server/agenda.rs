//! When something has to be done for which sled.

use super::order::Order;
use super::table::SledId;
use crate::time::Instant;

/// One moment per sled, in order.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    moments: Order<Instant>,
}

impl Agenda {
    /// Something has to be done for `sled` at `due` and not before; or nothing.
    pub(super) fn note(&mut self, sled: SledId, due: Option<Instant>) {
        self.moments.note(sled, due);
    }

    /// Takes the first sled whose moment has come at `now`.
    pub(super) fn next(&mut self, now: Instant) -> Option<SledId> {
        let (_, sled) = self.moments.first().filter(|(due, _)| *due <= now)?;
        self.note(sled, None);
        Some(sled)
    }

    /// When the next moment comes.
    pub(super) fn due(&self) -> Option<Instant> {
        self.moments.first().map(|(due, _)| due)
    }
}
