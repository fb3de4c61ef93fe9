//! What would be lost with a session.

use std::time::Duration;

use super::{Sled, Stage};
use crate::server::admission::Rank;
use crate::time::Instant;

/// What would be lost with a session, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::server) enum Loss {
    /// It is over: history.
    Nothing,
    /// A sled that waits for an offer, or was made one: it says HELLO again.
    Hello(Rank),
    /// A boot that may be an invented sled's: it has not gone on beyond its first batch.
    Beginning,
    /// A boot.
    Boot,
}

/// What a session is worth: what would be lost with it, and when its sled was heard last.
pub(in crate::server) type Worth = (Loss, Instant);

impl Sled {
    /// It is too early to say how fast a boot is that has gone on for less.
    const SPEED_SHOWS_AFTER: Duration = Duration::from_secs(3);

    /// Bytes per second of the boot that is under way, from its start; none of one that has not
    /// begun, however often it says HELLO.
    pub(in crate::server) fn speed(&self, now: Instant) -> Option<u64> {
        let time = now.since(self.started);
        let shows = time >= Self::SPEED_SHOWS_AFTER;
        shows.then(|| self.frontier.min(self.size()) / time.as_secs())
    }

    /// How much would be lost with this session: the least is evicted first.
    pub(in crate::server) fn worth(&self) -> Worth {
        let loss = match self.stage {
            Stage::Finished | Stage::Lost => Loss::Nothing,
            Stage::Waiting | Stage::Offered => Loss::Hello(self.rank),
            Stage::Reading if self.frontier <= Self::BATCH => Loss::Beginning,
            Stage::Reading => Loss::Boot,
        };
        (loss, self.heard)
    }
}
