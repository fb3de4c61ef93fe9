//! The scheduler: whose frames go next.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::table::SledId;
use crate::time::Instant;

/// Sleds with something to send, in the order of their turns.
///
/// Batches are begun one after another, and a limited number are in flight at a time: see
/// [`Turns::next`]. Those begun take turns of a few frames each (round robin).
#[derive(Debug)]
pub(super) struct Turns {
    /// By [`SledId::index`].
    standings: Vec<Standing>,
    /// Batches that have been begun, in the order of their turns.
    begun: VecDeque<SledId>,
    /// Batches to be begun, of verified sleds.
    known: VecDeque<SledId>,
    /// Batches to be begun, of unverified sleds.
    new: VecDeque<SledId>,
    /// Sleds that are due a retransmit, in the order of their turns.
    mending: VecDeque<SledId>,
    /// Sleds held back by their own pacer, and until when.
    held: BinaryHeap<Reverse<(Instant, SledId)>>,
    /// Batches in flight: begun and not answered; and those of unverified sleds.
    flight: usize,
    flight_new: usize,
    /// How many may be in flight.
    window: usize,
    /// Batches of verified sleds begun since the last one of an unverified sled.
    since_new: usize,
    /// How many batches may be in flight to unverified sleds: fewer, the less often they turn out
    /// to be real.
    trust: usize,
    /// Whether the last turn was a retransmit's.
    mended: bool,
}

/// A sled's state in the scheduler.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    /// It has nothing to send.
    #[default]
    Away,
    /// Queued; its batch has not begun.
    Waiting,
    /// Queued; its batch has begun.
    Begun { known: bool },
    /// Its whole batch has been sent, and not answered.
    Unanswered { known: bool },
    /// Queued for a retransmit; `first` if that is of an unverified sled's batch.
    Mending { first: bool },
}

impl Turns {
    /// Frames that a sled may send in one turn. Small, so that a sled with a short request waits
    /// for a few frames of each other sled, not for whole batches.
    pub(super) const QUANTUM: usize = 8;
    /// Batches in flight to unverified sleds while there are no others, or if most turn out to be
    /// real.
    const MOST_NEW: usize = 8;
    /// Batches of verified sleds for each one of an unverified sled, in flight and begun (slightly
    /// fewer), if none turn out to be real: the inverse of the share of the link that a flood of
    /// invented sleds can draw.
    const KNOWN_FIRST: usize = 16;

    /// The largest table that debug builds check before each turn: a check is linear.
    const MOST_CHECKED: usize = 64;

    /// A scheduler without sleds; if `unlimited`, any number of batches may be in flight.
    pub(super) fn new(unlimited: bool) -> Self {
        Self {
            standings: Vec::new(),
            begun: VecDeque::new(),
            known: VecDeque::new(),
            new: VecDeque::new(),
            mending: VecDeque::new(),
            held: BinaryHeap::new(),
            flight: 0,
            flight_new: 0,
            window: if unlimited { usize::MAX } else { 1 },
            since_new: 0,
            trust: Self::MOST_NEW,
            mended: false,
        }
    }

    /// A sled has asked for something. If it is queued already, it keeps its place.
    pub(super) fn ask(&mut self, sled: SledId, known: bool) {
        match self.standing(sled) {
            Standing::Waiting | Standing::Begun { .. } => return,
            Standing::Away => {}
            standing @ (Standing::Unanswered { .. } | Standing::Mending { .. }) => {
                self.judge(standing, known);
                self.leave(sled);
            }
        }
        self.put(sled, Standing::Waiting);
        if known { &mut self.known } else { &mut self.new }.push_back(sled);
    }

    /// Queues a sled for a retransmit, or for being left to its own timer.
    pub(super) fn mend(&mut self, sled: SledId) {
        let first = match self.standing(sled) {
            Standing::Waiting | Standing::Begun { .. } | Standing::Mending { .. } => return,
            Standing::Away => false,
            Standing::Unanswered { known } => {
                self.leave(sled);
                !known
            }
        };
        if first {
            self.distrust();
        }
        self.put(sled, Standing::Mending { first });
        self.mending.push_back(sled);
    }

    /// Adjusts the trust in unverified sleds by an answer: it verified its sled if `known`.
    fn judge(&mut self, standing: Standing, known: bool) {
        match standing {
            Standing::Unanswered { known: false } if !known => self.distrust(),
            Standing::Unanswered { known: false } | Standing::Mending { first: true } if known => {
                self.trust = (self.trust + 1).min(Self::MOST_NEW);
            }
            _ => {}
        }
    }

    /// A batch to an unverified sled went unanswered.
    fn distrust(&mut self) {
        self.trust = (self.trust - 1).max(1);
    }

    /// Takes the sled whose turn it is at `now`; [`Turns::resume`], [`Turns::hold`],
    /// [`Turns::sent`] or [`Turns::leave`] must follow. Retransmits get every second turn.
    pub(super) fn next(&mut self, now: Instant) -> Option<SledId> {
        debug_assert!(self.standings.len() > Self::MOST_CHECKED || self.is_consistent());
        while self.held.peek().is_some_and(|Reverse((due, _))| *due <= now) {
            let Some(Reverse((_, sled))) = self.held.pop() else {
                break;
            };
            self.resume(sled);
        }
        self.begin();
        let mend = self.begun.is_empty() || !self.mended;
        self.mended = mend && !self.mending.is_empty();
        if self.mended { self.mending.pop_front() } else { self.begun.pop_front() }
    }

    /// Begins batches while more may be in flight.
    fn begin(&mut self) {
        while self.flight < self.window {
            let new_may = self.new_may();
            let first = Self::KNOWN_FIRST * (Self::MOST_NEW - self.trust) / Self::MOST_NEW;
            let known = !(self.known.is_empty() || new_may && self.since_new >= first);
            let sled = match known {
                true => self.known.pop_front(),
                false if new_may => self.new.pop_front(),
                false => None,
            };
            let Some(sled) = sled else {
                break;
            };
            self.since_new = if known { self.since_new + 1 } else { 0 };
            self.flight += 1;
            self.flight_new += usize::from(!known);
            self.put(sled, Standing::Begun { known });
            self.begun.push_back(sled);
        }
    }

    /// Whether an unverified sled's batch may begin.
    fn new_may(&self) -> bool {
        let known = self.flight - self.flight_new;
        let alone = known == 0 && self.known.is_empty();
        let most = if alone { Self::MOST_NEW } else { self.trust.max(known / Self::KNOWN_FIRST) };
        self.flight_new < most.min(Self::MOST_NEW) && !self.new.is_empty()
    }

    /// Queues a sled that has more to send for its next turn.
    pub(super) fn resume(&mut self, sled: SledId) {
        match self.standing(sled) {
            Standing::Begun { .. } => self.begun.push_back(sled),
            Standing::Mending { .. } => self.mending.push_back(sled),
            Standing::Away | Standing::Waiting | Standing::Unanswered { .. } => {}
        }
    }

    /// Queues a sled whose frames may not go before `due`.
    pub(super) fn hold(&mut self, sled: SledId, due: Instant) {
        self.held.push(Reverse((due, sled)));
    }

    /// Everything that a sled has asked for has been sent.
    pub(super) fn sent(&mut self, sled: SledId) {
        match self.standing(sled) {
            Standing::Begun { known } => self.put(sled, Standing::Unanswered { known }),
            Standing::Mending { .. } => self.put(sled, Standing::Away),
            Standing::Away | Standing::Waiting | Standing::Unanswered { .. } => {}
        }
    }

    /// Whether a batch waits only because too many are in flight.
    pub(super) fn is_crowded(&self) -> bool {
        self.flight >= self.window && !(self.known.is_empty() && self.new.is_empty())
    }

    /// Whether nothing can be sent although something is queued.
    pub(super) fn is_stuck(&self) -> bool {
        self.begun.is_empty() && self.is_crowded()
    }

    /// Whether a queued sled is held back by its own pacer.
    pub(super) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// Allows one more batch in flight.
    pub(super) fn widen(&mut self) {
        self.window = self.window.saturating_add(1);
    }

    /// Allows only one batch in flight, until that has gone well.
    pub(super) fn narrow(&mut self) {
        self.window = 1;
    }

    /// When the next turn is due, if a sled waits for one.
    pub(super) fn due(&self) -> Option<Instant> {
        let may_begin = self.flight < self.window && (!self.known.is_empty() || self.new_may());
        if may_begin || !self.begun.is_empty() || !self.mending.is_empty() {
            return Some(Instant::ZERO);
        }
        self.held.peek().map(|Reverse((due, _))| *due)
    }

    /// Removes a sled; answers to what it was sent no longer matter.
    pub(super) fn leave(&mut self, sled: SledId) {
        match self.standing(sled) {
            Standing::Away => return,
            Standing::Waiting => {
                self.known.retain(|&other| other != sled);
                self.new.retain(|&other| other != sled);
            }
            Standing::Begun { known } | Standing::Unanswered { known } => {
                self.flight -= 1;
                self.flight_new -= usize::from(!known);
                self.begun.retain(|&other| other != sled);
            }
            Standing::Mending { .. } => self.mending.retain(|&other| other != sled),
        }
        self.held.retain(|&Reverse((_, other))| other != sled);
        self.put(sled, Standing::Away);
    }

    fn standing(&self, sled: SledId) -> Standing {
        self.standings.get(sled.index()).copied().unwrap_or_default()
    }

    fn put(&mut self, sled: SledId, standing: Standing) {
        if self.standings.len() <= sled.index() {
            self.standings.resize(sled.index() + 1, Standing::Away);
        }
        self.standings[sled.index()] = standing;
    }

    /// Whether each sled is in exactly the queue that its state names, and the batches in flight
    /// are those begun and not answered.
    fn is_consistent(&self) -> bool {
        let waiting = self.known.iter().chain(&self.new).map(|&sled| (sled, true));
        let others = self.begun.iter().chain(&self.mending).map(|&sled| (sled, false));
        let held = self.held.iter().map(|&Reverse((_, sled))| (sled, false));
        let mut lines = vec![0; self.standings.len()];
        let in_line = waiting.chain(others).chain(held).all(|(sled, waits)| {
            lines[sled.index()] += 1;
            let standing = self.standing(sled);
            lines[sled.index()] == 1 && waits == (standing == Standing::Waiting)
        });
        let stands = |standing: &Standing| match standing {
            Standing::Away | Standing::Unanswered { .. } => 0,
            Standing::Waiting | Standing::Begun { .. } | Standing::Mending { .. } => 1,
        };
        let count = |is: fn(&Standing) -> bool| self.standings.iter().filter(|at| is(at)).count();
        let flight = count(|at| matches!(at, Standing::Begun { .. } | Standing::Unanswered { .. }));
        let new = count(|at| {
            matches!(at, Standing::Begun { known: false } | Standing::Unanswered { known: false })
        });
        in_line
            && self.standings.iter().map(stands).eq(lines)
            && (self.flight, self.flight_new) == (flight, new)
    }
}
