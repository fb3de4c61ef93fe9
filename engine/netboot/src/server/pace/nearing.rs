//! How a rate is raised again that had been too high.

use std::time::Duration;

use crate::time::Instant;

/// A rate that nears one that was too high, ever more slowly, and then leaves it behind, ever
/// faster: a cubic in time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Nearing {
    pub(super) low: f64,
    pub(super) high: f64,
    /// The rate that was too high.
    pub(super) bad: f64,
    /// The time that it takes to come near the high rate, and how many times the least that is.
    period: Duration,
    pub(super) times: u32,
    /// Time in which frames were sent at that pace, of which a last answer told.
    passed: Duration,
    answered: Instant,
}

impl Nearing {
    /// A period is the time of so many frames, so that answers tell in time, and twice as long
    /// each time that the high rate is found to be too high again.
    const FRAMES: f64 = 16_384.0;
    const SHORTEST: f64 = 1.0;
    const LONGEST: Duration = Duration::from_secs(8);
    /// The low rate is no more than this share of the high one.
    pub(super) const LOW: f64 = 0.93;
    /// Low and high, as shares of a rate that was too high by nobody knows how much.
    const UNSURE: (f64, f64) = (0.7, 0.85);
    /// And this share of the last, where that was too high.
    pub(super) const LOWER: f64 = 0.75;

    /// Its period is `times` as long as the least.
    pub(super) fn new(now: Instant, times: u32, low: f64, high: f64) -> Self {
        let period = Duration::from_secs_f64((Self::FRAMES / high).max(Self::SHORTEST)) * times;
        let period = period.min(Self::LONGEST);
        let low = low.min(high * Self::LOW);
        Self { low, high, bad: high, period, times, passed: Duration::ZERO, answered: now }
    }

    /// Near a rate that nothing speaks against: it takes a tenth of the time.
    pub(super) fn quick(now: Instant, rate: f64) -> Self {
        let nearing = Self::new(now, 1, rate, rate);
        Self { period: nearing.period / 10, ..nearing }
    }

    /// After a rate that was too high, nobody knows by how much.
    pub(super) fn unsure(now: Instant, bad: f64) -> Self {
        let (low, high) = Self::UNSURE;
        Self { bad, ..Self::new(now, 1, bad * low, bad * high) }
    }

    /// The same, with time counted from `now` on.
    pub(super) fn from(self, now: Instant) -> Self {
        Self { answered: now, ..self }
    }

    /// An answer came at `now`, to a batch that was sent `at_pace` or more slowly. While nothing
    /// is sent at the pace, no time passes that would make a higher one likely.
    pub(super) fn answered(&mut self, now: Instant, at_pace: bool) -> f64 {
        if at_pace {
            self.passed += now.since(self.answered);
        }
        self.answered = now;
        let periods = self.passed.as_secs_f64() / self.period.as_secs_f64();
        self.low.max(self.high + (self.high - self.low) * (periods - 1.0).powi(3))
    }
}
