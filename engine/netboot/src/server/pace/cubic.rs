//! How a rate rises again after it was too high.

use std::time::Duration;

use crate::time::Instant;

/// CUBIC (RFC 9438, section 4.2), applied to a rate: it approaches the rate that was too high ever
/// more slowly, then exceeds it ever faster.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Cubic {
    /// The rate that was too high: W_max.
    pub(super) high: f64,
    begun: Instant,
    /// The time until that rate is reached again: K.
    period: Duration,
}

impl Cubic {
    /// The share of the rate at which it begins. RFC 9438 begins at 0.7, so as to drain the
    /// queue; here [`super::Pacer::BETA`] has done that.
    const LOW: f64 = 0.93;
    /// The first period; it doubles each time the same rate is found too high. RFC 9438's K follows
    /// from a window, which a rate lacks.
    const SHORTEST: Duration = Duration::from_secs(1);
    const LONGEST: Duration = Duration::from_secs(8);
    /// Rates that differ by less count as the same.
    const SAME: f64 = 0.1;

    /// A cubic for the rate `high`, which was too high; `before` is the last one, if any.
    pub(super) fn new(now: Instant, high: f64, before: Option<Self>) -> Self {
        let same = |before: &Self| (high / before.high - 1.0).abs() < Self::SAME;
        let period = before.filter(same).map_or(Self::SHORTEST, |before| 2 * before.period);
        Self { high, begun: now, period: period.min(Self::LONGEST) }
    }

    /// The same cubic, started at `now`.
    pub(super) fn begin(self, now: Instant) -> Self {
        Self { begun: now, ..self }
    }

    /// The rate at `now`.
    pub(super) fn rate(&self, now: Instant) -> f64 {
        let periods = now.since(self.begun).as_secs_f64() / self.period.as_secs_f64();
        self.high * (1.0 + (1.0 - Self::LOW) * (periods - 1.0).powi(3))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_that_was_too_high_is_neared_slowly_and_left_behind() {
        let begun = Instant::ZERO + Duration::from_secs(5);
        let cubic = Cubic::new(begun, 1000.0, None);
        let rate = |ms| cubic.rate(begun + Duration::from_millis(ms));
        assert!((rate(0) - 930.0).abs() < 1e-6);
        assert!((rate(500) - 991.25).abs() < 1e-6);
        assert!((rate(1000) - 1000.0).abs() < 1e-6);
        assert!((rate(3000) - 1560.0).abs() < 1e-6);
    }

    #[test]
    fn a_rate_that_is_confirmed_is_tried_again_later_each_time() {
        let now = Instant::ZERO;
        let first = Cubic::new(now, 1000.0, None);
        let second = Cubic::new(now, 1050.0, Some(first));
        assert_eq!(second.period, 2 * first.period);
        let other = Cubic::new(now, 2000.0, Some(second));
        assert_eq!(other.period, first.period);
    }
}
