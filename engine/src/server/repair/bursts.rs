//! A guess of what a needless frame costs a sled, while that can't be measured.

use std::time::Duration;

use crate::time::Instant;

/// Repeats that go out a few at a time, so that the answer to one of them tells something: ahead
/// of each burst go frames that the sled has long had, and where it costs much to drop those, no
/// answer to the burst comes soon.
///
/// The time from one burst to the next is that in which the sled is thought to have dropped the
/// whole.
#[derive(Debug)]
pub(super) struct Bursts {
    /// When the burst that goes out now, or went out last, was begun; and how much of it has.
    begun: Instant,
    frames: u32,
    /// Answers in a row that did not come soon.
    slow: u32,
    /// How well the guess has done.
    credit: u32,
}

impl Default for Bursts {
    fn default() -> Self {
        Self { begun: Instant::ZERO, frames: 0, slow: 0, credit: Self::CREDIT }
    }
}

impl Bursts {
    const FRAMES: u32 = 8;
    /// So many frames of each burst are those that the sled has long had.
    const LEADING: u32 = 2;
    /// Such an answer is hardly chance any more.
    const SLOW: u32 = 3;
    /// A guess is never lower.
    const LEAST: Duration = Duration::from_micros(8);
    /// What it has to begin with, and at most.
    const CREDIT: u32 = 3;
    const MOST_CREDIT: u32 = 16;

    /// Whether the next frame is to be one that the sled has long had.
    pub(super) fn leads(&self) -> bool {
        self.frames % Self::FRAMES < Self::LEADING
    }

    /// A frame goes out at `now`, and is thought to cost so much. Returns how long to wait with
    /// the next one.
    pub(super) fn sent(&mut self, now: Instant, cost: Duration) -> Duration {
        if self.frames.is_multiple_of(Self::FRAMES) {
            (self.begun, self.frames) = (now, 0);
        }
        self.frames += 1;
        if self.frames < Self::FRAMES { Duration::ZERO } else { Self::FRAMES * cost }
    }

    /// There are no more to be sent.
    pub(super) fn stop(&mut self) {
        self.frames = 0;
    }

    /// The sled answered at `now`; its answers take `least` where nothing is in their way, and a
    /// frame is thought to cost so much. Returns what it costs at most, if that is less.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        least: Duration,
        cost: Duration,
    ) -> Option<Duration> {
        if self.frames == 0 {
            return None;
        }
        let since = now.since(self.begun);
        // One that comes too soon answers an earlier burst.
        if since >= least / 2 && since <= least + cost / 2 {
            self.slow = 0;
            return Some((since.saturating_sub(least) / Self::LEADING).max(Self::LEAST));
        }
        self.slow += 1;
        None
    }

    /// An answer came before all had been sent again, at the cost that is guessed.
    pub(super) fn helped(&mut self) {
        self.credit = (self.credit + 1).min(Self::MOST_CREDIT);
    }

    /// None did.
    pub(super) fn did_not_help(&mut self) {
        self.credit = self.credit.saturating_sub(1);
    }

    /// Whether it is no use to guess.
    pub(super) fn are_vain(&self) -> bool {
        self.slow >= Self::SLOW || self.credit == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Duration = Duration::from_micros(150);
    const LEAST: Duration = Duration::from_micros(100);

    /// A burst that was begun at zero and is all out.
    fn sent() -> Bursts {
        let mut bursts = Bursts::default();
        for frame in 1..Bursts::FRAMES {
            assert_eq!(bursts.sent(Instant::ZERO, COST), Duration::ZERO, "after {frame}");
        }
        assert_eq!(bursts.sent(Instant::ZERO, COST), Bursts::FRAMES * COST);
        bursts
    }

    #[test]
    fn an_answer_tells_how_long_the_leading_frames_took_at_most() {
        let late = Duration::from_micros(60);
        let answer = sent().answered(Instant::ZERO + LEAST + late, LEAST, COST);
        assert_eq!(answer, Some(late / Bursts::LEADING));
    }

    #[test]
    fn answers_that_come_late_or_to_an_earlier_burst_tell_that_there_is_nothing_to_learn() {
        let mut bursts = sent();
        for (number, late) in (1..).zip([LEAST + Bursts::LEADING * COST, LEAST / 4, LEAST + COST]) {
            assert!(!bursts.are_vain());
            assert_eq!(bursts.answered(Instant::ZERO + late, LEAST, COST), None, "{number}");
        }
        assert!(bursts.are_vain());
    }

    #[test]
    fn without_a_burst_an_answer_tells_nothing() {
        let mut bursts = sent();
        bursts.stop();
        assert_eq!(bursts.answered(Instant::ZERO + LEAST, LEAST, COST), None);
        assert_eq!(bursts.slow, 0);
    }

    #[test]
    fn the_first_frames_of_each_burst_lead_it() {
        let mut bursts = Bursts::default();
        let leading: Vec<_> = (0..16)
            .filter(|_| {
                let leads = bursts.leads();
                bursts.sent(Instant::ZERO, COST);
                leads
            })
            .collect();
        assert_eq!(leading, [0, 1, 8, 9]);
    }
}
