//! All matches of a stretch of bytes, found once.

use std::ops::Range;

use super::places::{Finder, LONGEST, LOOKAHEAD, same};
use super::symbols::{Item, SHORTEST};

/// Matches of consecutive positions.
#[derive(Default)]
pub(super) struct Matches {
    items: Vec<Item>,
    /// Where those of each position begin; one more at the end.
    starts: Vec<u32>,
}

impl Matches {
    /// Equal bytes from which on nothing but their run is looked at.
    const RUN: usize = 4 * LONGEST;

    /// After this many positions without a match, not every position is looked at.
    const NOISE: usize = 64;
    const STEP: usize = 4;

    /// The matches of the position `at`: each is longer than the one before.
    #[inline]
    pub(super) fn of(&self, at: usize) -> &[Item] {
        &self.items[self.starts[at] as usize..self.starts[at + 1] as usize]
    }

    /// Finds the matches of the positions `range` of `bytes`, which end there at the latest. Inside
    /// of one of `nice` bytes only the rest of it is a match.
    pub(super) fn find<F: Finder>(
        &mut self,
        finder: &mut F,
        bytes: &[u8],
        range: Range<usize>,
        nice: usize,
    ) {
        self.items.clear();
        self.starts.clear();
        let bytes = &bytes[..range.end];
        let mut at = range.start;
        // Positions without a match up to here.
        let mut vain = 0;
        // What the longest match of the position before leaves for this one.
        let mut goes_on = (0, 0);
        while at < range.end {
            if at + LOOKAHEAD > range.end {
                self.begin();
                at += 1;
                continue;
            }
            let run = run(bytes, at);
            if run >= Self::RUN {
                // The end of it may go with what follows.
                let inside = (run / LONGEST - 1) * LONGEST;
                self.add_run(inside);
                at += inside;
                vain = 0;
                goes_on = (0, 0);
                continue;
            }
            self.begin();
            let most = (range.end - at).min(LONGEST);
            if F::SKIPS && vain % Self::STEP > 0 && vain >= Self::NOISE {
                finder.insert(bytes, at, most);
                vain += 1;
                at += 1;
                continue;
            }
            let (mut length, mut distance) = (0_usize, 0);
            finder.find(bytes, at, most, goes_on.0, |longer, from| {
                (length, distance) = (longer, from);
                self.items.push(Item::new(longer, from));
            });
            if goes_on.0 > length && goes_on.0 >= SHORTEST {
                (length, distance) = goes_on;
                self.items.push(Item::new(length, distance));
            }
            if F::SKIPS {
                goes_on = (length.saturating_sub(1), distance);
            }
            if length == 0 {
                vain += 1;
            } else {
                if vain >= Self::NOISE {
                    self.add_before(bytes, at, (length, distance), vain.min(Self::STEP - 1));
                }
                vain = 0;
            }
            at += 1;
            if length >= nice {
                self.add_rest(finder, bytes, at, (length, distance));
                at += length - 1;
                goes_on = (0, 0);
            }
        }
        self.begin();
    }

    /// Begins with a position, or ends with the last one.
    #[inline]
    fn begin(&mut self) {
        self.starts.push(self.items.len() as u32);
    }

    /// Adds what a match has before its position `at`, if up to `most` of those were not looked at.
    fn add_before(
        &mut self,
        bytes: &[u8],
        at: usize,
        (length, distance): (usize, usize),
        most: usize,
    ) {
        let is_same = |&back: &usize| {
            at >= back + distance && bytes[at - back] == bytes[at - back - distance]
        };
        let more = (1..=most).take_while(is_same).count();
        if more == 0 {
            return;
        }
        self.starts.truncate(self.starts.len() - more);
        let found = self.items.split_off(self.starts.pop().unwrap_or_default() as usize);
        for more in (1..=more).rev() {
            self.begin();
            self.items.push(Item::new((length + more).min(LONGEST), distance));
        }
        self.begin();
        self.items.extend(found);
    }

    /// Adds positions inside of a match, which goes on for one byte less each time.
    fn add_rest<F: Finder>(
        &mut self,
        finder: &mut F,
        bytes: &[u8],
        at: usize,
        (length, distance): (usize, usize),
    ) {
        for (at, left) in (at..).zip((1..length).rev()) {
            self.begin();
            if left >= SHORTEST {
                self.items.push(Item::new(left, distance));
            }
            if at + LOOKAHEAD <= bytes.len() {
                finder.insert(bytes, at, (bytes.len() - at).min(LONGEST));
            }
        }
    }

    /// Adds `length` positions in a run of equal bytes.
    fn add_run(&mut self, length: usize) {
        for at in 0..length {
            self.begin();
            let left = LONGEST - at % LONGEST;
            if left >= SHORTEST {
                self.items.push(Item::new(left, 1));
            }
        }
    }
}

/// How many bytes from `at` on are the same as the one before.
#[inline]
fn run(bytes: &[u8], at: usize) -> usize {
    if at == 0 || bytes[at] != bytes[at - 1] { 0 } else { same(&bytes[at..], &bytes[at - 1..], 1) }
}
