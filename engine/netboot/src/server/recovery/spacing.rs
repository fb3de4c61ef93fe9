//! How fast to retransmit: at the pace at which the sled drops unwanted frames.

use std::time::Duration;

/// The time between two retransmits to one sled.
///
/// What a dropped frame costs a sled can't be known, but its answers bound it. A sled that goes on
/// `took` after the first of `sent` retransmits, and whose next answer, to a batch that needed
/// none, comes `then` later, has dropped them all by then: one costs (took + then) / sent at most.
/// If that answer is later than an answer should be, the sled was busy dropping them, and one
/// costs that much, less an RTO, at least.
///
/// The first bound is a delivery rate as BBR measures it (draft-cardwell-iccrg-bbr-congestion-
/// control, section 4.1), and is used in the same way: at the start each round tries almost three
/// times the rate until that gains nothing; from then on one round in eight tries a quarter more.
///
/// A sled that is outrun answers each batch late, because it still drops earlier retransmits, and
/// draws more of them: no batch is answered without retransmits, so nothing is measured. The sign
/// is that its answers come only after a whole round. Then the gap is doubled, as a retransmission
/// timer is (RFC 6298, section 5.5), until there is a measurement (Karn's algorithm), and made
/// smaller again by answers within a round.
#[derive(Clone, Debug)]
pub(super) struct Spacing {
    gap: Duration,
    /// The estimated cost of a dropped frame.
    cost: Duration,
    /// Rounds without gain during the start; `None` after it.
    starting: Option<u32>,
    /// Rounds since the start.
    rounds: u32,
    /// Rounds in a row that showed a higher cost.
    dearer: u32,
    repair: Option<Repair>,
    /// The probability that all retransmits that should have been found in time were lost.
    chance: f64,
    /// The factor by which the gap is lengthened because retransmits seem to outrun the sled.
    backoff: f64,
}

/// A repair whose cost is known only when the next batch is answered.
#[derive(Clone, Copy, Debug)]
struct Repair {
    took: Duration,
    sent: u32,
    /// Whether other sleds' turns slowed them down.
    limited: bool,
}

impl Spacing {
    /// More than a console line usually costs (150 us, and up to 210 us with what a scheduler
    /// adds, measured on a model of a sled over veth).
    const START: Duration = Duration::from_micros(250);
    /// A DATA frame on a wire of 1 Gbit/s.
    const LEAST: Duration = Duration::from_nanos(8656);
    /// Twice the slowest console that is considered, 1,000 us a line.
    const MOST: Duration = Duration::from_millis(2);
    /// BBR: the gain of the start, 2 / ln 2.
    const STARTUP: f64 = 2.885;
    /// BBR: a gain of less than a quarter does not count, and this many rounds without one end the
    /// start.
    pub(super) const GROWTH: f64 = 1.25;
    const NO_GAIN: u32 = 2;
    /// BBR: the gain with which one round in a cycle probes, and the rounds of a cycle.
    const PROBE: f64 = 1.25;
    const CYCLE: u32 = 8;
    /// Fewer retransmits than an eighth of a batch say little: a late answer weighs as much.
    const TELLING: u32 = 16;
    /// One answer may be late by chance, two in a row rarely.
    const SURE: u32 = 2;
    /// What counts as more than chance: a choice. Where 1% is lost, it takes three retransmits in a
    /// row that were lost (2% each).
    const CHANCE: f64 = 1e-4;

    /// How likely it may be that a sled passes for faster than it is: a choice. At one in a thousand
    /// an answer would bound the cost at 2.9 gaps where 5% is lost (6.4 frames of a batch), which the
    /// start's gain does not reach.
    const UNLIKELY: f64 = 0.05;

    /// The time to leave after each retransmit.
    pub(super) fn gap(&self) -> Duration {
        self.gap.mul_f64(self.backoff).min(Self::MOST)
    }

    /// The estimated cost of a dropped frame.
    pub(super) fn cost(&self) -> Duration {
        self.cost.mul_f64(self.backoff).min(Self::MOST)
    }

    /// Whether the cost has been measured.
    pub(super) fn is_measured(&self) -> bool {
        self.cost != Self::START
    }

    /// The sled answered `took` after the first of `sent` retransmits, the last of which was `span`
    /// after the first; an answer alone takes up to `rto`.
    pub(super) fn repaired(&mut self, took: Duration, sent: u32, span: Duration, rto: Duration) {
        let limited = span > self.gap().mul_f64(Self::GROWTH) * sent.saturating_sub(1);
        self.repair = Some(Repair { took, sent, limited });
        let least = took.saturating_sub(rto) / sent.max(1);
        // The server waited as long again: the sled was busy all that time.
        if took > 2 * span + rto && sent >= Self::TELLING {
            self.raise(least);
        }
    }

    /// The next batch waited for other sleds, so this one may have dropped the retransmits long
    /// before.
    pub(super) fn waited(&mut self) {
        if let Some(repair) = &mut self.repair {
            repair.limited = true;
        }
    }

    /// A lost frame was found in time, or only well `after` the first round, which has the
    /// probability `again` that its retransmit was lost too. Returns whether it is more likely that
    /// the sled is too slow for the pace.
    pub(super) fn outran(&mut self, after: bool, again: f64) -> bool {
        if !after {
            self.chance = 1.0;
            self.backoff = (self.backoff / Self::GROWTH).max(1.0);
            return false;
        }
        self.chance *= again;
        let outran = self.chance < Self::CHANCE;
        if outran {
            self.chance = 1.0;
            self.backoff = (2.0 * self.backoff).min(Self::MOST.div_duration_f64(self.gap));
        }
        outran
    }

    /// A batch that had lost `lost` frames was answered within the first round of retransmits, or not;
    /// they went out every `gap`.
    ///
    /// Where every batch loses frames, no answer comes without retransmits. But the more were lost,
    /// the later in the round the last of them lies, and the less likely is it that a sled to which
    /// a frame costs more than the gap finds it within the round: with a cost of r gaps, r to the
    /// power of minus `lost`.
    pub(super) fn kept_pace(&mut self, within: bool, lost: f64, gap: Duration) {
        let sure = Self::UNLIKELY.powf(-1.0 / lost);
        // With fewer losses no answer could tell that a try of the start has gained.
        if sure * Self::GROWTH > Self::STARTUP {
            return;
        }
        let Some(vain) = self.starting else {
            // Retransmits that were lost may have ended the start.
            self.rounds += 1;
            if self.rounds.is_multiple_of(Self::CYCLE) {
                self.starting = Some(Self::NO_GAIN - 1);
                self.set(self.cost.div_f64(Self::STARTUP));
            }
            return;
        };
        let most = gap.mul_f64(sure);
        let gained = within && most.mul_f64(Self::GROWTH) <= self.cost;
        let vain = if gained { 0 } else { vain + u32::from(gap < self.cost) };
        if gained {
            self.cost = most;
        }
        let ended = vain >= Self::NO_GAIN;
        self.starting = (!ended).then_some(vain);
        self.set(self.cost.div_f64(if ended { 1.0 } else { Self::STARTUP }));
    }

    /// The next batch needed a repair too, so it is unknown when the sled had dropped the last
    /// one's.
    pub(super) fn forget(&mut self) {
        self.repair = None;
    }

    /// The next batch was out `out` later, and answered `then` after that, without repair; `late`
    /// is how much longer than an answer that was.
    pub(super) fn settle(&mut self, then: Duration, out: Duration, late: Duration, rto: Duration) {
        let Some(Repair { took, sent, limited }) =
            self.repair.take().filter(|repair| repair.sent >= Self::TELLING)
        else {
            return;
        };
        let most = (took + then) / sent;
        let gained = most.mul_f64(Self::GROWTH) <= self.cost;
        // BBR: a sample limited by the sender's own pace counts only if it is better all the same.
        if limited && !gained {
            return;
        }
        // The assumed cost is too low. Where other sleds' turns came first, `most` says nothing.
        let outran = self.backoff > 1.0 && out <= took.mul_f64(Self::GROWTH - 1.0);
        self.cost = if outran { most.min(Self::MOST) } else { self.cost.min(most) };
        if outran {
            self.backoff = 1.0;
        }
        let least = (took + then).saturating_sub(rto) / sent;
        self.dearer = if !late.is_zero() && least > self.cost { self.dearer + 1 } else { 0 };
        if self.dearer == Self::SURE {
            self.raise(least);
        }
        if let Some(vain) = &mut self.starting {
            *vain = if gained { 0 } else { *vain + 1 };
            if *vain < Self::NO_GAIN {
                return self.set(self.cost.div_f64(Self::STARTUP));
            }
            self.starting = None;
        }
        self.rounds += 1;
        let probes = self.rounds.is_multiple_of(Self::CYCLE);
        self.set(self.cost.div_f64(if probes { Self::PROBE } else { 1.0 }));
    }

    /// Raises the cost to `least`.
    fn raise(&mut self, least: Duration) {
        if least > self.cost.mul_f64(Self::GROWTH) {
            self.cost = least.min(Self::MOST);
            self.backoff = 1.0;
            self.starting = None;
            self.set(self.cost);
        }
        self.dearer = 0;
    }

    fn set(&mut self, gap: Duration) {
        self.gap = gap.clamp(Self::LEAST, Self::MOST);
    }
}

impl Default for Spacing {
    fn default() -> Self {
        Self {
            gap: Self::START,
            cost: Self::START,
            starting: Some(0),
            rounds: 0,
            dearer: 0,
            repair: None,
            chance: 1.0,
            backoff: 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// Repairs to a sled whose dropped frames cost this much; the lost frame is anywhere, and a
    /// batch takes a millisecond on the wire.
    fn repairs(spacing: &mut Spacing, cost: Duration, count: usize) {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..count {
            let (gap, wanted) = (spacing.gap(), random.u32(1..=128));
            let took = cost.max(gap) * wanted;
            let sent = ((took.as_secs_f64() / gap.as_secs_f64()) as u32).clamp(wanted, 128);
            spacing.repaired(took, sent, gap * (sent - 1), Duration::ZERO);
            let left = (sent * cost).saturating_sub(took);
            spacing.settle(left.max(MS), MS, left.saturating_sub(MS), MS);
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

    /// Repairs `count` batches of 128 frames, each of which lost `lost` of them. One repair in four
    /// loses a retransmit too.
    fn repairs_again(spacing: &mut Spacing, cost: Duration, lost: u32, count: usize) {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..count {
            let gap = spacing.gap();
            let last = (0..lost).map(|_| random.u32(1..=128)).max().unwrap_or(1);
            let within = last * cost.max(gap) <= 128 * gap && random.u32(0..4) > 0;
            spacing.kept_pace(within, lost.into(), gap);
        }
    }

    #[test]
    fn where_every_batch_loses_frames_the_gap_is_shortened_but_not_to_less_than_a_frame_costs() {
        let us = Duration::from_micros;
        for (cost, least, most) in [(0, 0, 40), (50, 35, 90), (150, 90, 250), (1000, 200, 250)] {
            let mut spacing = Spacing::default();
            repairs_again(&mut spacing, us(cost), 6, 64);
            let cost = spacing.cost();
            assert!((us(least)..=us(most)).contains(&cost), "{cost:?}");
        }
        let mut spacing = Spacing::default();
        repairs_again(&mut spacing, us(0), 2, 64);
        assert_eq!(spacing.gap(), Spacing::START);
    }

    #[test]
    fn one_late_answer_does_not_count() {
        let mut spacing = Spacing::default();
        repairs(&mut spacing, Duration::from_micros(150), 30);
        let cost = spacing.cost();
        spacing.repaired(64 * cost, 64, 63 * cost, Duration::ZERO);
        spacing.settle(20 * MS, MS, 19 * MS, MS);
        assert_eq!(spacing.cost(), cost);
    }

    #[test]
    fn a_sled_that_becomes_slower_is_spared_at_once() {
        let mut spacing = Spacing::default();
        repairs(&mut spacing, Duration::from_micros(20), 30);
        let span = 127 * spacing.gap();
        spacing.repaired(Duration::from_millis(128), 128, span, Duration::ZERO);
        assert_eq!(spacing.gap(), Duration::from_millis(1));
    }
}
