//! What evicting a session would lose.

use std::time::Duration;

use super::{Sled, Stage};
use crate::server::admission::Rank;
use crate::time::Instant;

/// What evicting a session would lose, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::server) enum Loss {
    /// Nothing: its boot is over.
    Nothing,
    /// A sled that waits for an offer, or has one: it says HELLO again.
    Hello(Rank),
    /// A boot that may be an invented sled's: it has not gone beyond its first batch.
    Beginning,
    /// A boot.
    Boot,
}

/// What a session is worth: what evicting it would lose, and when its sled was last heard.
pub(in crate::server) type Worth = (Loss, Instant);

impl Sled {
    /// Before that, a boot's speed can't be judged.
    const SPEED_SHOWS_AFTER: Duration = Duration::from_secs(3);

    /// Bytes per second of the boot under way, from its start; zero before it begins, however often
    /// it says HELLO.
    pub(in crate::server) fn speed(&self, now: Instant) -> Option<u64> {
        let time = now.since(self.started);
        let shows = time >= Self::SPEED_SHOWS_AFTER;
        shows.then(|| self.frontier.min(self.size()) / time.as_secs())
    }

    /// What evicting this session would lose: the least is evicted first.
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
