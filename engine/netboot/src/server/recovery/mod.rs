//! When to send a batch again before its sled asks for it, and how fast: see `docs/recovery.md`.
//!
//! A sled acknowledges a batch only by asking for the next one, and asks again for what it lacks
//! only after a second. A silent sled is late, or has lost a frame. Its unacknowledged offsets are
//! retransmitted, one by one, once loss is the likelier of the two.

mod answers;
mod budget;
mod loss;
mod spacing;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::answers::Answers;
use self::budget::Budget;
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
    /// When the sled will have dropped earlier retransmits.
    drained: Instant,
    /// When it asked for the batch in flight.
    went_on: Instant,
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
    /// The retransmission timeout.
    rto: Duration,
    /// The time between retransmits.
    gap: Duration,
    /// Completed rounds through the unacknowledged offsets.
    rounds: u32,
    in_round: usize,
    /// The number of retransmits, and when the first and the last went out.
    tried: u32,
    first_try: Instant,
    last_try: Instant,
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
    const SLED_TIMER: Duration = Duration::from_secs(1);
    /// The burst of retransmits after a late call.
    const LATE: u32 = 4;

    /// For a boot of this many frames.
    pub(super) fn new(frames: u64) -> Self {
        Self {
            answers: Answers::default(),
            loss: BaselineLoss::default(),
            spacing: Spacing::default(),
            budget: Budget::new(frames),
            batch: None,
            due: None,
            drained: Instant::ZERO,
            went_on: Instant::ZERO,
        }
    }

    /// The sled starts over with a boot of this many frames; its estimates stay.
    pub(super) fn restart(&mut self, frames: u64) {
        self.stop();
        self.budget = Budget::new(frames);
    }

    /// All `frames` that the sled asked for went out at `now`, on a link of which a batch loses a
    /// frame with probability `link`; `last` if its image's end was among them.
    pub(super) fn batch_sent(&mut self, now: Instant, frames: usize, last: bool, link: f64) {
        let loss = self.loss.of_sled(link);
        let rto = self.rto(loss);
        let ready = now.max(self.drained);
        self.budget.earn(loss::proven(link));
        let silence = if last { Self::LAST_SILENCE } else { Duration::ZERO };
        self.due = Some(ready + rto + silence);
        self.batch = Some(Outstanding {
            sent: now,
            ready,
            frames,
            loss,
            rto,
            gap: self.spacing.gap(),
            rounds: 0,
            in_round: 0,
            tried: 0,
            first_try: now,
            last_try: now,
        });
    }

    /// The batch that just went out began at `begun`, after other members had asked for it.
    pub(super) fn waited(&mut self, begun: Instant) {
        if let Some(batch) = &self.batch
            && begun.since(self.went_on) > batch.sent.since(begun)
        {
            self.spacing.waited();
        }
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
        let Some(batch) = self.batch else {
            if again {
                self.budget.earn(1.0);
            }
            return Heard { lost: f64::from(u8::from(again)), ..Heard::default() };
        };
        let lost = if again {
            self.spacing.forget();
            1.0
        } else if batch.tried == 0 {
            let waited = now.since(batch.sent);
            let late = now.since(batch.ready).saturating_sub(batch.rto);
            let out = batch.sent.since(self.went_on);
            self.spacing.settle(now.since(self.went_on), out, late, batch.rto);
            // Dropping earlier retransmits is not part of its answer time.
            let waited = waited.min(now.since(batch.ready).max(self.answers.median()));
            self.answers.add(waited, 1.0);
            0.0
        } else {
            self.repaired(now, &batch)
        };
        self.loss.add(lost);
        if lost >= 0.5 {
            self.budget.earn(1.0);
        }
        self.went_on = now;
        Heard { answered: true, tried: self.stop(), lost }
    }

    /// The sled answered a batch after retransmits. Returns the probability that it had lost a
    /// frame.
    fn repaired(&mut self, now: Instant, batch: &Outstanding) -> f64 {
        let waited = now.since(batch.ready);
        let took = now.since(batch.first_try).saturating_sub(self.answers.least());
        // Of k lost frames, the last is found where the largest of k uniform numbers lies.
        let frames = batch.frames as f64;
        let k = loss::frames_lost(batch.loss, batch.frames);
        let part = (f64::from(batch.tried) / frames).min(1.0);
        let round = frames * batch.gap.as_secs_f64();
        let found = k * part.powf(k - 1.0) / round;
        // An answer that is late by the timeout may be late by any factor: the tail has no scale.
        let rto = batch.rto.max(Answers::TYPICAL).as_secs_f64();
        let came = rto / waited.as_secs_f64().max(rto).powi(2);
        let odds = odds(batch.loss) / doubted(batch.loss) * found / came;
        let lost = odds / (odds + 1.0);
        self.spacing.forget();
        if lost < 0.5 {
            self.answers.add(waited, 1.0 - lost);
        } else if (batch.rounds, batch.in_round) <= (1, 0) {
            let span = batch.last_try.since(batch.first_try);
            self.spacing.repaired(took, batch.tried, span, batch.rto);
        }
        if lost >= 0.5 {
            let within = batch.rounds == 0 || took.as_secs_f64() <= round;
            // Other sleds' turns may have slowed them down.
            let span = batch.last_try.since(batch.first_try);
            let pace = span / batch.tried.saturating_sub(1).max(1);
            self.spacing.kept_pace(within, k, pace.max(batch.gap));
        }
        // The time for what it has not dropped yet: all of it for a late sled; for one that lacked
        // a frame, what came too fast. After a whole round it may be slower than assumed, and if
        // each batch needs a repair, nothing else would show that.
        let slower = if batch.rounds == 0 { 1.0 } else { Spacing::GROWTH };
        let all = self.spacing.cost().mul_f64(slower) * batch.tried;
        let mut left = all.mul_f64(1.0 - lost) + all.saturating_sub(took).mul_f64(lost);
        // Where in the first round the last lost frame was expected, and the probability that its
        // retransmit was lost too.
        let expected = frames * k / (k + 1.0);
        let again = 1.0 - (1.0 - k / frames * batch.loss).powf(k);
        let after = batch.rounds > 0 && took.as_secs_f64() > Spacing::GROWTH * round;
        if lost >= 0.5 && self.spacing.outran(after, again) {
            // As much time again for what it still has to drop as it took beyond that.
            left = left.max(took.mul_f64((f64::from(batch.tried) / expected - 1.0).max(0.0)));
        }
        // Two rounds must fit in before the sled's own timer: a choice, a quarter of that.
        self.drained = now + left.min(Self::SLED_TIMER / 4);
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
    /// first: a queue that overflowed lost the tail.
    pub(super) fn take(&mut self, now: Instant, unacknowledged: &[u64], link: f64) -> Option<u64> {
        let due = self.due.filter(|&due| due <= now)?;
        self.due = None;
        let batch = self.batch.as_mut()?;
        let index = unacknowledged.len().checked_sub(1 + batch.in_round)?;
        if now.since(batch.sent) >= Self::SLED_TIMER {
            return None;
        }
        if !self.budget.take() {
            // Waits until other sleds' losses pay for it.
            self.budget.earn(loss::proven(link));
            self.due = Some(now + Self::LAST_SILENCE);
            return None;
        }
        if batch.tried == 0 {
            batch.first_try = now;
        }
        batch.last_try = now;
        batch.tried += 1;
        batch.in_round += 1;
        let gap = batch.gap;
        let mut next = due.max(now - Self::LATE * gap) + gap;
        if index == 0 {
            batch.rounds += 1;
            batch.in_round = 0;
            self.budget.earn(loss::proven(link));
            // RFC 6298, section 5.5: back off. While the sled's cost is unknown, it gets as long
            // again as the round took.
            let round = now.since(batch.first_try);
            // What the link has revealed since the batch went out counts too.
            let rto = batch.rto.min(self.answers.tail(doubted(self.loss.of_sled(link))));
            let backoff = rto * 2_u32.pow(batch.rounds);
            let wait = if self.spacing.is_measured() { backoff } else { backoff.max(round) };
            next = (now + gap).max(batch.first_try + self.spacing.cost() * batch.tried) + wait;
        }
        self.due = Some(next);
        Some(unacknowledged[index])
    }
}

/// The odds of a loss.
fn odds(loss: f64) -> f64 {
    loss / (1.0 - loss)
}

/// The share of answers still to come at which the server retransmits: no more than losses explain,
/// and never more than an eighth. The eighth is a choice: a spurious retransmit in one answer of
/// eight costs a frame or two, which is little where most batches lose some.
fn doubted(loss: f64) -> f64 {
    odds(loss).min(0.125)
}
