//! How long a sled takes to answer.

use std::time::Duration;

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
            margin: Self::LEAST_MARGIN,
        }
    }
}

impl Answers {
    /// Before a sled has answered once, nothing is known about the way to it.
    const UNKNOWN: Duration = Duration::from_millis(20);
    /// Above this, the sled's own timer is faster.
    const MOST: Duration = Duration::from_millis(800);
    /// Where a machine at either end was busy and looked like a lost frame, more is allowed.
    const LEAST_MARGIN: Duration = Duration::from_micros(250);
    /// More is allowed to a sled that has not answered a few batches.
    const FIRST_MARGIN: Duration = Duration::from_millis(2);
    const MOST_MARGIN: Duration = Duration::from_millis(8);

    /// Answers after which the least is forgotten: the way may have changed.
    const MEMORY: u32 = 512;
    const FEW: u32 = 4;
    const MANY: u32 = 16;

    pub(super) fn patience(&self) -> Duration {
        let (mean, deviation) = self.smoothed.unwrap_or((Self::UNKNOWN, Duration::ZERO));
        let first = if self.counted < Self::FEW { Self::FIRST_MARGIN } else { Duration::ZERO };
        (mean + (4 * deviation).max(self.margin).max(first)).min(Self::MOST)
    }

    /// A repair was begun in vain: the answer was on its way.
    pub(super) fn too_hasty(&mut self) {
        self.margin = (self.margin * 2).min(Self::MOST_MARGIN);
    }

    /// A repair was needed.
    pub(super) fn not_too_hasty(&mut self) {
        self.margin = (self.margin * 3 / 4).max(Self::LEAST_MARGIN);
    }

    /// How much later than it may be expected an answer is that took `time`, if that is known.
    pub(super) fn late(&self, time: Duration) -> Option<Duration> {
        let (mean, deviation) = self.smoothed.filter(|_| self.counted > 0)?;
        let steady = self.calm >= Self::MANY && deviation < mean / 8;
        let soonest = if steady { mean.saturating_sub(2 * deviation) } else { self.least };
        Some(time.saturating_sub(soonest))
    }

    /// Whether an answer can't have come so soon.
    pub(super) fn rule_out(&self, soon: Duration) -> bool {
        self.smoothed.is_some() && soon < self.least / 2
    }

    /// An answer took no longer than this, but nobody knows how long.
    pub(super) fn learn_most(&mut self, most: Duration) {
        self.calm = 0;
        if self.smoothed.is_none_or(|(mean, _)| mean > most) {
            self.smoothed = Some((most, Duration::ZERO));
            self.least = self.least.min(most);
            self.least_since = self.least_since.min(most);
        }
    }

    pub(super) fn learn(&mut self, sample: Duration) {
        let Some((mean, deviation)) = self.smoothed else {
            self.smoothed = Some((sample, sample / 2));
            (self.least, self.least_since) = (sample, sample);
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
