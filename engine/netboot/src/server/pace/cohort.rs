//! A sample of batches that is not chosen by how soon they are answered.

use crate::server::recovery::Recovery;
use crate::time::Instant;

/// The batches that went out at one rate, until some of them were answered.
///
/// Those that lose no frame are answered first, so the first answers are no fair sample: of 32 sleds,
/// an eighth of the first eight answers told of a loss where a third of the batches had one (0.3% of
/// frames lost, `sledsim --virtual --sleds 32 --size 64 --rate 1Gbit --loss 0.3`).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cohort {
    sent: u32,
    answers: u32,
    lossy: u32,
    /// Since when no more batches count.
    closed: Option<Instant>,
}

/// How many batches there were, and how many lost frames.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Outcome {
    pub(super) batches: u32,
    pub(super) lossy: u32,
}

impl Cohort {
    /// All frames of a batch went out.
    pub(super) fn sent(&mut self) {
        self.sent += u32::from(self.closed.is_none());
    }

    /// A batch was answered of which the last frame had gone out at `last`.
    pub(super) fn answered(&mut self, last: Instant, lossy: bool) {
        if self.closed.is_none_or(|closed| last <= closed) {
            self.answers += 1;
            self.lossy += u32::from(lossy);
        }
    }

    /// What became of the batches that had gone out when `enough` had been answered, once it is known at
    /// `now` of all of them.
    pub(super) fn outcome(&mut self, now: Instant, enough: u32) -> Option<Outcome> {
        if self.answers < enough {
            return None;
        }
        let closed = *self.closed.get_or_insert(now);
        let missing = self.sent.saturating_sub(self.answers);
        // What is not answered when the sled asks by itself was lost, or its sled was.
        let over = missing == 0 || now.since(closed) > Recovery::SLED_TIMER;
        over.then(|| Outcome { batches: self.answers + missing, lossy: self.lossy + missing })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(millis: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(millis)
    }

    /// Twelve batches went out, of which eight were answered after 10 ms, whole.
    fn half() -> Cohort {
        let mut cohort = Cohort::default();
        for _ in 0..12 {
            cohort.sent();
        }
        for answers in 1..=8 {
            assert_eq!(cohort.outcome(at(10), 8), None);
            cohort.answered(at(answers), false);
        }
        assert_eq!(cohort.outcome(at(10), 8), None);
        cohort
    }

    #[test]
    fn those_that_are_answered_late_count_too() {
        let mut cohort = half();
        for batch in 9..=12 {
            assert_eq!(cohort.outcome(at(100), 8), None);
            cohort.answered(at(batch - 3), true);
        }
        assert_eq!(cohort.outcome(at(100), 8), Some(Outcome { batches: 12, lossy: 4 }));
    }

    #[test]
    fn those_that_went_out_later_do_not_count() {
        let mut cohort = half();
        cohort.sent();
        cohort.answered(at(11), false);
        assert_eq!(cohort.outcome(at(12), 8), None);
        (0..4).for_each(|_| cohort.answered(at(9), false));
        assert_eq!(cohort.outcome(at(13), 8), Some(Outcome { batches: 12, lossy: 0 }));
    }

    #[test]
    fn what_is_never_answered_was_lost() {
        let mut cohort = half();
        assert_eq!(cohort.outcome(at(1010), 8), None);
        assert_eq!(cohort.outcome(at(1011), 8), Some(Outcome { batches: 12, lossy: 4 }));
    }
}
