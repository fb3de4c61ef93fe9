//! How fast to retransmit: at the pace at which the sled drops what it does not need.

use std::collections::VecDeque;
use std::time::Duration;

/// The time between two retransmits to one sled.
///
/// What a dropped frame costs a sled can't be known, but its answers bound it. A sled that goes on
/// `took` after the first of `sent` retransmits, and whose next answer, to a batch that needed
/// none, comes `then` later, has dropped them all by then: so one costs (took + then) / sent at
/// most, and took / sent at least. The first is a delivery rate as BBR measures it
/// (draft-cardwell-iccrg-bbr-congestion-control, section 4.1), and is used in the same way: the
/// best of the last rounds counts; at the start each round tries almost three times the rate until that gains
/// nothing; from then on one round in eight tries a quarter more.
#[derive(Clone, Debug)]
pub(super) struct Spacing {
    gap: Duration,
    /// What a dropped frame cost at most, in the last rounds.
    costs: VecDeque<Duration>,
    /// Rounds of the start that gained nothing; or none, after the start.
    starting: Option<u32>,
    /// Rounds since the start.
    rounds: usize,
    repair: Option<Repair>,
}

/// A repair whose cost is not known until the next batch is answered.
#[derive(Clone, Copy, Debug)]
struct Repair {
    took: Duration,
    sent: u32,
}

impl Spacing {
    /// More than a console line usually costs (150 us, and up to 210 us with what a scheduler
    /// adds, measured on a model of a sled over veth).
    const START: Duration = Duration::from_micros(250);
    /// A DATA frame on a wire of 1 Gbit/s.
    const LEAST: Duration = Duration::from_nanos(8656);
    /// Twice the slowest console that is reckoned with, 1,000 us a line.
    const MOST: Duration = Duration::from_millis(2);
    /// BBR: the gain of the start, 2 / ln 2.
    const STARTUP: f64 = 2.885;
    /// BBR: a gain of less than a quarter is none, and so many rounds without one end the start.
    const GROWTH: f64 = 1.25;
    const NO_GAIN: u32 = 2;
    /// BBR: the gain with which one round in a cycle probes, the rounds of a cycle, and those of
    /// which the best counts.
    const PROBE: f64 = 1.25;
    const CYCLE: usize = 8;
    /// Fewer retransmits than an eighth of a batch tell little: a late answer weighs as much.
    const TELLING: u32 = 16;

    /// The time to leave after each retransmit.
    pub(super) fn gap(&self) -> Duration {
        self.gap
    }

    /// The most that a dropped frame costs the sled, as far as is known.
    pub(super) fn cost(&self) -> Duration {
        self.costs.iter().min().copied().unwrap_or(Self::START)
    }

    /// Whether that has been measured.
    pub(super) fn is_measured(&self) -> bool {
        !self.costs.is_empty()
    }

    /// The sled went on `took` after the first of `sent` retransmits.
    pub(super) fn repaired(&mut self, took: Duration, sent: u32) {
        self.repair = Some(Repair { took, sent });
        let least = took / sent.max(1);
        if least > self.cost().mul_f64(Self::GROWTH) {
            // It has become dearer, or was never measured.
            self.costs.clear();
            self.costs.push_back(least);
            self.starting = None;
            self.set(least);
        }
    }

    /// The next batch needed a repair too: nobody knows when the sled had dropped all of the last.
    pub(super) fn forget(&mut self) {
        self.repair = None;
    }

    /// The next batch was answered `then` later, without repair.
    pub(super) fn settle(&mut self, then: Duration) {
        let Some(Repair { took, sent }) = self.repair.take().filter(|r| r.sent >= Self::TELLING)
        else {
            return;
        };
        let before = self.cost();
        let cost = (took + then) / sent;
        if self.costs.len() == Self::CYCLE {
            self.costs.pop_front();
        }
        self.costs.push_back(cost);
        if let Some(vain) = &mut self.starting {
            *vain = if cost.mul_f64(Self::GROWTH) <= before { 0 } else { *vain + 1 };
            if *vain < Self::NO_GAIN {
                return self.set(self.cost().div_f64(Self::STARTUP));
            }
            self.starting = None;
        }
        self.rounds += 1;
        let probes = self.rounds.is_multiple_of(Self::CYCLE);
        self.set(self.cost().div_f64(if probes { Self::PROBE } else { 1.0 }));
    }

    fn set(&mut self, gap: Duration) {
        self.gap = gap.clamp(Self::LEAST, Self::MOST);
    }
}

impl Default for Spacing {
    fn default() -> Self {
        Self {
            gap: Self::START,
            costs: VecDeque::new(),
            starting: Some(0),
            rounds: 0,
            repair: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Repairs of a sled to which a frame costs this much; the lost frame is anywhere, and a batch
    /// is on its way for a millisecond.
    fn repairs(spacing: &mut Spacing, cost: Duration, count: usize) {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..count {
            let (gap, wanted) = (spacing.gap(), random.u32(1..=128));
            let took = cost.max(gap) * wanted;
            let sent = ((took.as_secs_f64() / gap.as_secs_f64()) as u32).clamp(wanted, 128);
            spacing.repaired(took, sent);
            spacing.settle((sent * cost).saturating_sub(took).max(Duration::from_millis(1)));
        }
    }

    #[test]
    fn the_gap_becomes_what_a_frame_costs() {
        for us in [50, 150, 300, 1000] {
            let mut spacing = Spacing::default();
            let cost = Duration::from_micros(us);
            repairs(&mut spacing, cost, 32);
            let gap = spacing.gap();
            assert!((cost.mul_f64(0.75)..cost.mul_f64(1.3)).contains(&gap), "{us}: {gap:?}");
        }
    }

    #[test]
    fn one_late_answer_does_not_count() {
        let mut spacing = Spacing::default();
        repairs(&mut spacing, Duration::from_micros(150), 30);
        let cost = spacing.cost();
        spacing.repaired(64 * cost, 64);
        spacing.settle(Duration::from_millis(20));
        assert_eq!(spacing.cost(), cost);
    }

    #[test]
    fn a_sled_that_becomes_slower_is_spared_at_once() {
        let mut spacing = Spacing::default();
        repairs(&mut spacing, Duration::from_micros(20), 30);
        spacing.repaired(Duration::from_millis(128), 128);
        assert_eq!(spacing.gap(), Duration::from_millis(1));
    }
}
