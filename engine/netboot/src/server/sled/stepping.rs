//! A sled as a possible member of a group.

use std::time::Duration;

use super::{Sled, Stage};
use crate::server::sent_batch::SentBatch;
use crate::time::Instant;

impl Sled {
    /// A sled that lacks something of its last batch asks for it within this time: its own timer,
    /// and how often it checks that.
    const ASKS_AGAIN_WITHIN: Duration = Duration::from_millis(1250);

    /// Whether it is in mid-boot at `now`, so that DATA frames for others are unwanted.
    pub(in crate::server) fn reads(&self, now: Instant) -> bool {
        let silent = now.since(self.heard.max(self.sent));
        let everything = self.has_had_everything();
        let patience = if everything { Self::ASKS_AGAIN_WITHIN } else { Self::STALLED_AFTER };
        self.stage == Stage::Reading && self.has_read && silent < patience
    }

    /// Whether it was offered an image for the first time and has not read from it. It may have said
    /// HELLO again before the OFFER reached it.
    pub(in crate::server) fn is_to_begin(&self) -> bool {
        let offered = self.stage == Stage::Offered && self.renewed;
        let again = self.stage == Stage::Waiting && self.offers.is_some();
        (offered || again) && self.boots.is_none()
    }

    /// It may have received everything before `first`, the first offset that it asks for, from
    /// batches broadcast to others; it asks for the `whole` of that batch, or for what it lacks.
    pub(in crate::server) fn rode(&mut self, first: u64, whole: bool) {
        let start = first - first % Self::BATCH;
        if start > self.frontier || start == self.frontier && !whole {
            self.frontier = if whole { start } else { start.saturating_add(Self::BATCH) };
        }
    }

    /// Bytes of its image that it has not asked for yet.
    pub(in crate::server) fn left(&self) -> u64 {
        self.size().saturating_sub(self.frontier)
    }

    /// Since when it has waited for an OFFER: its HELLO, or the offer that it refused.
    pub(in crate::server) fn waits_since(&self, now: Instant) -> Instant {
        if self.refused { self.offered } else { now }
    }

    /// Everything that it has asked for went out with a broadcast batch.
    pub(in crate::server) fn sent_in_step(&mut self, now: Instant, batch: SentBatch) {
        self.asked.send_all();
        self.frames += batch.frames;
        self.batch = Some(batch);
        self.draw(now, batch.frames);
    }
}
