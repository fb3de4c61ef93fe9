//! When to send a batch again before its sled asks for it, and how fast: see `docs/recovery.md`.
//!
//! A sled acknowledges a batch only by asking for the next one, and asks again for what it lacks
//! only after a second. A silent sled is late, or has lost a frame. Its unacknowledged offsets are
//! retransmitted, one by one, once loss is the likelier of the two.

mod answers;
mod budget;
mod costs;
mod loss;
mod spacing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::answers::Answers;
use self::budget::Budget;
use self::costs::{Busy, Cell};
use self::spacing::Spacing;
use crate::time::Instant;

pub(super) use self::loss::BaselineLoss;

/// The recovery of one sled's losses.
#[derive(Debug)]
pub(super) struct Recovery {
    answers: Answers,
    loss: BaselineLoss,
    spacing: Spacing,
    budget: Budget,
    /// The batch in flight.
    batch: Option<Outstanding>,
    /// When the next retransmit is due.
    due: Option<Instant>,
    /// Until when the sled dropped what was sent again before the batch, by what that costs, once any
    /// of it was retransmitted.
    before: Busy,
}

/// A batch that has been sent and is not acknowledged.
#[derive(Clone, Copy, Debug)]
struct Outstanding {
    /// When its last frame went out.
    sent: Instant,
    /// When the sled will have dropped earlier retransmits, and can be expected to answer.
    ready: Instant,
    frames: usize,
    /// The probability that a batch loses a frame.
    loss: f64,
    /// Whether other sleds use the link.
    crowded: bool,
    /// The time between retransmits, from the first one on.
    gap: Duration,
    /// Completed rounds through the unacknowledged offsets.
    rounds: u32,
    in_round: usize,
    /// The number of retransmits.
    tried: u32,
    /// When the first one of this round went out, and the last one of all.
    begun: Instant,
    last: Instant,
    /// When the first round began, and how long it took, once it is over.
    first: Option<(Instant, Duration)>,
}

/// What a READ reveals about the batch before it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Heard {
    /// Whether it had been sent completely and not answered before.
    pub(super) answered: bool,
    /// How many of its frames were retransmitted before the sled asked.
    pub(super) tried: u32,
    /// The probability that it had lost a frame.
    pub(super) lost: f64,
}

impl Recovery {
    /// After its last batch a sled sits still for 100 ms before FINISHED, unless it is woken: those
    /// OFFERs are out after 4 ms, and this allows twice that.
    const LAST_SILENCE: Duration = Duration::from_millis(10);
    /// The sled's own timer (netboot protocol): from then on it asks by itself.
    pub(super) const SLED_TIMER: Duration = Duration::from_secs(1);
    /// An answer that follows retransmits is a sample of how late answers are only if the probability
    /// that it follows a loss is below 0.05, the usual level of significance (Karn's algorithm
    /// takes none). One sled, 16 MiB, 1% lost: 0.1 makes 1% of difference, 0.25 makes 3%; at even
    /// odds, boots took 7% to 15% longer than with 0.25.
    const CERTAIN: f64 = 0.05;
    /// The burst of retransmits after a late call.
    const LATE: u32 = 4;
    /// How far apart rounds begin: the golden section of a batch spreads any number of them evenly.
    const STRIDE: usize = 79;

    /// For a boot of this many frames.
    pub(super) fn new(frames: u64) -> Self {
        Self {
            answers: Answers::default(),
            loss: BaselineLoss::default(),
            spacing: Spacing::default(),
            budget: Budget::new(frames),
            batch: None,
            due: None,
            before: Busy::default(),
        }
    }

    /// The sled starts over with a boot of this many frames; its estimates stay.
    pub(super) fn restart(&mut self, frames: u64) {
        self.stop();
        self.budget = Budget::new(frames);
    }

    /// All `frames` that the sled asked for went out at `now`, on a link of which a batch loses a
    /// frame with probability `link`, and that is `crowded` if others use it; `last` if its image's
    /// end was among them.
    pub(super) fn batch_sent(
        &mut self,
        now: Instant,
        frames: usize,
        last: bool,
        link: f64,
        crowded: bool,
    ) {
        let loss = self.loss.of_sled(link);
        let rto = self.rto(loss);
        let is_busy = self.spacing.surely_dropped() > now;
        let ready =
            if is_busy { now.max(self.spacing.dropped(doubted(loss), crowded)) } else { now };
        self.budget.earn(loss::proven(link));
        let silence = if last { Self::LAST_SILENCE } else { Duration::ZERO };
        self.due = Some(ready + rto + silence);
        self.batch = Some(Outstanding {
            sent: now,
            ready,
            frames,
            loss,
            crowded,
            gap: Duration::ZERO,
            rounds: 0,
            in_round: 0,
            tried: 0,
            begun: now,
            last: now,
            first: None,
        });
    }

    /// Leaves the batch to the sled's own timer.
    pub(super) fn wait(&mut self) {
        self.due = None;
    }

    /// The time after which a loss is likelier than a late answer.
    fn rto(&self, loss: f64) -> Duration {
        self.answers.tail(doubted(loss))
    }

    /// The sled asked for more, or, if its own timer was faster, `again` for what had been sent.
    pub(super) fn heard(&mut self, now: Instant, again: bool) -> Heard {
        let Some(batch) = self.batch.take() else {
            if again {
                self.budget.earn(1.0);
            }
            return Heard::default();
        };
        let lost = if again { 1.0 } else { self.answered(now, &batch) };
        if batch.tried > 1 {
            self.spacing.paced(batch.gap, batch.pace());
        }
        self.spacing.answered(now, batch.tried);
        self.loss.add(lost);
        if lost >= 0.5 {
            self.budget.earn(1.0);
        }
        self.due = None;
        Heard { answered: true, tried: batch.tried, lost }
    }

    /// The sled answered a batch. Returns how likely it had lost a frame.
    fn answered(&mut self, now: Instant, batch: &Outstanding) -> f64 {
        let answers = &self.answers;
        let lost = if batch.tried > 0 {
            self.spacing.weigh(&self.before, |cell| {
                let [found, came] =
                    [batch.found(now, cell, answers), batch.came(now, cell, answers)];
                [batch.loss * found, (1.0 - batch.loss) * came]
            })
        } else if self.spacing.surely_dropped() > batch.sent {
            let before = self.spacing.busy();
            self.spacing.weigh(&before, |cell| [0.0, batch.came(now, cell, answers)])
        } else {
            0.0
        };
        if batch.rounds == 0 && lost < Self::CERTAIN {
            // What it still had to drop is no part of its answer.
            let waited = now.since(batch.sent).min(now.since(batch.ready).max(answers.median()));
            self.answers.add(waited, 1.0 - lost);
        }
        lost
    }

    /// Forgets the batch. Returns how many of its frames were retransmitted.
    pub(super) fn stop(&mut self) -> u32 {
        self.due = None;
        self.batch.take().map_or(0, |batch| batch.tried)
    }

    /// When [`Recovery::take`] has something to send.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Which of the `unacknowledged` offsets (in the order of sending) to retransmit at `now`, if
    /// one is due, on a link where a batch loses a frame with probability `link`. The last ones
    /// first: a queue that overflowed lost the tail. Each round begins elsewhere: a queue that
    /// retransmits overflow too loses the same ones of each round.
    pub(super) fn take(&mut self, now: Instant, unacknowledged: &[u64], link: f64) -> Option<u64> {
        let due = self.due.filter(|&due| due <= now)?;
        self.due = None;
        let batch = self.batch.as_mut()?;
        let count = unacknowledged.len();
        let left = count.checked_sub(1 + batch.in_round)?;
        if now.since(batch.sent) >= Self::SLED_TIMER {
            return None;
        }
        if !self.budget.take() {
            // Waits until other sleds' losses pay for it.
            self.budget.earn(loss::proven(link));
            self.due = batch.before_its_timer(now + Self::LAST_SILENCE);
            return None;
        }
        if batch.tried == 0 {
            batch.gap = self.spacing.gap(batch.crowded);
            self.before = self.spacing.busy();
        }
        let index = (left + Self::STRIDE * batch.rounds as usize) % count;
        if batch.in_round == 0 {
            batch.begun = now;
        }
        self.spacing.sent(now, batch.in_round == 0);
        batch.last = now;
        batch.tried += 1;
        batch.in_round += 1;
        let gap = batch.gap;
        let mut next = due.max(now - Self::LATE * gap) + gap;
        if left == 0 {
            batch.first.get_or_insert((batch.begun, now.since(batch.begun)));
            batch.rounds += 1;
            batch.in_round = 0;
            self.budget.earn(loss::proven(link));
            // That it was lost in each round.
            let share = doubted(batch.loss * batch.lost_again().powf(f64::from(batch.rounds)));
            // Losses come in bursts too: no longer than with a timer that backs off (RFC 6298, section
            // 5.5).
            let backoff = self.answers.tail(doubted(batch.loss)) * 2_u32.pow(batch.rounds.min(10));
            let wait = self.answers.tail(share).min(backoff);
            next = (now + gap).max(self.spacing.dropped(share, batch.crowded)) + wait;
        }
        self.due = batch.before_its_timer(next);
        Some(unacknowledged[index])
    }
}

impl Outstanding {
    /// This time, unless the sled has asked by itself by then.
    fn before_its_timer(&self, at: Instant) -> Option<Instant> {
        (at.since(self.sent) < Recovery::SLED_TIMER).then_some(at)
    }

    /// How likely it is, per second, that a sled of this kind answers at `now` because nothing was
    /// lost.
    fn came(&self, now: Instant, cell: &Cell, answers: &Answers) -> f64 {
        let [from, to] = cell.busy.map(|busy| busy.max(self.sent));
        if from > now {
            return 0.0;
        }
        answers.density(now.since(to), now.since(from), to.since(from))
    }

    /// How likely it is, per second, that a sled of this kind answers at `now` because it has found
    /// all that was lost.
    fn found(&self, now: Instant, cell: &Cell, answers: &Answers) -> f64 {
        if cell.busy[0] > now {
            return 0.0;
        }
        let frames = self.frames as f64;
        let (first, pace) = (self.start(), self.pace());
        let round = |cost: Duration| frames * cost.max(pace).as_secs_f64();
        // A caller who comes late sends this many at once, and each waits for those before it.
        let turn = (pace * (Recovery::LATE + 1)).as_secs_f64();
        let (middle, longest) = (round(cell.middle()), round(cell.cost[1]));
        // Of k lost frames the last one is found where the largest of k uniform numbers lies.
        let among = |k: f64, begun: Instant| {
            let since = now.since(begun.max(cell.busy[0])).saturating_sub(answers.least());
            let part = (since.as_secs_f64() / middle).clamp(1.0 / frames, 1.0);
            let late = (since.as_secs_f64() - longest - turn).max(0.0);
            // Whatever is later than any place in the round explains, is as likely at any cost.
            let spread = longest / (longest + late);
            k * part.powf(k - 1.0) / middle * spread * answers.beyond(Duration::from_secs_f64(late))
        };
        let k = loss::frames_lost(self.loss, self.frames).max(1.0);
        let rounds = if self.in_round == 0 { self.rounds - 1 } else { self.rounds };
        let again = match rounds {
            0 => 0.0,
            // Its receive ring lost an unknown share of each (Laplace's rule of succession).
            _ if self.overflows(cell) => 1.0 / f64::from(rounds + 1),
            _ => self.lost_again().powf(f64::from(rounds)),
        };
        (1.0 - again) * among(k, first) + again * among(1.0, self.begun)
    }

    /// When the first retransmit went out.
    fn start(&self) -> Instant {
        self.first.map_or(self.begun, |(begun, _)| begun)
    }

    /// Whether the receive ring of a sled of this kind may have overflowed.
    fn overflows(&self, cell: &Cell) -> bool {
        let dropped = cell.busy[1].max(self.start()) + cell.cost[1] * self.tried;
        dropped.since(self.last) > cell.cost[1] * Busy::ROOM
    }

    /// The time between two retransmits of the first round.
    fn pace(&self) -> Duration {
        let (sent, took) = match self.first {
            Some((_, took)) => (self.frames, took),
            None => (self.in_round, self.last.since(self.begun)),
        };
        if sent > 1 { took.div_f64(sent as f64 - 1.0) } else { self.gap }
    }

    /// How likely it is that a retransmit was lost of a frame that was lost.
    fn lost_again(&self) -> f64 {
        let k = loss::frames_lost(self.loss, self.frames);
        1.0 - (1.0 - k / self.frames as f64 * self.loss).powf(k)
    }
}

/// The odds of a loss.
fn odds(loss: f64) -> f64 {
    loss / (1.0 - loss)
}

/// The share of answers still to come at which the server retransmits: no more than losses explain,
/// and never more than an eighth. The eighth is a choice: a spurious retransmit in one answer of
/// eight costs a frame or two, and leaves seven that show how long answers take.
fn doubted(loss: f64) -> f64 {
    odds(loss).min(0.125)
}
