//! Earlier places by chains of those whose first seven bytes have the same hash, the nearest
//! first; and the nearest one of three bytes, of four, and of five. Chains of fewer bytes are
//! longer, and few of their places give a long match.

use super::places::{Base, Finder, NOWHERE, Search, WINDOW, eight, four, hash, nowhere, same};

/// Bits of hashes of three, four, five and seven bytes.
const ORDERS: [u32; 4] = [15, 16, 16, 16];

pub(super) struct Chains {
    search: Search,
    of_three: Box<[i16; 1 << ORDERS[0]]>,
    of_four: Box<[i16; 1 << ORDERS[1]]>,
    of_five: Box<[i16; 1 << ORDERS[2]]>,
    of_seven: Box<[i16; 1 << ORDERS[3]]>,
    /// The place before each one in its chain.
    before: Box<[i16; WINDOW]>,
    base: Base,
    trial: Trial,
}

/// Tries now and then how much longer matches get by looking at more places, and decides by that
/// how many are looked at.
#[derive(Clone, Copy, Debug, Default)]
struct Trial {
    /// Positions looked at.
    turn: u32,
    /// Bytes of the longest matches at those where it was tried: without it, and with it.
    shallow: u32,
    deep: u32,
    is_worth: bool,
}

impl Trial {
    /// Positions for each one where it is tried, and such trials for each decision.
    const EVERY: u32 = 64;
    const TRIALS: u32 = 8;
    /// Times the places that are looked at where it is tried, and where it is worth it.
    const DEEP: u32 = 3;

    /// Whether this position is one where it is tried.
    #[inline]
    fn is_due(&mut self) -> bool {
        self.turn += 1;
        self.turn.is_multiple_of(Self::EVERY)
    }

    fn add(&mut self, shallow: usize, deep: usize) {
        self.shallow += shallow as u32;
        self.deep += deep as u32;
        if self.turn.is_multiple_of(Self::EVERY * Self::TRIALS) {
            // Contents where that gives a twelfth more are those that the replaced tool makes smaller:
            // it looks at 1,500 places.
            self.is_worth = self.deep * 12 > self.shallow * 13;
            (self.shallow, self.deep) = (0, 0);
        }
    }
}

/// The nearest places with the same hash of three, four, five and seven bytes.
struct Nearest([i32; 4]);

impl Chains {
    pub(super) fn new(search: Search) -> Self {
        Self {
            search,
            of_three: nowhere(),
            of_four: nowhere(),
            of_five: nowhere(),
            of_seven: nowhere(),
            before: nowhere(),
            base: Base::default(),
            trial: Trial::default(),
        }
    }

    #[inline]
    fn link(&mut self, bytes: &[u8], at: usize) -> Nearest {
        let Self { of_three, of_four, of_five, of_seven, before, base, .. } = self;
        let number = base.number(at, |renumber| {
            renumber(&mut of_three[..]);
            renumber(&mut of_four[..]);
            renumber(&mut of_five[..]);
            renumber(&mut of_seven[..]);
            renumber(&mut before[..]);
        });
        let word = eight(bytes, at);
        let three = std::mem::replace(&mut of_three[hash(word, 3, ORDERS[0])], number);
        let four = std::mem::replace(&mut of_four[hash(word, 4, ORDERS[1])], number);
        let five = std::mem::replace(&mut of_five[hash(word, 5, ORDERS[2])], number);
        let seven = std::mem::replace(&mut of_seven[hash(word, 7, ORDERS[3])], number);
        before[number as usize % WINDOW] = seven;
        Nearest([three, four, five, seven].map(i32::from))
    }
}

impl Finder for Chains {
    const SKIPS: bool = true;

    fn restart(&mut self, at: usize) {
        self.of_three.fill(NOWHERE);
        self.of_four.fill(NOWHERE);
        self.of_five.fill(NOWHERE);
        self.of_seven.fill(NOWHERE);
        self.base = Base::new(at);
        self.trial = Trial::default();
    }

    #[inline]
    fn insert(&mut self, bytes: &[u8], at: usize, _: usize) {
        self.link(bytes, at);
    }

    #[inline]
    fn find(
        &mut self,
        bytes: &[u8],
        at: usize,
        most: usize,
        known: usize,
        mut found: impl FnMut(usize, usize),
    ) {
        let Nearest([of_three, of_four, of_five, mut place]) = self.link(bytes, at);
        let last = self.base.last_outside(at);
        let nice = self.search.nice.min(most);
        let here = &bytes[at..at + most];
        let ahead = four(bytes, at);
        let differs = |place: i32| four(bytes, self.base.position(place)) ^ ahead;
        let same_at = |position: usize, from| same(here, &bytes[position..position + most], from);
        let is_four = of_four > last && differs(of_four) == 0;
        // Where both are the same, the longer one says it all.
        if of_three > last && !(is_four && of_three == of_four) && differs(of_three) << 8 == 0 {
            found(3, at - self.base.position(of_three));
        }
        let mut best = 4;
        if is_four {
            let position = self.base.position(of_four);
            best = same_at(position, 4);
            found(best, at - position);
        }
        if of_five > last && of_five != of_four && differs(of_five) == 0 {
            let position = self.base.position(of_five);
            let length = same_at(position, 4);
            if length > best {
                best = length;
                found(best, at - position);
            }
        }
        if place == of_five && place > last {
            place = i32::from(self.before[place as usize % WINDOW]);
        }
        // The chain is for what is longer.
        let best = best.max(known).max(6);
        if best >= nice {
            return;
        }
        let is_trial = self.trial.is_due();
        let chain = Chain { before: &self.before, base: self.base, bytes, at, most, last, nice };
        let (place, best) = chain.follow(place, best, self.search.depth, &mut found);
        if is_trial || self.trial.is_worth {
            let more = self.search.depth * (Trial::DEEP - 1);
            let (_, longer) = chain.follow(place, best, more, &mut found);
            if is_trial {
                self.trial.add(best, longer);
            }
        }
    }
}

/// Places with the same hash as the position `at`.
struct Chain<'a> {
    before: &'a [i16; WINDOW],
    base: Base,
    bytes: &'a [u8],
    at: usize,
    /// Bytes that a match may have, and with which it is long enough.
    most: usize,
    nice: usize,
    /// What is as far away, or farther, is out of reach.
    last: i32,
}

impl Chain<'_> {
    /// Hands `found` what is longer than `best` at up to `depth` places, from `place` on. Returns
    /// the next place, and the longest.
    #[inline]
    fn follow(
        &self,
        mut place: i32,
        mut best: usize,
        depth: u32,
        found: &mut impl FnMut(usize, usize),
    ) -> (i32, usize) {
        let Self { bytes, at, most, .. } = *self;
        if place <= self.last {
            return (place, best);
        }
        let mut tail = four(bytes, at + best - 3);
        for _ in 0..depth {
            if place <= self.last {
                break;
            }
            let position = self.base.position(place);
            place = i32::from(self.before[place as usize % WINDOW]);
            // First the bytes without which it would not be longer.
            if four(bytes, position + best - 3) == tail {
                let length = same(&bytes[at..at + most], &bytes[position..position + most], 0);
                if length > best {
                    best = length;
                    found(length, at - position);
                    if length >= self.nice {
                        return (i32::from(NOWHERE), best);
                    }
                    tail = four(bytes, at + best - 3);
                }
            }
        }
        (place, best)
    }
}
