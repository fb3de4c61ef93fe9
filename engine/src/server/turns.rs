//! Whose frames go next.

use std::collections::VecDeque;

use super::table::SledId;

/// Sleds with something to send, in the order of their turns. A sled stands here once.
#[derive(Debug, Default)]
pub(super) struct Turns {
    ring: VecDeque<SledId>,
}

impl Turns {
    /// Frames that a sled may send in one turn. Small, so that a sled with little to ask for
    /// waits for a few frames of each other sled, not for their whole batches.
    pub(super) const QUANTUM: usize = 8;

    /// Gives a sled, which must not stand in line, a place at the end.
    pub(super) fn join(&mut self, sled: SledId) {
        self.ring.push_back(sled);
    }

    /// Takes the sled whose turn it is.
    pub(super) fn next(&mut self) -> Option<SledId> {
        self.ring.pop_front()
    }

    /// Takes a sled out of the line.
    pub(super) fn leave(&mut self, sled: SledId) {
        self.ring.retain(|&waiting| waiting != sled);
    }

    /// Whether nobody stands in line.
    pub(super) fn is_empty(&self) -> bool {
        self.ring.is_empty()
    }
}
