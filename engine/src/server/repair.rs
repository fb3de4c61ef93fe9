//! When to send a batch again before its sled asks for it.
//!
//! A sled acknowledges a batch only by asking for the next one, and asks again for what it
//! lacks only after a second. So a sled that has been silent for longer than it usually takes
//! has most likely lost a frame, nobody knows which. Its unacknowledged offsets are then sent
//! again one by one until the next READ arrives.

use std::time::Duration;

use crate::time::Instant;

/// The repair of one sled's losses: a timer, and how fast to try.
#[derive(Debug)]
pub(super) struct Repair {
    /// Smoothed time from the last frame of a batch to the next READ, and its variation.
    answer: Option<(Duration, Duration)>,
    /// When the batch that is not acknowledged had been sent out.
    sent: Option<Instant>,
    /// When the next frame is due.
    due: Option<Instant>,
    /// Rounds through the unacknowledged offsets that have been completed.
    rounds: u32,
    /// Frames sent in this round.
    in_round: usize,
    /// Frames sent since the last READ.
    tried: u64,
    /// Time between two frames: about what the sled takes to drop one that it did not need.
    spacing: Duration,
    /// Whether the batch before this one was repaired, so that the sled may still be busy
    /// dropping duplicates.
    sled_may_be_busy: bool,
}

impl Repair {
    /// Before a sled has answered once, nothing is known about the way to it.
    const FIRST_ANSWER: Duration = Duration::from_millis(20);
    /// Below this, a busy machine at either end looks like a lost frame.
    const LEAST_SILENCE: Duration = Duration::from_millis(1);
    /// Above this, the sled's own timer is faster.
    const MOST_SILENCE: Duration = Duration::from_millis(800);
    /// After its last batch a sled sits still for 100 ms before FINISHED.
    const LAST_SILENCE: Duration = Duration::from_millis(150);
    /// Rounds after which the sled is left to its own timer: what bounds the cost of a dead one.
    const ROUNDS: u32 = 2;
    const FIRST_SPACING: Duration = Duration::from_micros(12);
    const LEAST_SPACING: Duration = Duration::from_micros(4);
    const MOST_SPACING: Duration = Duration::from_micros(250);

    pub(super) fn new() -> Self {
        Self {
            answer: None,
            sent: None,
            due: None,
            rounds: 0,
            in_round: 0,
            tried: 0,
            spacing: Self::FIRST_SPACING,
            sled_may_be_busy: false,
        }
    }

    /// All that the sled asked for went out at `now`; `last` if its image's end was among it.
    pub(super) fn batch_sent(&mut self, now: Instant, last: bool) {
        self.sent = Some(now);
        let silence = self.silence();
        let silence = if last { silence.max(Self::LAST_SILENCE) } else { silence };
        self.due = Some(now + silence);
    }

    /// The sled asked for more; or `again` for what had been sent, when its own timer was
    /// faster. Returns how many frames were sent again in vain or with success until then.
    pub(super) fn heard(&mut self, now: Instant, again: bool) -> u64 {
        if let Some(sent) = self.sent
            && self.tried == 0
            && !again
        {
            self.learn(now.since(sent));
        }
        self.sled_may_be_busy = again || self.tried > 0;
        self.stop()
    }

    /// The batch matters no more. Returns how many of its frames were sent again.
    pub(super) fn stop(&mut self) -> u64 {
        self.sent = None;
        self.due = None;
        self.rounds = 0;
        self.in_round = 0;
        std::mem::take(&mut self.tried)
    }

    /// When [`Repair::take`] has something to send.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Which of `unacknowledged` offsets (the order is that of sending) to send again at
    /// `now`, if it is time. Last ones first: a queue that overflowed lost the tail.
    pub(super) fn take(&mut self, now: Instant, unacknowledged: &[u64]) -> Option<u64> {
        let due = self.due.filter(|&due| due <= now)?;
        let Some(index) = unacknowledged.len().checked_sub(1 + self.in_round) else {
            self.due = None;
            return None;
        };
        self.in_round += 1;
        self.tried += 1;
        // A caller who comes late may catch up on a few, not on all.
        self.due = Some(due.max(now - 4 * self.spacing) + self.spacing);
        if index == 0 {
            self.rounds += 1;
            self.in_round = 0;
            let silence = self.silence() * 2_u32.pow(self.rounds);
            self.due = (self.rounds < Self::ROUNDS).then(|| now + silence);
        }
        Some(unacknowledged[index])
    }

    /// How long a sled may be silent after its batch before a frame counts as lost.
    fn silence(&self) -> Duration {
        let (mean, variation) = self.answer.unwrap_or((Self::FIRST_ANSWER, Duration::ZERO));
        let patience = mean + (4 * variation).max(Self::LEAST_SILENCE);
        patience.min(Self::MOST_SILENCE)
    }

    fn learn(&mut self, sample: Duration) {
        let Some((mean, variation)) = self.answer else {
            self.answer = Some((sample, sample / 2));
            return;
        };
        if self.sled_may_be_busy {
            // Whatever the sled took longer than usual it spent on dropping duplicates.
            let late = sample > mean + (2 * variation).max(Self::LEAST_SILENCE / 2);
            let spacing = if late { self.spacing * 3 / 2 } else { self.spacing * 7 / 8 };
            self.spacing = spacing.clamp(Self::LEAST_SPACING, Self::MOST_SPACING);
            if late {
                return;
            }
        }
        let error = sample.abs_diff(mean);
        self.answer = Some(((mean * 7 + sample) / 8, (variation * 3 + error) / 4));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn at(millis: f64) -> Instant {
        Instant::ZERO + Duration::from_secs_f64(millis / 1e3)
    }

    /// A sled that has answered after 0.2 ms for a while, and then a batch sent at 100 ms.
    fn settled() -> Repair {
        let mut repair = Repair::new();
        for batch in 0..40 {
            let sent = at(f64::from(batch));
            repair.batch_sent(sent, false);
            repair.heard(sent + MS / 5, false);
        }
        repair.batch_sent(at(100.0), false);
        repair
    }

    fn drain(repair: &mut Repair, now: Instant, offsets: &[u64]) -> Vec<u64> {
        std::iter::from_fn(|| repair.take(now, offsets)).collect()
    }

    #[test]
    fn nothing_is_sent_again_while_the_sled_may_still_answer() {
        let mut repair = settled();
        assert_eq!(drain(&mut repair, at(101.1), &[0, 1024]), [0_u64; 0]);
        assert!(!drain(&mut repair, at(101.4), &[0, 1024]).is_empty());
    }

    #[test]
    fn the_tail_goes_first_and_a_read_ends_it() {
        let mut repair = settled();
        let due = repair.due().unwrap();
        assert_eq!(repair.take(due, &[0, 1024, 2048]), Some(2048));
        assert_eq!(repair.take(due, &[0, 1024, 2048]), None);
        assert_eq!(repair.heard(due + MS, false), 1);
        assert_eq!(drain(&mut repair, at(500.0), &[0, 1024, 2048]), [0_u64; 0]);
    }

    #[test]
    fn a_dead_sled_gets_two_rounds_and_no_more() {
        let mut repair = settled();
        let offsets: Vec<_> = (0..128).collect();
        let sent: usize = (0..100_000)
            .map(|step| drain(&mut repair, at(100.0 + f64::from(step)), &offsets).len())
            .sum();
        assert_eq!(sent, 2 * offsets.len());
        assert_eq!(repair.due(), None);
    }

    #[test]
    fn after_the_last_batch_the_wait_for_finished_is_no_loss() {
        let mut repair = settled();
        repair.batch_sent(at(100.0), true);
        assert_eq!(repair.take(at(249.0), &[0]), None);
        assert_eq!(repair.take(at(250.0), &[0]), Some(0));
    }
}
