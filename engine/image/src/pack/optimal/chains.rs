//! Earlier places by chains of those whose first five bytes have the same hash, the nearest
//! first; and the nearest one of three bytes, and of four.

use super::places::{Base, Finder, NOWHERE, Search, WINDOW, eight, four, hash, nowhere, same};

/// Bits of hashes of three, four and five bytes.
const ORDERS: [u32; 3] = [14, 16, 16];

pub(super) struct Chains {
    search: Search,
    of_three: Box<[i16; 1 << ORDERS[0]]>,
    of_four: Box<[i16; 1 << ORDERS[1]]>,
    of_five: Box<[i16; 1 << ORDERS[2]]>,
    /// The place before each one in its chain.
    before: Box<[i16; WINDOW]>,
    base: Base,
}

/// The nearest places with the same hash of three, four and five bytes.
struct Nearest([i32; 3]);

impl Chains {
    pub(super) fn new(search: Search) -> Self {
        let base = Base::default();
        Self {
            search,
            of_three: nowhere(),
            of_four: nowhere(),
            of_five: nowhere(),
            before: nowhere(),
            base,
        }
    }

    #[inline]
    fn link(&mut self, bytes: &[u8], at: usize) -> Nearest {
        let Self { of_three, of_four, of_five, before, base, .. } = self;
        let number = base.number(at, |renumber| {
            renumber(&mut of_three[..]);
            renumber(&mut of_four[..]);
            renumber(&mut of_five[..]);
            renumber(&mut before[..]);
        });
        let word = eight(bytes, at);
        let three = std::mem::replace(&mut of_three[hash(word, 3, ORDERS[0])], number);
        let four = std::mem::replace(&mut of_four[hash(word, 4, ORDERS[1])], number);
        let five = std::mem::replace(&mut of_five[hash(word, 5, ORDERS[2])], number);
        before[number as usize % WINDOW] = five;
        Nearest([three, four, five].map(i32::from))
    }
}

impl Finder for Chains {
    const FOLLOWED: usize = 8;
    const SKIPS: bool = true;

    fn restart(&mut self, at: usize) {
        self.of_three.fill(NOWHERE);
        self.of_four.fill(NOWHERE);
        self.of_five.fill(NOWHERE);
        self.base = Base::new(at);
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
        let Nearest([of_three, of_four, mut place]) = self.link(bytes, at);
        let base = self.base;
        let last = base.last_outside(at);
        let nice = self.search.nice.min(most);
        let here = &bytes[at..at + most];
        let ahead = four(bytes, at);
        if known < 3 && of_three > last {
            let position = base.position(of_three);
            if (four(bytes, position) ^ ahead) << 8 == 0 {
                found(3, at - position);
            }
        }
        let mut best = known.max(4);
        if known < 4 && of_four > last {
            let position = base.position(of_four);
            if four(bytes, position) == ahead {
                best = same(here, &bytes[position..position + most], 4);
                found(best, at - position);
                if best >= nice {
                    return;
                }
            }
        }
        let mut tail = four(bytes, at + best - 3);
        let mut depth = self.search.depth;
        while place > last && depth > 0 {
            depth -= 1;
            let position = base.position(place);
            place = i32::from(self.before[place as usize % WINDOW]);
            // First the bytes without which it would not be longer.
            if four(bytes, position + best - 3) == tail {
                let length = same(here, &bytes[position..position + most], 0);
                if length > best {
                    best = length;
                    found(length, at - position);
                    if length >= nice {
                        return;
                    }
                    tail = four(bytes, at + best - 3);
                }
            }
        }
    }
}
