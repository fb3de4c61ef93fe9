//! A trial of a lower rate: whether it loses less.

use super::cohort::Outcome;
use super::cubic::Cubic;
use crate::server::sent_batch::Answer;

/// A lower rate that is tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trial {
    /// How the rate rises again if the old one was too high.
    pub(super) cubic: Cubic,
    /// Whether less than half of the old rate is tried.
    pub(super) deep: bool,
    answered: Outcome,
    /// Whether a queue that was full before has spoilt a batch.
    drained: bool,
}

/// What a trial showed, and by which batches.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// The old rate was too high.
    LosesLess(Outcome),
    /// Chance is to blame for the losses.
    LosesAsMuch(Outcome),
}

impl Trial {
    /// A trial of this rate.
    pub(super) fn new(rate: f64, cubic: Cubic) -> Self {
        let deep = rate < 0.5 * cubic.high;
        Self { cubic, deep, answered: Outcome::default(), drained: false }
    }

    /// How many answers decide, and how many lossy batches among them are too many. A queue that is full
    /// at first takes a few batches to drain. A choice: with 7/8 instead of 3/4, some racks of 32 sleds
    /// that lose 2% got 47% of the wire instead of 50%.
    fn limits(&self) -> (u32, u32) {
        if self.deep { (4, 3) } else { (8, 4) }
    }

    /// How many answers it takes.
    pub(super) fn enough(&self) -> u32 {
        self.limits().0
    }

    /// A batch was answered, the last one of its cohort if there is an `outcome`.
    pub(super) fn judge(&mut self, answer: &Answer, outcome: Option<Outcome>) -> Option<Verdict> {
        if self.deep && !answer.crowded {
            return self.judge_alone(answer);
        }
        self.add(answer);
        let (enough, most) = self.limits();
        let as_much = |outcome: Outcome| outcome.lossy * enough >= most * outcome.batches;
        // Batches that lost nothing are answered first: of the others, no fewer are lossy.
        if self.answered.batches <= enough && self.answered.lossy >= most {
            return Some(Verdict::LosesAsMuch(self.answered));
        }
        let outcome = outcome?;
        Some(if as_much(outcome) {
            Verdict::LosesAsMuch(outcome)
        } else {
            Verdict::LosesLess(outcome)
        })
    }

    /// A sled alone has nobody to share the cost of a rate that is far too low: of four batches, chance
    /// leaves three whole once in fourteen times where 1% of frames are lost.
    fn judge_alone(&mut self, answer: &Answer) -> Option<Verdict> {
        if answer.lossy && !self.drained && self.answered.batches == 0 {
            self.drained = true;
            return None;
        }
        self.add(answer);
        if answer.lossy {
            return Some(Verdict::LosesAsMuch(self.answered));
        }
        (self.answered.batches == self.enough()).then_some(Verdict::LosesLess(self.answered))
    }

    fn add(&mut self, answer: &Answer) {
        self.answered.batches += 1;
        self.answered.lossy += u32::from(answer.lossy);
    }
}
