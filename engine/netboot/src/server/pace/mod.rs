//! How fast frames may go out: a small control loop that finds the rate that the way carries.
//!
//! Nothing tells of a full queue before it drops, and how long an answer takes tells more of
//! the machines at both ends than of the queues between them. What counts is how much has to be
//! sent again. Chance may explain that too, so a lower rate is tried: if it helps, the rate was
//! to blame and is kept low, then raised again with care; if it does not, the rate is restored,
//! and so many repeats are usual from then on.

mod nearing;
#[cfg(test)]
mod tests;
mod trial;

use std::time::Duration;

use self::nearing::Nearing;
use self::trial::Trial;
use super::outcomes::{Answer, Outcomes};
use super::table::SledId;
use crate::time::Instant;

/// How fast DATA frames may go out on a link.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Pace {
    /// As fast as the way carries them, which is found out.
    #[default]
    Auto,
    /// The same, but never more than so many frames per second.
    AtMost(f64),
    /// As fast as the link takes them.
    Unlimited,
}

/// The pace of all frames on one link, or of those to one sled.
#[derive(Debug)]
pub(super) struct Pacer {
    /// Whether answers change the rate.
    learns: bool,
    state: State,
    /// Frames per second, unless the way is open.
    rate: f64,
    /// The most frames per second that are wanted.
    ceiling: f64,
    /// When the next frames may go.
    next: Instant,
    /// Whether there was nothing to send.
    resting: bool,
    /// The rate was changed last at this moment: what was begun before tells nothing of it.
    changed: Instant,
    /// Batches by which the rate is judged, and what became of the last ones.
    window: usize,
    outcomes: Outcomes,
    /// Frames per second that reached a lone sled as fast as they were sent, of late.
    proven: f64,
    /// The last sled that did not answer in time, at the start.
    silent: Option<SledId>,
    /// Repeats per frame that no rate avoids; and of a sled's link, to all.
    usual: f64,
    general: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum State {
    /// Nothing is known. The rate grows fast until so many batches in a row had to be repaired,
    /// or it is as high as any.
    Starting { bad: u32 },
    /// No rate is known that would be too high.
    Open,
    /// A lower rate is tried.
    Trying(Trial),
    /// The rate helped. It grows fast, until so many answers have told that less was carried, or
    /// so many batches had to be repaired.
    Finding { slow: u32, bad: u32 },
    /// It nears the one that was too high.
    Nearing(Nearing),
}

impl State {
    const STARTING: Self = Self::Starting { bad: 0 };
    const FINDING: Self = Self::Finding { slow: 0, bad: 0 };
}

impl Pacer {
    /// Batches by which a link or a sled is judged.
    const LINK_WINDOW: usize = 32;
    const SLED_WINDOW: usize = 8;
    /// Faster than any link that is known: no limit.
    const LIMIT: f64 = 4e6;
    /// No rate is lower: what a link of 10 Mbit/s carries.
    const FLOOR: f64 = 1_200.0;
    /// The first rate that is tried is no lower: about what a link of 100 Mbit/s carries.
    const FIRST: f64 = 10_000.0;
    /// The rate at the start: about half of what a link of 1 Gbit/s carries.
    const START: f64 = 60_000.0;
    const DOUBLE: f64 = 2.0;
    /// Batches in a row that had to be repaired, after which a lower rate is tried at the start;
    /// of a lone sled, chance spoils as many too often.
    const BAD: u32 = 4;
    const BAD_ALONE: u32 = 8;
    /// Batches of a trial after which it is in vain if they need about as many repeats as before.
    const VAIN: usize = 4;
    /// Answers after which it is not by chance that less is carried than this share of the rate
    /// that is being found, or that batches had to be repaired.
    const SURE: u32 = 2;
    const FOUND: f64 = 0.93;
    /// If less than this share of the rate is carried, something else sets the pace.
    const CARRIED: f64 = 0.8;
    /// More repeats per frame never count as usual.
    const MOST_USUAL: f64 = 1.0;
    /// So many repeats per frame never call for a lower rate: busy machines cause as many.
    const BEARABLE: f64 = 0.1;
    /// Where no rate has been too high yet.
    const BEARABLE_OPEN: f64 = 0.15;
    /// How much the rate grows with each answer, while it is being found.
    const GROWTH: f64 = 1.5;
    /// How much less each answer makes of what was proven before.
    const FADING: f64 = 0.97;
    /// So many answers tell whether the rate had better not grow just now.
    const LATELY: usize = 4;
    /// What is tried, as a share of a rate that is about what is carried.
    const LOWER: f64 = 0.6;
    /// Frames that may go out at once.
    const BURST: f64 = 8.0;
    /// And what a caller who comes late may make up for.
    const LATE: Duration = Duration::from_micros(200);

    /// The pacer of a link.
    pub(super) fn of_link(pace: Pace) -> Self {
        let pacer = |state, ceiling| Self::new(state, ceiling, Self::LINK_WINDOW);
        match pace {
            Pace::Auto => pacer(State::STARTING, f64::INFINITY),
            Pace::AtMost(ceiling) => pacer(State::STARTING, ceiling.max(Self::FLOOR)),
            Pace::Unlimited => Self { learns: false, ..pacer(State::Open, f64::INFINITY) },
        }
    }

    /// The pacer of one sled on a link that has its own.
    pub(super) fn of_sled() -> Self {
        Self::new(State::Open, f64::INFINITY, Self::SLED_WINDOW)
    }

    fn new(state: State, ceiling: f64, window: usize) -> Self {
        let rate = if state == State::STARTING { Self::START } else { f64::INFINITY };
        Self {
            learns: true,
            state,
            rate: rate.min(ceiling),
            ceiling,
            next: Instant::ZERO,
            resting: false,
            changed: Instant::ZERO,
            window,
            outcomes: Outcomes::new(window),
            proven: 0.0,
            silent: None,
            usual: 0.0,
            general: 0.0,
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

    /// Whether the way carries all that can be sent, as far as is known.
    pub(super) fn is_open(&self) -> bool {
        self.state == State::Open
    }

    /// Whether answers make a difference.
    pub(super) fn learns(&self) -> bool {
        self.learns
    }

    /// Whether more has to be sent again than usual, and to most sleds.
    pub(super) fn is_suspect(&self) -> bool {
        matches!(self.state, State::Trying(_)) || self.outcomes.is_general(self.bearable())
    }

    /// Whether the last answers came from more sleds than one.
    pub(super) fn is_shared(&self) -> bool {
        self.outcomes.is_shared()
    }

    /// There is nothing to send, so that a late caller has missed nothing.
    pub(super) fn rest(&mut self) {
        self.resting = true;
    }

    /// Frames went out at `now`.
    pub(super) fn sent(&mut self, now: Instant, frames: usize) {
        if self.rate.is_infinite() {
            return;
        }
        let time = |frames: f64| Duration::from_secs_f64(frames / self.rate);
        let mut slack = time(Self::BURST);
        if !std::mem::take(&mut self.resting) {
            slack = slack.max(Self::LATE);
        }
        self.next = self.next.max(now - slack) + time(frames as f64);
    }

    /// A sled whose batch was answered at `now` is on a link with this pacer.
    pub(super) fn answered_on(&mut self, link: &Self, now: Instant, answer: &Answer) {
        self.general = link.usual;
        self.answered(now, answer);
    }

    /// All of a batch has been sent once more by `now`, and it has not been answered. At the start
    /// answers are slow to come where far too much is sent, unless it is sent to one sled only.
    pub(super) fn unanswered(&mut self, now: Instant, batch: &Answer) {
        let State::Starting { bad } = self.state else {
            return;
        };
        let others = self.silent.is_some_and(|sled| sled != batch.sled);
        self.silent = Some(batch.sled);
        if batch.first >= self.changed && (others || self.is_shared()) {
            self.outcomes.add(now, batch);
            self.spoilt(now, bad);
        }
    }

    /// A batch was answered at `now`.
    pub(super) fn answered(&mut self, now: Instant, answer: &Answer) {
        if answer.first < self.changed {
            return;
        }
        let time = now.since(answer.first).saturating_sub(answer.least);
        let carried = answer.passed as f64 / time.as_secs_f64().max(1e-9);
        let clean = answer.repeats == 0;
        self.outcomes.add(now, answer);
        if clean && self.rate > carried / Self::CARRIED {
            self.outcomes.carried = self.outcomes.carried.max(carried);
        }
        let sending = answer.last.since(answer.first).as_secs_f64();
        let sent = (answer.passed as f64 / sending.max(1e-9)).min(self.rate);
        let at_pace = sending * self.rate > Self::CARRIED * answer.passed as f64;
        self.prove(clean, carried, sent);
        let innocent = self.proven > Self::CARRIED * sent;
        match self.state {
            State::Trying(trial) => self.judge(now, trial),
            State::Starting { .. } if clean => {
                self.state = State::STARTING;
                self.set(now, self.rate * Self::DOUBLE);
            }
            State::Starting { .. } if innocent => self.state = State::STARTING,
            State::Starting { bad } => self.spoilt(now, bad),
            _ if !innocent && self.is_bad() => self.try_lower(now),
            State::Finding { slow, bad } => self.find(now, clean.then_some(carried), slow, bad),
            State::Nearing(mut nearing) => {
                let well = self.outcomes.late_repeats(Self::LATELY) <= self.bearable();
                let rate = nearing.answered(now, at_pace && well);
                self.state = State::Nearing(nearing);
                self.limit(rate);
            }
            State::Open => {}
        }
        if self.outcomes.is_renewed() {
            let found = self.outcomes.repeats();
            self.usual += (found - self.usual).min(0.0) / 4.0;
        }
    }

    /// A batch was `sent` at a rate and carried at another. Where only one is on its way at a
    /// time, one that is carried as fast as it is sent, and whole, shows that the way bears it;
    /// among those of others it may just have been lucky.
    fn prove(&mut self, clean: bool, carried: f64, sent: f64) {
        self.proven *= Self::FADING;
        if self.is_shared() {
            self.proven = 0.0;
        } else if clean && carried > Self::CARRIED * sent {
            self.proven = self.proven.max(carried.min(sent));
        }
    }

    fn set(&mut self, now: Instant, rate: f64) {
        self.changed = now;
        self.outcomes.clear();
        self.limit(rate);
    }

    fn limit(&mut self, rate: f64) {
        self.rate = rate.max(Self::FLOOR).min(self.ceiling);
        if rate >= Self::LIMIT.min(self.ceiling) {
            self.state = State::Open;
            self.rate = self.ceiling;
        }
    }
}
