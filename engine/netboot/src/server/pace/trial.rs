//! How it is found out whether the rate is to blame for repeats, and which one is not.

use super::nearing::Nearing;
use super::{Pacer, State};
use crate::time::Instant;

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trial {
    /// The rate before, and how many repeats per frame there were then.
    before: f64,
    repeats: f64,
    /// How to go on if it helps; if that is not known, the rate has to be found.
    then: Option<Nearing>,
    /// Batches that are to tell.
    batches: usize,
}

impl Pacer {
    /// More repeats per frame than any chance makes necessary with which a sled boots at all.
    const HOPELESS: f64 = 1.5;

    /// A batch had to be repaired, after `bad` others in a row, and no more is known.
    pub(super) fn spoilt(&mut self, now: Instant, bad: u32) {
        self.state = State::Starting { bad: bad + 1 };
        let most = if self.is_shared() { Self::BAD } else { Self::BAD_ALONE };
        if bad + 1 >= most {
            self.try_lower(now);
        }
    }

    /// The rate is being found, and so much of it was `carried`, if nothing was lost.
    pub(super) fn find(&mut self, now: Instant, carried: Option<f64>, slow: u32, bad: u32) {
        match carried {
            Some(carried) if carried > Self::FOUND * self.rate => {
                self.state = State::FINDING;
                self.set(now, self.rate * Self::GROWTH);
            }
            Some(carried) if slow + 1 >= Self::SURE => {
                self.near(now, (self.rate / Self::GROWTH).max(carried));
            }
            Some(_) => self.state = State::Finding { slow: slow + 1, bad },
            // Chance spoils most batches of a lone sled, and the rest tell as much.
            None if self.is_shared() && bad + 1 >= Self::SURE => self.try_lower(now),
            None => self.state = State::Finding { slow, bad: bad + 1 },
        }
    }

    /// Whether a lower rate ought to be tried.
    pub(super) fn is_bad(&self) -> bool {
        let bad = self.outcomes.are_bad(self.bearable());
        bad && (!self.is_open() || self.outcomes.stay_bad())
    }

    /// Repeats per frame that give no cause for concern.
    pub(super) fn bearable(&self) -> f64 {
        let least = if self.is_open() { Self::BEARABLE_OPEN } else { Self::BEARABLE };
        (2.0 * self.usual.max(self.general)).max(least)
    }

    /// Tries a rate so low that it must help if the rate was to blame.
    pub(super) fn try_lower(&mut self, now: Instant) {
        let before = self.rate;
        let carried = self.outcomes.carried;
        let sure = self.is_open() && carried > Self::FIRST;
        let nearing = |times, low, high| Some(Nearing::new(now, times, low, high));
        let then = match self.state {
            _ if sure => nearing(1, carried, carried * 1.05),
            State::Starting { .. } | State::Open => None,
            // Not even the low rate was low enough.
            State::Nearing(last) if before < last.low + (last.high - last.low) / 4.0 => {
                nearing(1, last.low * Nearing::LOWER, last.low)
            }
            State::Nearing(last) => {
                let confirmed = (before / last.bad - 1.0).abs() < 0.1;
                if confirmed {
                    let times = last.times.saturating_mul(2);
                    nearing(times, last.low.max(before * Nearing::LOW), before)
                } else {
                    Some(Nearing::unsure(now, before))
                }
            }
            State::Finding { .. } | State::Trying(_) => nearing(1, before / Self::GROWTH, before),
        };
        // No more than the goodput gets through, however much is sent. While the rate is being
        // found there have been too few answers to know it, but the rate before was carried.
        let least = if then.is_none() { Self::FIRST } else { Self::FLOOR };
        let goodput = match self.state {
            State::Finding { .. } => f64::INFINITY,
            _ => self.outcomes.goodput().max(least),
        };
        let rate = then.map_or(goodput, |then| goodput.min(then.low * Self::LOWER));
        let rate = rate.max(self.proven);
        let rate = rate.min(before * Self::LOWER);
        // At the start, nobody knows yet how costly repeats are, so it had better not take long.
        let batches = match self.state {
            State::Starting { .. } => Self::SLED_WINDOW,
            _ => self.window / 2,
        };
        self.state =
            State::Trying(Trial { before, repeats: self.outcomes.repeats(), then, batches });
        self.set(now, rate);
    }

    /// Whether the rate that is tried is better than the one before.
    pub(super) fn judge(&mut self, now: Instant, trial: Trial) {
        let found = self.outcomes.repeats();
        let clear = self.outcomes.len() >= Self::SLED_WINDOW && found < trial.repeats / 8.0;
        // A lone sled pays for every batch of it, and chance spares some of them.
        let vain = !self.is_shared()
            && self.outcomes.len() >= Self::VAIN
            && found > Self::LOWER * trial.repeats;
        if self.outcomes.len() < trial.batches && !clear && !vain {
            return;
        }
        if found < (trial.repeats / 2.0).max(Self::BEARABLE / 2.0) {
            // So many are hardly usual: the rate may still be too high.
            self.usual = if found < 2.0 * Self::BEARABLE { found } else { self.usual };
            match trial.then {
                Some(nearing) => {
                    self.state = State::Nearing(nearing.from(now));
                    self.set(now, nearing.low);
                }
                None => {
                    self.state = State::FINDING;
                    self.set(now, self.rate);
                }
            }
            return;
        }
        if trial.then.is_none() && found > Self::HOPELESS && self.rate > Self::FLOOR {
            self.state = State::Trying(Trial { batches: Self::SLED_WINDOW, ..trial });
            self.set(now, self.rate / 4.0);
            return;
        }
        self.usual = self.usual.max(found.min(trial.repeats).min(Self::MOST_USUAL));
        match trial.then {
            Some(_) => self.near(now, trial.before),
            None => {
                self.state = State::Open;
                self.set(now, self.ceiling);
            }
        }
    }

    /// A rate is good, or no worse than another one; whether a higher one is, time must tell.
    fn near(&mut self, now: Instant, rate: f64) {
        self.state = State::Nearing(Nearing::quick(now, rate));
        self.set(now, rate);
    }
}
