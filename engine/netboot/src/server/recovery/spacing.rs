//! How fast to retransmit: at the pace at which the sled drops what it does not need.

use std::time::Duration;

use super::costs::{Busy, CELLS, Cell, edge};
use crate::time::Instant;

/// What a frame costs a sled that it does not want, as far as its answers tell.
///
/// A sled takes its frames in order, so what it costs to drop one says when all that were sent are
/// dropped, and when one of them is found. Each cost that is possible foretells the answers, and
/// Bayes' rule weighs the costs by how well they did.
#[derive(Clone, Debug)]
pub(super) struct Spacing {
    /// The probability of each cell of costs.
    belief: [f64; CELLS],
    busy: Busy,
    /// Whether a lost frame has been found.
    measured: bool,
    /// The least gap, because others have their turns.
    floor: Duration,
    /// The gap of the last batch that was retransmitted.
    last: Duration,
}

impl Spacing {
    /// While nothing is known: more than a console line usually costs (150 us, and up to 210 us
    /// with what a scheduler adds, measured on a model of a sled over veth).
    const START: Duration = Duration::from_micros(250);
    /// What a console line nominally takes (netboot protocol).
    const USUAL: Duration = Duration::from_micros(150);
    /// The probability that a frame costs less than the gap. An answer says nothing of what costs
    /// less than the gap at which it came, so half would be too careful to find that out. A choice, as
    /// are those below, by one sled's boots that lose 1% of 16 MiB, or 0.1% of 64 MiB, with busy
    /// answers (`docs/recovery.md` has the command): with 0.3, those at a console of 0 us take up to 3%
    /// longer, at 150 us up to 4% less; 0.1 does the reverse. With 0.5, those at 0 us took 13% longer
    /// than with 0.3.
    const KEPT_UP: f64 = 0.2;
    /// The same where a retransmit takes the wire from other sleds: a gap that is likelier too long
    /// than too short.
    const KEPT_UP_CROWDED: f64 = 0.5;
    /// BBR: the gain of the start, 2 / ln 2. No gap is shorter than the one before by more.
    const STARTUP: f64 = 2.885;
    /// BBR: less than a quarter more does not count.
    const GROWTH: f64 = 1.25;
    /// The share of a cost's probability that each answer gives to either neighbor: the cost changes
    /// with what else the sled's machine does. Half and twice as much change no boot by more than 2%;
    /// without it, those at 0 us with busy answers take 5% longer.
    const DRIFT: f64 = 1.0 / 32.0;
    /// The share of all that is known that each answer takes away, because a sled may change, or one
    /// answer may have misled: as much as the batches of 16 MiB. With half, one in 50 racks of 8 sleds
    /// that lose 5% (16 MiB, busy answers, 0 us) had a sled that took 14 s, with this 6 s; with twice as
    /// much, boots at 150 us take 2% to 5% longer.
    const FORGOTTEN: f64 = 1.0 / 128.0;
    /// How likely it is that an answer has a reason that nobody thought of. A third and three times
    /// as much change no boot by more than 2%.
    const UNFORESEEN: f64 = 0.1;
    /// A sled is doubted again although it may still be busy, if that is not likelier than a loss by
    /// more. Half makes less than 2% of difference, a quarter 4% to 10%; with twice as much, boots of
    /// 10 s occur. Where others want the wire there is no hurry.
    const HURRY: f64 = 4.0;

    /// The time to leave after each retransmit of a batch, on a link that is `crowded`: that other
    /// sleds use, too.
    pub(super) fn gap(&self, crowded: bool) -> Duration {
        if !self.measured {
            return Self::START;
        }
        let kept_up = if crowded { Self::KEPT_UP_CROWDED } else { Self::KEPT_UP };
        let index = quantile(self.belief.iter().enumerate(), kept_up);
        let middle = (edge(index) + edge(index + 1)) / 2;
        middle.max(self.last.div_f64(Self::STARTUP)).max(self.floor)
    }

    /// Retransmits that were to go out every `gap` went out every `pace`.
    ///
    /// If that is longer, others had their turns. Answers don't tell what costs less than the pace,
    /// and a shorter gap would only take the wire from the others: the cost is taken to be usual.
    pub(super) fn paced(&mut self, gap: Duration, pace: Duration) {
        let limited = pace > gap.mul_f64(Self::GROWTH);
        let least = if limited { pace.min(Self::USUAL) } else { Duration::ZERO };
        self.floor = self.floor.div_f64(Self::GROWTH).max(least);
        self.last = gap;
    }

    /// A retransmit goes out, the first of a round or a later one.
    pub(super) fn sent(&mut self, now: Instant, first: bool) {
        if first {
            self.busy.begin_round(now);
        }
        self.busy.sent(now);
    }

    /// The sled answered a batch of which `tried` frames had been retransmitted.
    pub(super) fn answered(&mut self, now: Instant, tried: u32) {
        self.busy.answered(now, tried);
    }

    /// By when the sled has dropped all that was retransmitted to it, where a loss is as likely as
    /// `loss`, on a link that is `crowded`.
    pub(super) fn dropped(&self, loss: f64, crowded: bool) -> Instant {
        // Forgetting alone gives so much to costs that all answers speak against.
        let hurry = if crowded { 1.0 } else { Self::HURRY };
        let slower = (hurry * loss).max(Self::FORGOTTEN);
        let index = quantile(self.belief.iter().enumerate().rev(), slower);
        self.busy.until(index + 1)
    }

    /// By when any sled has dropped all that was retransmitted to it.
    pub(super) fn surely_dropped(&self) -> Instant {
        self.busy.until(CELLS)
    }

    /// Until when the sled drops what was retransmitted to it, for each cost.
    pub(super) fn busy(&self) -> Busy {
        self.busy.clone()
    }

    /// What was heard was to be expected with the first of these densities because a frame had been
    /// lost, and with the second one although none had, of a sled that dropped earlier frames until
    /// `busy`. Returns the probability that a frame had been lost.
    pub(super) fn weigh(&mut self, busy: &Busy, expected: impl Fn(&Cell) -> [f64; 2]) -> f64 {
        let densities: [[f64; 2]; CELLS] = std::array::from_fn(|index| expected(&busy.cell(index)));
        let mean = |which: usize| -> f64 {
            self.belief.iter().zip(&densities).map(|(belief, each)| belief * each[which]).sum()
        };
        let (found, came) = (mean(0), mean(1));
        let all = found + came;
        if !(all > 0.0 && all.is_finite()) {
            return 0.0;
        }
        let mut told = [0.0; CELLS];
        for (told, (belief, [found, came])) in
            told.iter_mut().zip(self.belief.iter().zip(densities))
        {
            *told = belief * ((found + came) / all + Self::UNFORESEEN) / (1.0 + Self::UNFORESEEN);
        }
        for (index, belief) in self.belief.iter_mut().enumerate() {
            let [below, above] = [index.saturating_sub(1), (index + 1).min(CELLS - 1)];
            let drifted =
                told[index] + (told[below] + told[above] - 2.0 * told[index]) * Self::DRIFT;
            *belief = drifted + (1.0 / CELLS as f64 - drifted) * Self::FORGOTTEN;
        }
        self.measured |= found > came;
        found / all
    }
}

/// The cell at which the sum of the probabilities exceeds this one.
fn quantile<'a>(mut cells: impl Iterator<Item = (usize, &'a f64)>, probability: f64) -> usize {
    let mut sum = 0.0;
    let reached = cells.find(|(_, belief)| {
        sum += *belief;
        sum > probability
    });
    reached.map_or(0, |(index, _)| index)
}

impl Default for Spacing {
    fn default() -> Self {
        Self {
            belief: [1.0 / CELLS as f64; CELLS],
            busy: Busy::default(),
            measured: false,
            floor: Duration::ZERO,
            last: Self::START,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Repairs of a sled to which a frame costs this much, where the one lost frame is anywhere.
    fn repairs(spacing: &mut Spacing, cost: Duration, count: usize) {
        let mut random = fastrand::Rng::with_seed(7);
        let mut begun = Instant::ZERO;
        for _ in 0..count {
            let (gap, busy) = (spacing.gap(false), spacing.busy());
            let took = cost.max(gap) * random.u32(1..=128);
            let sent = (took.div_duration_f64(gap) as u32).clamp(1, 128);
            (0..sent).for_each(|index| spacing.sent(begun + gap * index, index == 0));
            spacing.weigh(&busy, |cell| {
                let [least, most] = cell.cost.map(|cost| 128 * cost.max(gap));
                let within = if took <= most { 1.0 } else { 1e-3 };
                [within / (least + most).as_secs_f64(), 0.0]
            });
            let left = (begun + sent * cost).max(begun + took);
            let busy = spacing.busy();
            spacing.weigh(&busy, |cell| {
                let [from, to] = cell.busy;
                let least = Duration::from_micros(100);
                let within = from <= left + least && left <= to.max(from + least);
                [0.0, f64::from(u8::from(within)) / (to.since(from) + least).as_secs_f64()]
            });
            spacing.paced(gap, gap);
            begun = left + Duration::from_millis(10);
        }
    }

    #[test]
    fn it_starts_slowly() {
        assert_eq!(Spacing::default().gap(false), Duration::from_micros(250));
    }

    #[test]
    fn the_gap_becomes_what_a_frame_costs() {
        for us in [20, 50, 150, 300, 1000] {
            let mut spacing = Spacing::default();
            let cost = Duration::from_micros(us);
            repairs(&mut spacing, cost, 32);
            let gap = spacing.gap(false);
            assert!((cost.mul_f64(0.7)..cost.mul_f64(1.4)).contains(&gap), "{us}: {gap:?}");
        }
    }

    #[test]
    fn a_sled_that_becomes_slower_or_faster_is_followed() {
        let mut spacing = Spacing::default();
        // With a gap that is too long, all answers are as they were: only forgetting finds that.
        for (us, count) in [(20, 24), (300, 24), (50, 128)] {
            let cost = Duration::from_micros(us);
            repairs(&mut spacing, cost, count);
            let gap = spacing.gap(false);
            assert!((cost.mul_f64(0.7)..cost.mul_f64(1.4)).contains(&gap), "{us}: {gap:?}");
        }
    }

    #[test]
    fn where_others_have_their_turns_the_gap_is_no_shorter_than_a_usual_line() {
        let mut spacing = Spacing::default();
        repairs(&mut spacing, Duration::from_micros(20), 32);
        let alone = spacing.gap(false);
        spacing.paced(alone, 40 * alone);
        assert_eq!(spacing.gap(false), Spacing::USUAL);
        spacing.paced(Spacing::USUAL, 60 * alone);
        assert_eq!(spacing.gap(false), Spacing::USUAL);
        (0..32).for_each(|_| spacing.paced(alone, alone));
        assert_eq!(spacing.gap(false), alone);
    }

    #[test]
    fn a_pace_up_to_a_quarter_longer_than_the_gap_is_no_sign_of_others() {
        let us = Duration::from_micros;
        let mut spacing = Spacing::default();
        spacing.paced(us(100), us(125));
        assert_eq!(spacing.floor, Duration::ZERO);
        spacing.paced(us(100), us(126));
        assert_eq!(spacing.floor, us(126));
    }

    #[test]
    fn an_answer_that_may_as_well_have_been_late_does_not_measure_the_cost() {
        let mut spacing = Spacing::default();
        let busy = spacing.busy();
        spacing.weigh(&busy, |_| [1.0, 1.0]);
        assert_eq!(spacing.gap(false), Spacing::START);
        spacing.weigh(&busy, |_| [1.1, 1.0]);
        assert!(spacing.gap(false) < Spacing::START);
    }

    #[test]
    fn a_quantile_is_the_first_cell_that_exceeds_it() {
        let cells = [0.25; 4];
        let of = |probability| quantile(cells.iter().enumerate(), probability);
        assert_eq!([0.0, 0.24, 0.25, 0.5, 0.9].map(of), [0, 0, 1, 2, 3]);
    }
}
