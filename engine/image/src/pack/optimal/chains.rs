//! Earlier places by chains of those whose first six bytes have the same hash, the nearest
//! first; and the nearest one of three bytes, of four, and of five. Chains of fewer bytes are
//! longer, and few of their places give a long match. Where a match is known, one that is longer
//! is looked for by the six bytes that end behind it: its first ones have many others, which are
//! no longer either.
//!
//! Many positions are linked at once, and then compared with the nearest places, without a branch
//! that depends on the bytes: so a processor need not wait for one to go on with the next.

#![expect(clippy::inline_always, reason = "parts of loops that are compiled twice, for AVX2 too")]

use std::ops::Range;

use super::cpu::Avx2;
use super::places::{Base, LOOKAHEAD, NOWHERE, Search, WINDOW, eight, four, hash, nowhere, same};
use super::symbols::{Item, SHORTEST};

/// Bits of hashes of three, four, five and six bytes. With 16 for all but the first, collisions hide more
/// matches: the corpus of the benches takes 0.02% more, and no less time.
const ORDERS: [u32; KINDS] = [15, 17, 17, 17];
/// Hashes of each position.
pub(super) const KINDS: usize = 4;
/// Positions that are linked at once, at most: their places and matches take 3 KiB, which stay in the
/// first cache. With 64, more of the bytes behind matches are not linked yet, and the corpus of the
/// benches takes 0.02% more.
pub(super) const BATCH: usize = 128;
/// Bytes by whose hash the chains are. With seven, the corpus of the benches takes 0.04% more.
const CHAINED: usize = 6;
/// Bytes of a nearest place that are compared at first: those of a 64-bit word.
pub(super) const COMPARED: usize = 8;

pub(super) struct Chains {
    search: Search,
    avx2: Option<Avx2>,
    of_three: Box<[i16; 1 << ORDERS[0]]>,
    of_four: Box<[i16; 1 << ORDERS[1]]>,
    of_five: Box<[i16; 1 << ORDERS[2]]>,
    of_six: Box<[i16; 1 << ORDERS[3]]>,
    /// The place before each one in its chain.
    before: Box<[i16; WINDOW]>,
    base: Base,
    trial: Trial,
}

/// Positions that were linked at once, and matches of up to `COMPARED` bytes with the nearest
/// places before each.
pub(super) struct Batch {
    pub(super) positions: Range<usize>,
    /// The places of each, in the order of the hashes.
    pub(super) numbers: [[i16; KINDS]; BATCH],
    /// The matches of each, each longer than the one before, and how many there are. What is behind
    /// them has no meaning.
    pub(super) matches: [[Item; KINDS]; BATCH],
    pub(super) counts: [u8; BATCH],
}

impl Batch {
    pub(super) fn new() -> Self {
        Self {
            positions: 0..0,
            numbers: [[NOWHERE; KINDS]; BATCH],
            matches: [[Item::NONE; KINDS]; BATCH],
            counts: [0; BATCH],
        }
    }

    /// The matches of the position `at`, and how many there are.
    #[inline(always)]
    pub(super) fn of(&self, at: usize) -> (&[Item; KINDS], usize) {
        let index = (at - self.positions.start) % BATCH;
        (&self.matches[index], self.counts[index].into())
    }

    /// Compares every `step`th position with the nearest places, of which `base` tells where they
    /// are.
    pub(super) fn compare(&mut self, bytes: &[u8], step: usize, base: Base) {
        self.counts.fill(0);
        let all = self.numbers.iter().zip(&mut self.matches).zip(&mut self.counts).step_by(step);
        for (at, ((numbers, matches), count)) in self.positions.clone().step_by(step).zip(all) {
            let (last, word) = (base.last_outside(at), eight(bytes, at));
            let mut longest = SHORTEST - 1;
            for number in numbers.map(i32::from) {
                if number <= last {
                    continue;
                }
                let position = base.position(number);
                let differs = eight(bytes, position) ^ word;
                let length = differs.trailing_zeros() as usize / 8;
                if length > longest {
                    longest = length;
                    matches[usize::from(*count)] = Item::new(length, at - position);
                    *count += 1;
                }
            }
        }
    }
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

impl Chains {
    pub(super) fn new(search: Search, avx2: Option<Avx2>) -> Self {
        Self {
            search,
            avx2,
            of_three: nowhere(),
            of_four: nowhere(),
            of_five: nowhere(),
            of_six: nowhere(),
            before: nowhere(),
            base: Base::default(),
            trial: Trial::default(),
        }
    }

    /// Forgets everything; the next position is `at`.
    pub(super) fn restart(&mut self, at: usize) {
        self.of_three.fill(NOWHERE);
        self.of_four.fill(NOWHERE);
        self.of_five.fill(NOWHERE);
        self.of_six.fill(NOWHERE);
        self.base = Base::new(at);
        self.trial = Trial::default();
    }

    /// Links the position `at`, and returns the nearest places before it.
    #[inline(always)]
    fn link(&mut self, bytes: &[u8], at: usize) -> [i16; KINDS] {
        let number = self.base.of(at);
        let word = eight(bytes, at);
        let three = std::mem::replace(&mut self.of_three[hash(word, 3, ORDERS[0])], number);
        let four = std::mem::replace(&mut self.of_four[hash(word, 4, ORDERS[1])], number);
        let five = std::mem::replace(&mut self.of_five[hash(word, 5, ORDERS[2])], number);
        let six =
            std::mem::replace(&mut self.of_six[hash(word, CHAINED as u32, ORDERS[3])], number);
        self.before[number as usize % WINDOW] = six;
        [three, four, five, six]
    }

    /// The part of `range` with which it begins whose places have numbers now.
    #[inline(always)]
    fn numbered(&mut self, range: Range<usize>) -> Range<usize> {
        let Self { of_three, of_four, of_five, of_six, before, base, .. } = self;
        base.number(range.start, |renumber| {
            renumber(&mut of_three[..]);
            renumber(&mut of_four[..]);
            renumber(&mut of_five[..]);
            renumber(&mut of_six[..]);
            renumber(&mut before[..]);
        });
        range.start..range.end.min(base.end())
    }

    /// Takes in positions, and looks for nothing.
    #[inline(always)]
    pub(super) fn insert(&mut self, bytes: &[u8], mut range: Range<usize>) {
        range.end = range.end.min((bytes.len() + 1).saturating_sub(LOOKAHEAD));
        while range.start < range.end {
            let part = self.numbered(range.clone());
            range.start = part.end;
            for at in part {
                self.link(bytes, at);
            }
        }
    }

    /// Takes in the first positions of `range`, which is not empty, behind each of which are at
    /// least `LOOKAHEAD` bytes.
    #[inline(always)]
    pub(super) fn take(&mut self, bytes: &[u8], range: Range<usize>, batch: &mut Batch) {
        batch.positions = self.numbered(range.start..range.end.min(range.start + BATCH));
        for (at, numbers) in batch.positions.clone().zip(&mut batch.numbers) {
            *numbers = self.link(bytes, at);
        }
    }

    /// Compares the positions of a batch with the nearest places.
    #[inline(always)]
    pub(super) fn compare(&self, bytes: &[u8], batch: &mut Batch) {
        self.compare_each(1, bytes, batch);
    }

    /// The same in noise, where not each of the positions is worth it, and returns how many have no
    /// match, as far as is known.
    #[inline(never)]
    pub(super) fn compare_some(&self, bytes: &[u8], batch: &mut Batch) -> usize {
        /// One position in this many is compared. A choice: a match of six bytes or more has three
        /// left at one of them.
        const STEP: usize = 4;
        self.compare_each(STEP, bytes, batch);
        let mut counts = batch.counts[..batch.positions.len()].iter();
        match counts.position(|&count| count > 0) {
            Some(index) => {
                self.compare(bytes, batch);
                index.saturating_sub(STEP - 1)
            }
            None => batch.positions.len(),
        }
    }

    #[inline(always)]
    fn compare_each(&self, step: usize, bytes: &[u8], batch: &mut Batch) {
        match self.avx2 {
            Some(avx2) => avx2.compare(batch, bytes, step, self.base),
            None => batch.compare(bytes, step, self.base),
        }
    }

    /// Hands `found` the length and the distance of matches at the position `at` of `batch`, of
    /// `most` bytes at most, that are longer than `best`: each longer than the one before.
    #[inline(always)]
    pub(super) fn follow(
        &mut self,
        bytes: &[u8],
        batch: &Batch,
        at: usize,
        most: usize,
        best: usize,
        mut found: impl FnMut(usize, usize),
    ) {
        // Links of what is farther from the end of the batch are others' now.
        let last = self.base.last_outside(batch.positions.end - 1);
        let nice = self.search.nice.min(most);
        // The chain is for what is longer.
        let best = best.max(CHAINED - 1);
        if best >= nice {
            return;
        }
        // All that is longer has these bytes at its end.
        let ahead = (best + 1 - CHAINED).min(batch.positions.end - 1 - at);
        // A match begins in `bytes`.
        let last = last.max(self.base.wide(ahead) - 1);
        let index = at + ahead - batch.positions.start;
        let [.., mut place] = batch.numbers[index % BATCH].map(i32::from);
        if place <= last {
            return;
        }
        if ahead == 0 {
            // It was compared with the batch.
            place = i32::from(self.before[place as usize % WINDOW]);
        }
        let is_trial = self.trial.is_due();
        let (before, base) = (&self.before, self.base);
        let chain = Chain { before, base, bytes, at, ahead, most, nice, last };
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

/// Places with the same hash as the one that is `ahead` of the position `at`.
struct Chain<'a> {
    before: &'a [i16; WINDOW],
    base: Base,
    bytes: &'a [u8],
    at: usize,
    ahead: usize,
    /// Bytes that a match may have, and with which it is long enough.
    most: usize,
    nice: usize,
    /// What is as far away, or farther, is out of reach.
    last: i32,
}

impl Chain<'_> {
    /// Hands `found` what is longer than `best` at up to `depth` places, from `place` on. Returns
    /// the next place, and the longest.
    #[inline(always)]
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
        // First the bytes without which it would not be longer: the last ones, unless it is by these
        // that the place was found.
        let is_by_last = self.ahead > 0 && self.ahead + CHAINED > best;
        let mut probe = if is_by_last { 0 } else { best - 3 };
        let mut probed = four(bytes, at + probe);
        for _ in 0..depth {
            if place <= self.last {
                break;
            }
            let position = self.base.position(place) - self.ahead;
            place = i32::from(self.before[place as usize % WINDOW]);
            if four(bytes, position + probe) == probed {
                let length = same(&bytes[at..at + most], &bytes[position..position + most], 0);
                if length > best {
                    best = length;
                    found(length, at - position);
                    if length >= self.nice {
                        return (i32::from(NOWHERE), best);
                    }
                    probe = best - 3;
                    probed = four(bytes, at + probe);
                }
            }
        }
        (place, best)
    }
}

#[cfg(test)]
mod tests {
    use super::super::matches::Matches;
    use super::*;

    /// The longest match at `at`.
    fn longest(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
        let search = Search { depth: 4, nice: 50 };
        let mut matches = Matches::default();
        let mut chains = Chains::new(search, None);
        matches.find_by_chains(&mut chains, bytes, 0..bytes.len(), search.nice);
        matches.of(at).last().map(|item| (item.length(), item.distance()))
    }

    #[test]
    fn a_long_match_is_found_behind_many_that_begin_the_same() {
        let whole = *b"abcdefghijklmnopqrstuvwxyz";
        let mut bytes = [&whole[..], b"!"].concat();
        for count in 0..100 {
            bytes.extend_from_slice(&whole[..12]);
            bytes.push(128 + count);
        }
        let at = bytes.len();
        bytes.extend_from_slice(&whole);
        bytes.extend_from_slice(b"0123456789");
        assert_eq!(longest(&bytes, at), Some((26, at)));
    }

    #[test]
    fn a_match_of_six_bytes_is_found_behind_one_of_five() {
        let bytes = *b"abcdef0123456abcdeX7890YZabcdefGHIJKLMNOP";
        assert_eq!(longest(&bytes, 25), Some((6, 25)));
    }

    #[test]
    fn what_would_begin_before_the_bytes_is_no_match() {
        let mut bytes = b"ghijklmnop!abcdefghijkl?".to_vec();
        let at = bytes.len();
        bytes.extend_from_slice(b"abcdefghijklmnop0123456789");
        assert_eq!(longest(&bytes, at), Some((12, 13)));
    }
}
