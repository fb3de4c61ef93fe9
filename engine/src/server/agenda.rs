//! When something has to be done for which sled.

use std::collections::BTreeSet;

use super::table::SledId;
use crate::time::Instant;

/// One moment per sled, in order.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    entries: BTreeSet<(Instant, SledId)>,
    /// By [`SledId::index`].
    noted: Vec<Option<Instant>>,
}

impl Agenda {
    /// Something has to be done for `sled` at `due` and not before; or nothing.
    pub(super) fn note(&mut self, sled: SledId, due: Option<Instant>) {
        if self.noted.len() <= sled.index() {
            self.noted.resize(sled.index() + 1, None);
        }
        let noted = std::mem::replace(&mut self.noted[sled.index()], due);
        if noted == due {
            return;
        }
        if let Some(noted) = noted {
            self.entries.remove(&(noted, sled));
        }
        if let Some(due) = due {
            self.entries.insert((due, sled));
        }
    }

    /// Takes the first sled whose moment has come at `now`.
    pub(super) fn next(&mut self, now: Instant) -> Option<SledId> {
        let &(_, sled) = self.entries.first().filter(|(due, _)| *due <= now)?;
        self.note(sled, None);
        Some(sled)
    }

    /// When the next moment comes.
    pub(super) fn due(&self) -> Option<Instant> {
        self.entries.first().map(|&(due, _)| due)
    }
}
