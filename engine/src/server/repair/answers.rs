//! How long a sled takes to answer.

use std::time::Duration;

use super::console::Console;

/// How long a sled takes from the last frame of a batch to its next READ.
#[derive(Debug)]
pub(super) struct Answers {
    /// Smoothed mean, and mean deviation from it.
    pub(super) smoothed: Option<(Duration, Duration)>,
    /// The least of the last few hundred: what the way takes when nothing waits on it.
    pub(super) least: Duration,
    /// The least since `counted` was zero, which takes the place of `least` in the end.
    least_since: Duration,
    pub(super) counted: u32,
    /// Answers since a repair.
    calm: u32,
    /// The least time beyond the mean that a sled is given.
    margin: Duration,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            smoothed: None,
            least: Self::UNKNOWN,
            least_since: Self::UNKNOWN,
            counted: 0,
            calm: 0,
            margin: Self::MARGIN.1,
        }
    }
}

impl Answers {
    /// Before a sled has answered once, nothing is known about the way to it.
    const UNKNOWN: Duration = Duration::from_millis(20);
    /// Above this, the sled's own timer is faster.
    const MOST: Duration = Duration::from_millis(800);
    /// The least and the most for a sled that answers as it usually does, by what it costs to be
    /// hasty. Where a machine at either end was busy and looked like a lost frame, more is
    /// allowed.
    const MARGIN: (Duration, Duration) = (Duration::from_micros(10), Duration::from_micros(250));
    /// The same for one that has not answered a few batches.
    const FIRST_MARGIN: (Duration, Duration) =
        (Duration::from_micros(250), Duration::from_millis(2));
    const MOST_MARGIN: Duration = Duration::from_millis(8);
    /// How many needless frames cost as much as is allowed: usually, at first, and at most.
    const HASTE: u32 = 16;
    const FIRST_HASTE: u32 = 32;
    const MOST_HASTE: u32 = 16;
    /// An answer that is no later than this is hardly late.
    const HARDLY: Duration = Duration::from_micros(400);

    /// Answers after which the least is forgotten: the way may have changed.
    const MEMORY: u32 = 512;
    const FEW: u32 = 4;
    const MANY: u32 = 16;

    /// How long to wait for an answer, of a sled that a needless frame costs so much: where that is
    /// little, there is less reason to wait.
    pub(super) fn patience(&self, cost: Duration) -> Duration {
        let (mean, deviation) = self.smoothed.unwrap_or((Self::UNKNOWN, Duration::ZERO));
        let first = if self.is_settled() {
            Duration::ZERO
        } else {
            by_cost(cost, Self::FIRST_HASTE, Self::FIRST_MARGIN)
        };
        let most = if cost <= Console::CHEAP { Self::MOST_HASTE * cost } else { Self::MOST };
        let usual = (4 * deviation).min(most);
        (mean + usual.max(self.margin).max(first)).min(Self::MOST)
    }

    /// Whether a few answers have been counted.
    fn is_settled(&self) -> bool {
        self.counted >= Self::FEW
    }

    /// A repair was begun in vain: the answer was on its way.
    pub(super) fn too_hasty(&mut self) {
        self.margin = (self.margin * 2).min(Self::MOST_MARGIN);
    }

    /// A repair was needed.
    pub(super) fn not_too_hasty(&mut self, cost: Duration) {
        self.margin = (self.margin * 3 / 4).max(by_cost(cost, Self::HASTE, Self::MARGIN));
    }

    /// How much later than it may be expected an answer is that took `time`, if that is known.
    pub(super) fn late(&self, time: Duration) -> Option<Duration> {
        let (mean, deviation) = self.smoothed?;
        let steady = self.calm >= Self::MANY && deviation < mean / 8;
        let usual = time.saturating_sub(mean.saturating_sub(2 * deviation));
        let most = time.saturating_sub(self.least);
        // Where it is hardly late at all, there was nothing in the way of the answers before.
        Some(if steady || self.is_settled() && most < Self::HARDLY { usual } else { most })
    }

    /// Whether an answer can't have come so soon. What answered an OFFER may have come late.
    pub(super) fn rule_out(&self, soon: Duration) -> bool {
        self.counted > 0 && self.least < Self::UNKNOWN && soon < self.least / 2
    }

    /// An answer took no longer than this, but nobody knows how long.
    pub(super) fn learn_most(&mut self, most: Duration, cost: Duration) {
        self.calm = 0;
        // It answers one frame, and so comes sooner than the answer to a batch would: to believe
        // it is to be hasty, which is right only where nothing is known, or where it must not be
        // that each batch is waited for too long.
        let stays = |(mean, _)| mean <= most || self.counted > 0 && cost <= Console::CHEAP;
        if !self.smoothed.is_some_and(stays) {
            self.smoothed = Some((most, Duration::ZERO));
            self.least = self.least.min(most);
            self.least_since = self.least_since.min(most);
        }
    }

    pub(super) fn learn(&mut self, sample: Duration) {
        let Some((mean, deviation)) = self.smoothed.filter(|_| self.counted > 0) else {
            self.smoothed = Some((sample, sample / 4));
            self.least = self.least.min(sample);
            self.least_since = self.least_since.min(sample);
            self.counted = 1;
            return;
        };
        let error = sample.abs_diff(mean);
        self.smoothed = Some(((mean * 7 + sample) / 8, (deviation * 3 + error) / 4));
        self.least = self.least.min(sample);
        self.least_since = self.least_since.min(sample);
        self.counted += 1;
        self.calm = self.calm.saturating_add(1);
        if self.counted == Self::MEMORY {
            self.least = self.least_since;
            (self.least_since, self.counted) = (sample, Self::FEW);
        }
    }
}

/// What so many needless frames cost, within limits.
fn by_cost(cost: Duration, frames: u32, (least, most): (Duration, Duration)) -> Duration {
    (cost * frames).clamp(least, most)
}
