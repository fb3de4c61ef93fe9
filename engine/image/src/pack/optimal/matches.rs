//! All matches of a stretch of bytes, found once.

#![expect(clippy::inline_always, reason = "parts of loops that are compiled twice, for AVX2 too")]

use std::ops::Range;

use super::chains::{Batch, COMPARED, Chains, KINDS};
use super::places::{LONGEST, LOOKAHEAD, same};
use super::symbols::{Item, SHORTEST};
use super::trees::Trees;

/// Matches of consecutive positions.
#[derive(Default)]
pub(super) struct Matches {
    /// More than those that there are, so that one can be set before it is known to be one.
    items: Vec<Item>,
    count: usize,
    /// Where those of each position begin; one more at the end.
    starts: Vec<u32>,
    /// Positions in long runs: a symbol begins at the first of them, and at every `LONGEST` bytes.
    runs: Vec<Range<usize>>,
}

impl Matches {
    /// After this many positions without a match, not every position is compared.
    const NOISE: usize = 64;

    /// Equal bytes from which on nothing but their run is looked at.
    const RUN: usize = 4 * LONGEST;

    /// The matches of the position `at`: each is longer than the one before.
    #[inline]
    pub(super) fn of(&self, at: usize) -> &[Item] {
        &self.items[self.starts[at] as usize..self.starts[at + 1] as usize]
    }

    /// Positions in long runs, from the front: a symbol begins at the first of them, and at every
    /// `LONGEST` bytes, and nowhere else.
    pub(super) fn runs(&self) -> &[Range<usize>] {
        &self.runs
    }

    /// Finds the matches of the positions `range` of `bytes`, which end there at the latest. Inside
    /// of one of `nice` bytes only the rest of it is a match.
    pub(super) fn find_by_trees(
        &mut self,
        trees: &mut Trees,
        bytes: &[u8],
        range: Range<usize>,
        nice: usize,
    ) {
        self.clear();
        let bytes = &bytes[..range.end];
        let mut at = range.start;
        while at + LOOKAHEAD <= range.end {
            let run = run(bytes, at);
            if run >= Self::RUN {
                at += self.add_run(run);
                continue;
            }
            self.begin();
            let most = (range.end - at).min(LONGEST);
            let (mut length, mut distance) = (0, 0);
            trees.find(bytes, at, most, |longer, from| {
                (length, distance) = (longer, from);
                self.add(Item::new(longer, from), true);
            });
            at += 1;
            if length >= nice {
                let rest = at..at + length - 1;
                at = rest.end;
                self.add_rest(length, distance);
                for at in rest.start..rest.end.min(range.end - (LOOKAHEAD - 1)) {
                    trees.insert(bytes, at, (range.end - at).min(LONGEST));
                }
            }
        }
        (at..=range.end).for_each(|_| self.begin());
    }

    /// The same by chains, which miss some.
    #[inline(always)]
    pub(super) fn find_by_chains(
        &mut self,
        chains: &mut Chains,
        bytes: &[u8],
        range: Range<usize>,
        nice: usize,
    ) {
        self.clear();
        let bytes = &bytes[..range.end];
        let mut batch = Batch::new();
        let mut at = range.start;
        // What the longest match of the position before leaves for this one.
        let mut left = (0, 1);
        let mut next_run = next_run(bytes, at);
        // Positions without a match up to here.
        let mut vain = 0;
        while at + LOOKAHEAD <= range.end {
            if at == next_run.start && at < next_run.end {
                at += self.add_run(next_run.len());
                next_run = self::next_run(bytes, at);
                left = (0, 1);
                vain = 0;
                continue;
            }
            let most = next_run.start.min(range.end - (LOOKAHEAD - 1));
            chains.take(bytes, at..most, &mut batch);
            if vain >= Self::NOISE {
                let passed = chains.compare_some(bytes, &mut batch);
                self.starts.resize(self.starts.len() + passed, self.count as u32);
                at += passed;
            } else {
                chains.compare(bytes, &mut batch);
            }
            while at < batch.positions.end {
                self.begin();
                let (length, distance) = self.find_at(chains, bytes, &batch, at, left);
                vain = if length == 0 { vain + 1 } else { 0 };
                at += 1;
                left = (length.saturating_sub(1), distance);
                if length >= nice {
                    let end = at + length - 1;
                    self.add_rest(length, distance);
                    chains.insert(bytes, batch.positions.end..end);
                    at = end;
                    left = (0, 1);
                }
            }
            if at > next_run.start {
                next_run = self::next_run(bytes, at);
            }
        }
        (at..=range.end).for_each(|_| self.begin());
    }

    /// Adds the matches of the position `at` of `batch`, where one with what is `left` is known.
    /// Returns the length and the distance of the longest.
    #[inline(always)]
    fn find_at(
        &mut self,
        chains: &mut Chains,
        bytes: &[u8],
        batch: &Batch,
        at: usize,
        left: (usize, usize),
    ) -> (usize, usize) {
        let most = (bytes.len() - at).min(LONGEST);
        let (nearest, count) = batch.of(at);
        let mut best = (0, 1);
        self.items[self.count..][..KINDS].copy_from_slice(nearest);
        self.count += count;
        if count > 0 {
            let last = &mut self.items[self.count - 1];
            best = (last.length(), last.distance());
            if best.0 == COMPARED {
                let there = at - best.1;
                let known = if best.1 == left.1 { left.0.max(COMPARED) } else { COMPARED };
                best.0 = same(&bytes[at..at + most], &bytes[there..there + most], known);
                *last = last.with_length(best.0);
            }
        }
        if best.0 > SHORTEST {
            let known = best.0.max(left.0);
            chains.follow(bytes, batch, at, most, known, |length, distance| {
                best = (length, distance);
                self.add(Item::new(length, distance), true);
            });
        }
        if left.0 > best.0 && left.0 >= SHORTEST {
            best = left;
            self.add(Item::new(left.0, left.1), true);
        }
        best
    }

    fn clear(&mut self) {
        self.count = 0;
        self.starts.clear();
        self.runs.clear();
    }

    /// Begins with a position, or ends with the last one.
    #[inline(always)]
    fn begin(&mut self) {
        /// One for each length, and those that are set behind the last.
        const ROOM: usize = LONGEST + KINDS;
        self.starts.push(self.count as u32);
        if self.items.len() < self.count + ROOM {
            self.items.resize(2 * self.items.len() + ROOM, Item::NONE);
        }
    }

    /// Adds a match of the position begun with, if it `is` one.
    #[inline(always)]
    fn add(&mut self, item: Item, is: bool) {
        self.items[self.count] = item;
        self.count += usize::from(is);
    }

    /// Adds the positions inside of a match, which goes on for one byte less each time.
    fn add_rest(&mut self, length: usize, distance: usize) {
        for left in (1..length).rev() {
            self.begin();
            self.add(Item::new(left, distance), left >= SHORTEST);
        }
    }

    /// Adds positions in a run of `run` equal bytes, and returns how many.
    fn add_run(&mut self, run: usize) -> usize {
        // The end of it may go with what follows.
        let inside = (run / LONGEST - 1) * LONGEST;
        self.begin();
        self.add(Item::LONGEST_OF_RUN, true);
        self.add_rest(LONGEST, 1);
        let start = self.starts.len();
        self.runs.push(start..start + inside - LONGEST);
        for _ in (LONGEST..inside).step_by(LONGEST) {
            self.begin();
            self.add(Item::LONGEST_OF_RUN, true);
            self.starts.resize(self.starts.len() + LONGEST - 1, self.count as u32);
        }
        inside
    }
}

/// How many bytes from `at` on are the same as the one before.
#[inline]
fn run(bytes: &[u8], at: usize) -> usize {
    if at == 0 || bytes[at] != bytes[at - 1] { 0 } else { same(&bytes[at..], &bytes[at - 1..], 1) }
}

/// The first bytes from `at` on that are the same as the one before each, at least `RUN` of them;
/// what is empty and at the end if there are none.
fn next_run(bytes: &[u8], at: usize) -> Range<usize> {
    /// Any run has one of these in it, at a multiple of its bytes.
    const PART: usize = Matches::RUN / 2;
    let mut probe = at;
    while probe + PART <= bytes.len() {
        let part = &bytes[probe..probe + PART];
        if part[..8] == part[1..9] && part[1..] == part[..PART - 1] {
            let same_before = bytes[at.saturating_sub(1)..probe].iter().rev();
            let before = same_before.take_while(|&&byte| byte == part[0]).count();
            // The first of them has another before it, or none.
            let start = (probe - before + 1).max(at);
            let end = start + run(bytes, start);
            if end - start >= Matches::RUN {
                return start..end;
            }
        }
        probe += PART;
    }
    bytes.len()..bytes.len()
}
