//! A sled's turn.

use boot_format::wire::{MacAddr, Read};

use super::Sled;
use crate::batch::Batch;
use crate::server::send::push_data;
use crate::server::turns::Turns;
use crate::time::Instant;

/// A sled that is sent some of what it has asked for. That does not change when it needs attention,
/// so it is not rescheduled after each turn.
#[derive(Debug)]
pub(in crate::server) struct Turn<'s>(&'s mut Sled);

impl<'s> Turn<'s> {
    pub(in crate::server) fn of(sled: &'s mut Sled) -> Self {
        Self(sled)
    }

    /// Appends a few DATA frames from `source` to `batch`, which are handed to the link after
    /// `released` others. Returns how many.
    pub(in crate::server) fn send(
        &mut self,
        now: Instant,
        source: MacAddr,
        released: u64,
        batch: &mut Batch,
    ) -> usize {
        let Self(sled) = self;
        let due = cfg!(debug_assertions).then(|| sled.due(false));
        let mut frames = 0;
        while frames < Turns::QUANTUM
            && batch.room() > 0
            && let Some(offset) = sled.asked.next()
        {
            push_data(sled, source, offset, batch);
            frames += 1;
        }
        sled.sent(now, frames, released);
        debug_assert_eq!(due, Some(sled.due(false)), "a turn has changed what is planned");
        frames
    }

    /// Whether it has asked for more.
    pub(in crate::server) fn is_pending(&self) -> bool {
        self.0.asked.is_pending()
    }

    /// Whether it was sent more than a READ can ask for, unacknowledged: no sled asks for more
    /// before it has everything that it asked for.
    pub(in crate::server) fn is_absurd(&self) -> bool {
        self.0.batch.is_some_and(|batch| batch.frames > Read::MAX_ENTRIES as u64)
    }
}
