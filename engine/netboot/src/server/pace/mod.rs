//! How fast frames may go out: see `docs/recovery.md`, "Pacing".
//!
//! A full queue gives no sign before it drops, and a late answer says more about the machines than
//! about the queues between them. So only losses change the rate: a path that loses nothing is
//! never slowed.

mod bandwidth;
#[cfg(test)]
mod batches;
mod cohort;
mod cubic;
mod overload;
#[cfg(test)]
mod tests;
mod trial;
#[cfg(test)]
mod trials;

use std::time::Duration;

use boot_format::wire::SLOTS;

use self::bandwidth::Bandwidth;
use self::cohort::{Cohort, Outcome};
use self::cubic::Cubic;
use self::overload::Overload;
use self::trial::{Trial, Verdict};
use super::sent_batch::Answer;
use crate::time::Instant;

/// How fast DATA frames may go out on a link.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Pace {
    /// As fast as the path carries them, which is measured.
    #[default]
    Auto,
    /// The same, but never more than this many frames per second, or than [`Pace::LEAST`] if
    /// that is more.
    AtMost(f64),
    /// As fast as the link takes them.
    Unlimited,
}

impl Pace {
    /// The lowest rate in frames per second: that of a link of 10 Mbit/s.
    pub const LEAST: f64 = 1_200.0;
}

/// The pacer of all frames on one link, or of those to one sled.
#[derive(Debug)]
pub(super) struct Pacer {
    /// Whether answers change the rate.
    learns: bool,
    state: State,
    /// Frames per second; infinite while unlimited.
    rate: f64,
    /// The configured limit in frames per second.
    ceiling: f64,
    /// When the next frames may go.
    next: Instant,
    /// Whether the sender was idle.
    resting: bool,
    bandwidth: Bandwidth,
    /// When the rate last changed: batches begun before say nothing about it.
    changed: Instant,
    /// How many batches begun since were answered, and one bit for each of the last eight, set if
    /// it had lost a frame.
    answers: u32,
    losses: u8,
    /// The first batches since then, until all of them were answered; none before frames were lost.
    cohort: Option<Cohort>,
    overload: Overload,
    /// Answers for which losses still count as chance, and the trials that showed them to be.
    spared: u32,
    vain: u32,
    /// The rate at which slow start ended although no batch had shown what is delivered.
    started: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Slow start (RFC 5681, section 3.1): the rate doubles with each round trip.
    SlowStart,
    /// Nothing was lost at any rate, so there is no limit.
    Open,
    /// Frames were lost: the rate is held a little above the delivery rate.
    Delivered,
    /// Too many batches still lose frames: tries whether as many do at a lower rate.
    Trial(Trial),
    /// They did not: CUBIC raises the rate again.
    Cubic(Cubic),
}

impl Pacer {
    /// Faster than any link: no limit.
    const LIMIT: f64 = 4e6;
    /// The first rate: half that of a link of 1 Gbit/s.
    const START: f64 = 60_000.0;
    /// BBR's gain to probe for more bandwidth (draft-ietf-ccwg-bbr, section 5.6.1): with one batch
    /// in flight, it fills a queue of 26 frames at most.
    const PROBE: f64 = 1.25;
    /// The factor of a trial, CUBIC's (RFC 9438, section 4.6): low enough to drain a full queue.
    const BETA: f64 = 0.7;
    /// The factor while the delivery rate is unknown: from half a gigabit per second to under a
    /// hundred megabits.
    const BLIND: f64 = 0.125;
    /// Lossy batches among the last eight that limit the rate.
    const LOSSY: u32 = 2;
    /// The same at the start with a single sled, whose first batches chance may spoil.
    const LOSSY_ALONE: u32 = 4;
    /// Answers for which losses count as chance after the first vain trial; four times as many
    /// after each further one.
    const SPARED: u32 = 64;
    /// How many answers close the first cohort after a change: as many as in a trial.
    const ENOUGH: u32 = 8;
    /// The burst, in frames.
    const BURST: f64 = 8.0;
    /// How much lateness of the caller the bucket makes up for: four times what a sleep of the
    /// kernel is late by (50 us of timer slack, prctl(2)), but no more than a quarter of a batch.
    const LATE: Duration = Duration::from_micros(200);
    const MOST_LATE: f64 = 32.0;

    /// The pacer of a link.
    pub(super) fn of_link(pace: Pace) -> Self {
        match pace {
            Pace::Auto => Self::new(f64::INFINITY),
            Pace::AtMost(ceiling) => Self::new(ceiling.max(Pace::LEAST)),
            Pace::Unlimited => Self::unlimited(),
        }
    }

    /// The pacer of one sled on the link that has this one.
    pub(super) fn of_sled(&self) -> Self {
        if self.learns { Self::new(f64::INFINITY) } else { Self::unlimited() }
    }

    /// A pacer that never waits.
    pub(super) fn unlimited() -> Self {
        let (state, rate) = (State::Open, f64::INFINITY);
        Self { learns: false, state, rate, ..Self::new(f64::INFINITY) }
    }

    fn new(ceiling: f64) -> Self {
        Self {
            learns: true,
            state: State::SlowStart,
            rate: Self::START.min(ceiling),
            ceiling,
            next: Instant::ZERO,
            resting: false,
            bandwidth: Bandwidth::default(),
            changed: Instant::ZERO,
            answers: 0,
            losses: 0,
            cohort: None,
            overload: Overload::default(),
            spared: 0,
            vain: 0,
            started: 0.0,
        }
    }

    /// Never exceeds `ceiling` frames per second from now on.
    pub(super) fn cap(&mut self, ceiling: f64) {
        self.ceiling = ceiling;
        self.rate = if self.is_open() { ceiling } else { self.rate.min(ceiling) };
    }

    /// Whether frames may go out at `now`.
    pub(super) fn allows(&self, now: Instant) -> bool {
        self.next <= now
    }

    /// When frames may go out.
    pub(super) fn next(&self) -> Instant {
        self.next
    }

    /// Whether the path carries everything that can be sent, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether answers change the rate.
    pub(super) fn learns(&self) -> bool {
        self.learns
    }

    /// The sender is idle, so a late caller has missed nothing.
    pub(super) fn rest(&mut self) {
        self.resting = true;
    }

    /// Frames went out at `now`: a token bucket.
    pub(super) fn sent(&mut self, now: Instant, frames: usize) {
        if self.rate.is_infinite() {
            return;
        }
        // A fifth of the cost of `Duration::from_secs_f64`, which handles any number of seconds.
        let time = |frames: f64| Duration::from_nanos((frames / self.rate * 1e9 + 0.5) as u64);
        let mut slack = time(Self::BURST);
        if !std::mem::take(&mut self.resting) {
            slack = slack.max(Self::LATE.min(time(Self::MOST_LATE)));
        }
        self.next = self.next.max(now - slack) + time(frames as f64);
    }

    /// A batch was answered at `now`.
    pub(super) fn answered(&mut self, now: Instant, answer: &Answer) {
        self.measure(now, answer);
        if answer.first < self.changed {
            return;
        }
        self.answers += 1;
        self.losses = self.losses << 1 | u8::from(answer.lossy);
        self.spared = self.spared.saturating_sub(1);
        match self.state {
            State::SlowStart | State::Open => self.start(now, answer),
            State::Trial(mut trial) => {
                let outcome = self.outcome(now, answer);
                let verdict = trial.judge(answer, outcome);
                self.state = State::Trial(trial);
                if let Some(verdict) = verdict {
                    self.conclude(now, trial, verdict);
                }
            }
            State::Delivered | State::Cubic(_) => {
                if let Some(outcome) = self.outcome(now, answer) {
                    self.overload.add(outcome);
                }
                self.follow(now);
            }
        }
    }

    /// Whether it matters which batches went out.
    pub(super) fn counts(&self) -> bool {
        self.cohort.is_some()
    }

    /// All frames of a batch went out, the first of them at `first`.
    pub(super) fn batch_sent(&mut self, first: Instant) {
        if let Some(cohort) = self.cohort.as_mut().filter(|_| first >= self.changed) {
            cohort.sent();
        }
    }

    /// What became of batches, if it is known of all that went out as early as they did.
    fn outcome(&mut self, now: Instant, answer: &Answer) -> Option<Outcome> {
        let Some(cohort) = &mut self.cohort else {
            return Some(Outcome { batches: 1, lossy: u32::from(answer.lossy) });
        };
        cohort.answered(answer.last, answer.lossy);
        let enough =
            if let State::Trial(trial) = &self.state { trial.enough() } else { Self::ENOUGH };
        let outcome = cohort.outcome(now, enough)?;
        self.cohort = None;
        Some(outcome)
    }

    fn measure(&mut self, now: Instant, answer: &Answer) {
        // Karn's algorithm: an answer that follows retransmits is no sample.
        if answer.lossy || answer.tried {
            return;
        }
        let passed = answer.passed as f64;
        let sample = passed / now.since(answer.first).as_secs_f64().max(1e-9);
        // A sled's batch that took longer to send than its pacer wants, because others had their turns,
        // shows how often it has its turn: BBR calls such a sample limited by the application.
        let limited = answer.alone && self.rate.is_finite() && {
            let sending = answer.last.since(answer.first).as_secs_f64();
            passed * Self::PROBE < self.rate * sending
        };
        let known = self.bandwidth.get();
        if !limited || known > 0.0 && sample > known {
            self.bandwidth.add(sample);
        }
    }

    /// Slow start: no rate has been too high yet.
    fn start(&mut self, now: Instant, answer: &Answer) {
        let known = self.bandwidth.get() > 0.0;
        let most = if known || !answer.alone { Self::LOSSY } else { Self::LOSSY_ALONE };
        if self.losses.count_ones() >= most {
            if known {
                self.deliver(now);
            } else {
                self.started = self.rate.min(Self::LIMIT);
                let cubic = Cubic::new(now, self.started, None);
                self.try_lower(now, Self::BLIND * self.started, cubic);
            }
        } else {
            self.rise(now, answer);
        }
    }

    /// Slow start goes on if a batch that was begun at its rate arrived whole.
    pub(super) fn rise(&mut self, now: Instant, answer: &Answer) {
        if self.state == State::SlowStart && !answer.lossy && answer.first >= self.changed {
            self.set(now, 2.0 * self.rate);
            if self.rate >= Self::LIMIT.min(self.ceiling) {
                self.state = State::Open;
                self.rate = self.ceiling;
            }
        }
    }

    /// Frames have been lost: the rate follows what is delivered, or CUBIC.
    fn follow(&mut self, now: Instant) {
        let bad = self.spared == 0 && self.overload.is_likely();
        match self.state {
            State::Delivered if bad => {
                let high = self.bandwidth.get();
                let low = Self::BETA * high;
                // If nothing was measured, no more than arrives: that is surely carried.
                let rate =
                    if self.bandwidth.is_assumed() { low.min(self.arrived(now)) } else { low };
                self.try_lower(now, rate, Cubic::new(now, high, None));
            }
            State::Cubic(last) if bad => {
                self.try_lower(now, Self::BETA * self.rate, Cubic::new(now, self.rate, Some(last)));
            }
            State::Cubic(cubic) => self.limit(cubic.rate(now)),
            _ => self.limit(f64::INFINITY),
        }
    }

    /// How many frames of answered batches arrived per second since the rate changed.
    fn arrived(&self, now: Instant) -> f64 {
        let time = now.since(self.changed).as_secs_f64();
        f64::from(self.answers) * SLOTS as f64 / time.max(1e-9)
    }

    /// Ends a trial.
    fn conclude(&mut self, now: Instant, trial: Trial, verdict: Verdict) {
        let (Verdict::LosesLess(outcome) | Verdict::LosesAsMuch(outcome)) = verdict;
        self.overload.add_chance(outcome);
        match verdict {
            Verdict::LosesLess(_) if trial.deep => {
                self.bandwidth.assume(self.rate);
                self.deliver(now);
            }
            Verdict::LosesLess(_) => {
                let cubic = trial.cubic.begin(now);
                self.state = State::Cubic(cubic);
                self.set(now, cubic.rate(now));
            }
            Verdict::LosesAsMuch(_) => {
                self.restore(trial.deep);
                self.deliver(now);
            }
        }
    }

    /// A lower rate did not help, so neither did it before: back to where slow start ended, at once if
    /// nothing has been measured, else by doubling.
    fn restore(&mut self, deep: bool) {
        let known = self.bandwidth.get();
        let there = deep || Self::PROBE * known >= self.started;
        if deep {
            self.bandwidth.assume(self.started.max(known));
        } else if !there {
            self.bandwidth.assume(self.started.min(2.0 * known));
        }
        self.spared = Self::SPARED << (2 * self.vain);
        if there {
            self.vain = (self.vain + 1).min(8);
        }
    }

    fn try_lower(&mut self, now: Instant, rate: f64, cubic: Cubic) {
        self.state = State::Trial(Trial::new(rate, cubic));
        self.set(now, rate);
    }

    fn deliver(&mut self, now: Instant) {
        self.state = State::Delivered;
        self.set(now, f64::INFINITY);
    }

    fn set(&mut self, now: Instant, rate: f64) {
        self.changed = now;
        (self.answers, self.losses) = (0, 0);
        let starts = matches!(self.state, State::SlowStart | State::Open);
        self.cohort = (!starts).then(Cohort::default);
        self.overload.reset();
        self.limit(rate);
    }

    /// Sets the rate, at most a little above the delivery rate once frames have been lost.
    fn limit(&mut self, rate: f64) {
        let started = matches!(self.state, State::SlowStart | State::Open | State::Trial(_));
        let most = if started { rate } else { Self::PROBE * self.bandwidth.get() };
        self.rate = rate.min(most).max(Pace::LEAST).min(self.ceiling);
    }
}
