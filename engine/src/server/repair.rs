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
        self.due = Some(now.max(self.console.busy_until) + self.answers.patience().max(least));
    }

    /// The sled asked for more; or `again` for what had been sent, when its own timer was
    /// faster. Returns how many frames were sent again until then.
    pub(super) fn heard(&mut self, now: Instant, again: bool) -> u32 {
        if let Some(sent) = self.sent.filter(|_| !again) {
            // An answer to a repeat takes as long as one to the batch at least.
            let in_vain = self.tried > 0 && now.since(self.first_try) < self.answers.least / 2;
            if in_vain {
                self.answers.too_hasty();
            } else if self.tried > 0 {
                self.answers.not_too_hasty();
            }
            if (self.tried == 0 || in_vain) && self.console.busy_until <= sent {
                self.answers.learn(now.since(sent));
            }
            self.console.answered(now, self.tried, self.first_try);
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
        self.console.repeat(now);
        let probing = self.rounds == 0 && self.in_round < Self::PROBES;
        let least = if probing { Self::PROBE_SPACING } else { Duration::ZERO };
        let spacing = self.console.spacing.max(least);
        // A caller who comes late may catch up on a few, not on all.
        self.due = Some(due.max(now - 4 * spacing) + spacing);
        if index == 0 {
            self.rounds += 1;
            self.in_round = 0;
            let patience = self.answers.patience() * 2_u32.pow(self.rounds);
            self.due =
                (self.rounds < Self::ROUNDS).then(|| self.console.busy_until.max(now) + patience);
        }
        Some(unacknowledged[index])
    }
}

/// How long a sled takes from the last frame of a batch to its next READ.
#[derive(Debug)]
struct Answers {
    /// Smoothed mean, and mean deviation from it.
    smoothed: Option<(Duration, Duration)>,
    /// About the least there was.
    least: Duration,
    /// The least time beyond the mean that a sled is given.
    margin: Duration,
}

impl Default for Answers {
    fn default() -> Self {
        Self { smoothed: None, least: Self::UNKNOWN, margin: Self::LEAST_MARGIN }
    }
}

impl Answers {
    /// Before a sled has answered once, nothing is known about the way to it.
    const UNKNOWN: Duration = Duration::from_millis(20);
    /// Above this, the sled's own timer is faster.
    const MOST: Duration = Duration::from_millis(800);
    /// Where a machine at either end was busy and looked like a lost frame, more is allowed.
    const LEAST_MARGIN: Duration = Duration::from_micros(600);
    const MOST_MARGIN: Duration = Duration::from_millis(8);

    fn patience(&self) -> Duration {
        let (mean, deviation) = self.smoothed.unwrap_or((Self::UNKNOWN, Duration::ZERO));
        (mean + (4 * deviation).max(self.margin)).min(Self::MOST)
    }

    /// A repair was begun in vain: the answer was on its way.
    fn too_hasty(&mut self) {
        self.margin = (self.margin * 2).min(Self::MOST_MARGIN);
    }

    /// A repair was needed.
    fn not_too_hasty(&mut self) {
        self.margin = (self.margin * 3 / 4).max(Self::LEAST_MARGIN);
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
/// a line. Repeats are sent about as fast as it can drop them, or they would pile up before it.
#[derive(Debug)]
struct Console {
    /// A repeat costs no more than this.
    cost: Duration,
    /// Time between two repeats.
    spacing: Duration,
    /// The sled has dropped all repeats by then.
    busy_until: Instant,
    /// Repeats before the batch that is out now, and when the first of them was sent.
    before: Option<(u32, Instant)>,
    /// Repairs that may still be sent faster than the cost allows, to find out whether it is
    /// less.
    probes: u32,
    since_probe: u32,
}

impl Console {
    /// 45 characters at 3 Mbaud.
    const ASSUMED: Duration = Duration::from_micros(150);
    const LEAST: Duration = Duration::from_micros(4);
    /// With fewer repeats, the way there and back outweighs their cost.
    const LEAST_REPEATS: u32 = 8;
    /// One repair in so many begins to find out whether the cost is less.
    const PROBE_EVERY: u32 = 16;
    /// Repairs for that, unless one has told before.
    const PROBES: u32 = 4;

    fn new() -> Self {
        Self {
            cost: Self::ASSUMED,
            spacing: Self::ASSUMED / 2,
            busy_until: Instant::ZERO,
            before: None,
            probes: Self::PROBES,
            since_probe: 0,
        }
    }

    /// A repeat was sent.
    fn repeat(&mut self, now: Instant) {
        self.busy_until = self.busy_until.max(now) + self.cost;
    }

    /// The sled answered a batch before which it had to drop the repeats of the one before, if
    /// there were any. `repeats` of this batch were sent since `first`.
    fn answered(&mut self, now: Instant, repeats: u32, first: Instant) {
        if let Some((dropped, since)) = self.before.take()
            && dropped >= Self::LEAST_REPEATS
        {
            let most = (now.since(since) / dropped).max(Self::LEAST);
            let found = most < self.cost * 3 / 4;
            self.cost = self.cost.min(most);
            self.probes = match (found, repeats) {
                (true, _) => Self::PROBES,
                // A batch that was repaired itself took longer than the drops before it.
                (false, 1..) => self.probes.saturating_sub(1),
                (false, 0) => 0,
            };
            self.since_probe += 1;
            if self.since_probe >= Self::PROBE_EVERY {
                self.since_probe = 0;
                self.probes = Self::PROBES;
            }
            let probing = self.probes > 0;
            self.spacing = if probing { (self.cost / 2).max(Self::LEAST) } else { self.cost };
        }
        if repeats > 0 {
            self.before = Some((repeats, first));
        }
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
        assert_eq!(drain(&mut repair, at(100.7), &[0, 1024]), [0_u64; 0]);
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
