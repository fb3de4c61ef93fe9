//! When to send a batch again before its sled asks for it.
//!
//! A sled acknowledges a batch only by asking for the next one, and asks again for what it
//! lacks only after a second. So a sled that has been silent for longer than it usually takes
//! has most likely lost a frame, nobody knows which. Its unacknowledged offsets are then sent
//! again one by one until the next READ arrives.

mod answers;
mod backlog;
mod bursts;
mod console;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::answers::Answers;
use self::backlog::Backlog;
use self::console::Console;
use crate::time::Instant;

/// The repair of one sled's losses: a timer, and how fast to try.
#[derive(Debug)]
pub(super) struct Repair {
    answers: Answers,
    console: Console,
    backlog: Backlog,
    /// When the batch that is not acknowledged had been sent out.
    sent: Option<Instant>,
    /// Whether others are served on the same link.
    shared: bool,
    /// When the next frame is due.
    due: Option<Instant>,
    /// Rounds through the unacknowledged offsets that have been completed.
    rounds: u32,
    /// Frames sent in this round.
    in_round: usize,
    /// Frames sent since the last READ, and when the first of them was.
    tried: u32,
    first_try: Instant,
    /// Batches in a row that were answered after a few repeats.
    in_few: u32,
}

/// What a READ tells of the batch before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Heard {
    /// Whether all of it had been sent, and it had not been answered.
    pub(super) answered: bool,
    /// How many of its frames were sent again before the sled asked.
    pub(super) tried: u32,
    /// Whether some had to be.
    pub(super) needed: bool,
}

impl Repair {
    /// After its last batch a sled sits still for 100 ms before FINISHED, unless it is woken: the
    /// OFFERs for that are out after 4 ms.
    const LAST_SILENCE: Duration = Duration::from_millis(10);
    /// Rounds after which the sled is left to its own timer: what bounds the cost of a dead one.
    const ROUNDS: u32 = 5;
    /// Rounds in which to guess what it costs to drop a frame. This adds a third to each.
    const BURSTING: u32 = 2;
    /// Frames that measure what it costs to drop one.
    pub(super) const PROBES: u32 = 16;
    /// So many repeats are more than a few.
    const FEW: u32 = 16;
    const MOST_LATE: u32 = 8;
    /// The first few are sent slowly: most late answers are under way already.
    const SLOW: usize = 3;
    const SLOW_SPACING: Duration = Duration::from_micros(40);
    const SLOWER: u32 = 4;
    /// What a caller who comes late may make up for, if that is more than a few.
    const LATE: Duration = Duration::from_micros(16);

    pub(super) fn new() -> Self {
        Self {
            answers: Answers::default(),
            console: Console::new(),
            backlog: Backlog::default(),
            sent: None,
            shared: false,
            due: None,
            rounds: 0,
            in_round: 0,
            tried: 0,
            first_try: Instant::ZERO,
            in_few: 0,
        }
    }

    /// All that the sled asked for went out at `now`; `last` if its image's end was among it. If
    /// the link is `shared` with others, nothing is gained by haste.
    pub(super) fn batch_sent(&mut self, now: Instant, last: bool, shared: bool) {
        self.sent = Some(now);
        self.shared = shared;
        let last = if last { Self::LAST_SILENCE } else { Duration::ZERO };
        self.due = Some(now.max(self.console.busy_until) + self.patience() + last);
    }

    fn patience(&self) -> Duration {
        self.answers.patience(self.cost_of_haste())
    }

    /// What a frame costs that was sent again too early: others on the link pay for it too.
    fn cost_of_haste(&self) -> Duration {
        if self.shared { Console::ASSUMED } else { self.console.cost }
    }

    /// The sled asked for more; or `again` for what had been sent, when its own timer was
    /// faster.
    pub(super) fn heard(&mut self, now: Instant, again: bool) -> Heard {
        let answered = self.sent.is_some();
        let mut needed = again || self.tried > 0;
        if again {
            self.console.unanswered(self.tried);
        }
        if let Some(sent) = self.sent.filter(|_| !again) {
            // An answer to a repeat takes as long as one to the batch at least.
            let since_try = now.since(self.first_try);
            let in_vain = self.tried > 0 && self.answers.rule_out(since_try) || self.was_late();
            if in_vain {
                self.answers.too_hasty();
            } else if self.tried > 0 {
                let once = (self.rounds, self.in_round) <= (1, 0);
                self.console.guess(now, once, self.answers.least);
                self.answers.not_too_hasty(self.cost_of_haste());
                self.answers.learn_most(since_try, self.cost_of_haste());
            }
            let late = self.answers.late(now.since(sent)).filter(|_| self.tried == 0);
            let idle = self.console.is_idle(sent);
            let disturbed = self.console.measuring || self.backlog.granted;
            if !disturbed && (self.tried == 0 && idle || in_vain) {
                self.answers.learn(now.since(sent));
            }
            self.console.answered(self.tried, late);
            if self.tried == 0 {
                // It got to the batch, so it has dropped all that came before that.
                self.console.busy_until = self.console.busy_until.min(now);
            }
            if let Some(dropped) = self.backlog.answered(now, self.tried, self.console.cost) {
                self.console.busy_until = self.console.busy_until.max(dropped);
            }
            needed &= !in_vain;
        }
        Heard { answered, tried: self.stop(), needed }
    }

    /// Whether an answer most likely was late, and nothing lost: chance loses any frame of a
    /// batch, so it seldom takes but a few repeats to find it, and hardly ever twice in a row.
    /// Where queues lose the tails of batches it does: so this is believed for a few times only,
    /// until a batch is answered without repeats.
    fn was_late(&mut self) -> bool {
        let few = (1..Self::FEW).contains(&self.tried);
        self.in_few = match (self.tried, few) {
            (0, _) => 0,
            (_, true) => self.in_few + 1,
            (_, false) => self.in_few.min(1),
        };
        few && (2..Self::MOST_LATE).contains(&self.in_few)
    }

    /// Whether the sled's time to drop a frame is to be measured at `now`, by
    /// [`Repair::PROBES`] frames that it has long had before the last one of a batch.
    pub(super) fn wants_probes(&self, now: Instant) -> bool {
        let console = &self.console;
        console.repairs == 0
            && !console.measuring
            && console.is_idle(now)
            && self.answers.counted > 0
    }

    /// The frames that measure go out.
    pub(super) fn probed(&mut self, now: Instant) {
        self.console.measuring = true;
        for _ in 0..Self::PROBES {
            self.console.repeat(now);
        }
    }

    /// The sled answered something else within this time.
    pub(super) fn answers_within(&mut self, time: Duration) {
        self.answers.learn_most(time, self.console.cost);
    }

    /// The least time that an answer takes.
    pub(super) fn least_answer(&self) -> Duration {
        self.answers.smoothed.map_or(Duration::ZERO, |_| self.answers.least)
    }

    /// Whether all has been sent once more by now, and nothing after that.
    pub(super) fn first_round_over(&self) -> bool {
        (self.rounds, self.in_round) == (1, 0)
    }

    /// The batch matters no more. Returns how many of its frames were sent again.
    pub(super) fn stop(&mut self) -> u32 {
        self.sent = None;
        self.due = None;
        self.rounds = 0;
        self.in_round = 0;
        self.console.stop();
        std::mem::take(&mut self.tried)
    }

    /// When [`Repair::take`] has something to send.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Which of `unacknowledged` offsets (the order is that of sending) to send again at
    /// `now`, if it is time. Last ones first: a queue that overflowed lost the tail. Now and then
    /// it is one that the sled has long `had`, if there is one: see [`bursts`].
    pub(super) fn take(
        &mut self,
        now: Instant,
        unacknowledged: &[u64],
        had: Option<u64>,
    ) -> Option<u64> {
        let due = self.due.filter(|&due| due <= now)?;
        let Some(index) = unacknowledged.len().checked_sub(1 + self.in_round) else {
            self.due = None;
            return None;
        };
        if self.tried == 0 {
            self.first_try = now;
        } else if self.in_round == 0 {
            self.console.stop();
            self.console.unanswered(self.tried);
            if !self.console.is_idle(now) {
                self.due = Some(self.console.busy_until + self.patience());
                return None;
            }
        }
        self.tried += 1;
        self.console.repeat(now);
        let cost = self.console.cost;
        let bursting = !self.shared && self.rounds < Self::BURSTING && self.in_round >= Self::SLOW;
        let bursts = self.console.bursts().filter(|_| bursting);
        let leading = had.filter(|_| bursts.as_ref().is_some_and(|bursts| bursts.leads()));
        let spacing = match bursts.filter(|_| had.is_some()) {
            Some(bursts) => bursts.sent(now, cost),
            None if self.rounds == 0 && self.in_round + 1 < Self::SLOW => {
                cost.max(Self::SLOW_SPACING.min(Self::SLOWER * cost))
            }
            None => cost,
        };
        // A caller who comes late may catch up on a few, not on all.
        let late = (4 * cost).max(Self::LATE);
        self.due = Some(due.max(now - late) + spacing);
        if leading.is_some() {
            return leading;
        }
        self.in_round += 1;
        if index == 0 {
            self.rounds += 1;
            self.in_round = 0;
            let patience = self.patience() * 2_u32.pow(self.rounds);
            self.due =
                (self.rounds < Self::ROUNDS).then(|| self.console.busy_until.max(now) + patience);
        }
        Some(unacknowledged[index])
    }
}
