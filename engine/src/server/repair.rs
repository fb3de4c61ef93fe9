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
    answers: Answers,
    console: Console,
    /// When the batch that is not acknowledged had been sent out.
    sent: Option<Instant>,
    /// When the next frame is due.
    due: Option<Instant>,
    /// Rounds through the unacknowledged offsets that have been completed.
    rounds: u32,
    /// Frames sent in this round.
    in_round: usize,
    /// Frames sent since the last READ, and when the first of them was.
    tried: u32,
    first_try: Instant,
}

impl Repair {
    /// Above this, the sled's own timer is faster.
    const MOST_SILENCE: Duration = Duration::from_millis(800);
    /// After its last batch a sled sits still for 100 ms before FINISHED.
    const LAST_SILENCE: Duration = Duration::from_millis(150);
    /// Rounds after which the sled is left to its own timer: what bounds the cost of a dead one.
    const ROUNDS: u32 = 2;
    /// The first few are sent slowly: most late answers are under way already.
    const PROBES: usize = 4;
    const PROBE_SPACING: Duration = Duration::from_micros(100);

    pub(super) fn new() -> Self {
        Self {
            answers: Answers::default(),
            console: Console::new(),
            sent: None,
            due: None,
            rounds: 0,
            in_round: 0,
            tried: 0,
            first_try: Instant::ZERO,
        }
    }

    /// All that the sled asked for went out at `now`; `last` if its image's end was among it.
    pub(super) fn batch_sent(&mut self, now: Instant, last: bool) {
        self.sent = Some(now);
        let least = if last { Self::LAST_SILENCE } else { Duration::ZERO };
        self.due = Some(now + self.silence().max(least));
    }

    /// The sled asked for more; or `again` for what had been sent, when its own timer was
    /// faster. Returns how many frames were sent again until then.
    pub(super) fn heard(&mut self, now: Instant, again: bool) -> u32 {
        let Some(sent) = self.sent.filter(|_| !again) else {
            self.console.forget();
            return self.stop();
        };
        let sample = now.since(sent);
        if self.tried == 0 {
            let late = self.answers.lateness(sample);
            if self.console.idle(late) {
                self.answers.learn(sample);
            }
        } else {
            let busy = now.since(self.first_try);
            if busy < self.answers.least {
                // It was on its way before a repeat could have drawn it.
                self.answers.learn(sample);
            }
            self.console.repeated(self.tried, busy.saturating_sub(self.answers.least));
        }
        self.stop()
    }

    /// The batch matters no more. Returns how many of its frames were sent again.
    pub(super) fn stop(&mut self) -> u32 {
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
        if self.tried == 0 {
            self.first_try = now;
        }
        self.in_round += 1;
        self.tried += 1;
        let probing = self.rounds == 0 && self.in_round < Self::PROBES;
        let least = if probing { Self::PROBE_SPACING } else { Duration::ZERO };
        let spacing = self.console.spacing.max(least);
        // A caller who comes late may catch up on a few, not on all.
        self.due = Some(due.max(now - 4 * spacing) + spacing);
        if index == 0 {
            self.rounds += 1;
            self.in_round = 0;
            let silence = self.silence() * 2_u32.pow(self.rounds);
            self.due = (self.rounds < Self::ROUNDS).then(|| now + silence);
        }
        Some(unacknowledged[index])
    }

    /// How long the sled may be silent after its batch before a frame counts as lost.
    fn silence(&self) -> Duration {
        (self.answers.patience() + self.console.busy()).min(Self::MOST_SILENCE)
    }
}

/// How long a sled takes from the last frame of a batch to its next READ.
#[derive(Debug)]
struct Answers {
    /// Smoothed mean, and mean deviation from it.
    smoothed: Option<(Duration, Duration)>,
    /// About the least there was.
    least: Duration,
}

impl Default for Answers {
    fn default() -> Self {
        Self { smoothed: None, least: Self::UNKNOWN }
    }
}

impl Answers {
    /// Before a sled has answered once, nothing is known about the way to it.
    const UNKNOWN: Duration = Duration::from_millis(20);
    /// Below this, a busy machine at either end looks like a lost frame.
    const LEAST_MARGIN: Duration = Duration::from_millis(1);

    fn patience(&self) -> Duration {
        let (mean, deviation) = self.smoothed.unwrap_or((Self::UNKNOWN, Duration::ZERO));
        mean + (4 * deviation).max(Self::LEAST_MARGIN)
    }

    /// By how much an answer was later than chance explains.
    fn lateness(&self, sample: Duration) -> Duration {
        let (mean, deviation) = self.smoothed.unwrap_or((sample, Duration::ZERO));
        if sample > mean + (4 * deviation).max(Self::LEAST_MARGIN / 2) {
            sample.saturating_sub(mean)
        } else {
            Duration::ZERO
        }
    }

    fn learn(&mut self, sample: Duration) {
        let Some((mean, deviation)) = self.smoothed else {
            self.smoothed = Some((sample, sample / 2));
            self.least = sample;
            return;
        };
        let error = sample.abs_diff(mean);
        self.smoothed = Some(((mean * 7 + sample) / 8, (deviation * 3 + error) / 4));
        self.least = sample.min(self.least + self.least / 64);
    }
}

/// What it costs a sled to drop a frame that it did not need: on a real one, the time to print
/// a line. Repeats are sent no faster than it can drop them, or they would pile up before it.
#[derive(Debug)]
struct Console {
    /// Time between two repeats: the cost of one, as far as it is known.
    spacing: Duration,
    /// Repeats before the batch that is out now, and how long the sled had for them.
    before: Option<(u32, Duration)>,
    /// Repairs since the cost was last seen, not merely assumed.
    unseen: u32,
}

impl Console {
    /// 45 characters at 3 Mbaud.
    const ASSUMED: Duration = Duration::from_micros(150);
    const LEAST: Duration = Duration::from_micros(4);
    const MOST: Duration = Duration::from_micros(300);
    /// Repairs for which a cost that was seen is believed.
    const BELIEVED: u32 = 8;
    /// With fewer repeats, chance looks like a cost.
    const LEAST_REPEATS: u32 = 8;

    fn new() -> Self {
        Self { spacing: Self::ASSUMED, before: None, unseen: Self::BELIEVED }
    }

    /// A batch was repaired with so many repeats, the first of which was sent `time` before
    /// the sled answered.
    fn repeated(&mut self, repeats: u32, time: Duration) {
        self.before = Some((repeats, time));
    }

    fn forget(&mut self) {
        self.before = None;
    }

    /// How long the sled may still be dropping repeats.
    fn busy(&self) -> Duration {
        let (repeats, time) = self.before.unwrap_or_default();
        (self.spacing * repeats).saturating_sub(time)
    }

    /// A batch needed no repair, and its answer was `late`. Says whether the sled was idle, so
    /// that the time of the answer tells of the way to it.
    fn idle(&mut self, late: Duration) -> bool {
        let Some((repeats, time)) = self.before.take() else {
            return true;
        };
        if repeats < Self::LEAST_REPEATS {
            return late.is_zero();
        }
        if late.is_zero() {
            // Either the pace was right, or there is no cost: find out now and then.
            self.unseen += 1;
            if self.unseen > Self::BELIEVED {
                self.spacing = (self.spacing / 2).max(Self::LEAST);
            }
            return true;
        }
        self.unseen = 0;
        self.spacing = ((late + time) / repeats).clamp(Self::LEAST, Self::MOST);
        false
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
