//! Whose frames go next.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::table::SledId;
use crate::time::Instant;

/// Sleds with something to send, in the order of their turns.
///
/// Batches are begun one after another, and a limited number are on their way at a time: see
/// [`Turns::next`]. Those that have been begun take turns of a few frames each.
#[derive(Debug)]
pub(super) struct Turns {
    /// By [`SledId::index`].
    standings: Vec<Standing>,
    /// Batches that have been begun, in turn.
    begun: VecDeque<SledId>,
    /// Batches to be begun, of sleds that have shown that they are some.
    known: VecDeque<SledId>,
    /// Batches to be begun, of all others.
    new: VecDeque<SledId>,
    /// Sleds whose batch is to be sent again, in turn.
    mending: VecDeque<SledId>,
    /// Sleds that have to keep a pace of their own, until their next frames may go.
    held: BinaryHeap<Reverse<(Instant, SledId)>>,
    /// Batches that have been begun and not answered; and those of sleds not known.
    flight: usize,
    flight_new: usize,
    /// How many may be.
    window: usize,
    /// Batches of known sleds begun since one of others was.
    since_new: usize,
    /// Batches that may be on their way to sleds not known: fewer, the less often those that were
    /// sent turn out to be for sleds.
    trust: usize,
    /// Whether the last turn was for mending.
    mended: bool,
}

/// Where a sled stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Standing {
    /// Nowhere: nothing is to be sent to it.
    #[default]
    Away,
    /// In line, its batch is to be begun.
    Waiting,
    /// In line, its batch has been begun.
    Begun { known: bool },
    /// All of its batch has been sent, and it has not answered.
    Unanswered { known: bool },
    /// In line for a repeat; `first` if that is of a batch of a sled not known.
    Mending { first: bool },
}

impl Turns {
    /// Frames that a sled may send in one turn. Small, so that a sled with little to ask for
    /// waits for a few frames of each other sled, not for their whole batches.
    pub(super) const QUANTUM: usize = 8;
    /// Batches on their way to sleds that have not shown that they are some, while no others are,
    /// or if most do.
    const MOST_NEW: usize = 8;
    /// Batches of known sleds for one of others, of those on their way and of those begun (these
    /// a few less), if none of the others do: what a flood of invented sleds can draw is that share
    /// of the link.
    const KNOWN_FIRST: usize = 16;

    /// Sleds that are looked through before each turn, where that is done at all: in simulations.
    const MOST_CHECKED: usize = 64;

    /// Nobody's turns; if `unlimited`, any number of batches may be on their way.
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

    /// A sled has asked for something. One that stands in line already keeps its place.
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

    /// A sled's batch is to be sent again, or to be taken for answered.
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

    /// Draws from a sled's answer, by which it is `known` or is not, whether others like it are to
    /// be trusted.
    fn judge(&mut self, standing: Standing, known: bool) {
        match standing {
            Standing::Unanswered { known: false } if !known => self.distrust(),
            Standing::Unanswered { known: false } | Standing::Mending { first: true } if known => {
                self.trust = (self.trust + 1).min(Self::MOST_NEW);
            }
            _ => {}
        }
    }

    /// What was sent to a sled not known may have been for none.
    fn distrust(&mut self) {
        self.trust = (self.trust - 1).max(1);
    }

    /// Takes the sled whose turn it is at `now`; [`Turns::resume`], [`Turns::hold`],
    /// [`Turns::sent`] or [`Turns::leave`] must follow. Repeats get every second turn.
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

    /// Begins batches for as long as there may be more.
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

    /// Whether there is a batch of a sled not known that may be begun.
    fn new_may(&self) -> bool {
        let known = self.flight - self.flight_new;
        let alone = known == 0 && self.known.is_empty();
        let most = if alone { Self::MOST_NEW } else { self.trust.max(known / Self::KNOWN_FIRST) };
        self.flight_new < most.min(Self::MOST_NEW) && !self.new.is_empty()
    }

    /// Gives a sled whose turn is over, and who has more to send, a place for its next turn.
    pub(super) fn resume(&mut self, sled: SledId) {
        match self.standing(sled) {
            Standing::Begun { .. } => self.begun.push_back(sled),
            Standing::Mending { .. } => self.mending.push_back(sled),
            Standing::Away | Standing::Waiting | Standing::Unanswered { .. } => {}
        }
    }

    /// Gives a sled whose frames may not go before `due` a place for its next turn.
    pub(super) fn hold(&mut self, sled: SledId, due: Instant) {
        self.held.push(Reverse((due, sled)));
    }

    /// All that a sled has asked for has been sent.
    pub(super) fn sent(&mut self, sled: SledId) {
        match self.standing(sled) {
            Standing::Begun { known } => self.put(sled, Standing::Unanswered { known }),
            Standing::Mending { .. } => self.put(sled, Standing::Away),
            Standing::Away | Standing::Waiting | Standing::Unanswered { .. } => {}
        }
    }

    /// Whether a batch waits only because others are on their way.
    pub(super) fn is_crowded(&self) -> bool {
        self.flight >= self.window && !(self.known.is_empty() && self.new.is_empty())
    }

    /// Whether nothing can be sent although there is something.
    pub(super) fn is_stuck(&self) -> bool {
        self.begun.is_empty() && self.is_crowded()
    }

    /// Whether a sled in line has to keep a pace of its own.
    pub(super) fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    /// One more batch may be on its way.
    pub(super) fn widen(&mut self) {
        self.window = self.window.saturating_add(1);
    }

    /// Only one batch may be on its way until that has gone well.
    pub(super) fn narrow(&mut self) {
        self.window = 1;
    }

    /// When the next turn comes, if any sled waits for one.
    pub(super) fn due(&self) -> Option<Instant> {
        let may_begin = self.flight < self.window && (!self.known.is_empty() || self.new_may());
        if may_begin || !self.begun.is_empty() || !self.mending.is_empty() {
            return Some(Instant::ZERO);
        }
        self.held.peek().map(|Reverse((due, _))| *due)
    }

    /// Takes a sled out of the line; what it was sent is of no interest any more.
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

    /// Whether each sled is in the one line where it stands, or in none, and as many batches are on
    /// their way as have been begun and not answered.
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
