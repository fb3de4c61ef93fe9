//! From matches to symbols: the first that come, or those that take least.

use std::ops::Range;

use super::block::Histogram;
use super::costs::{Costs, LENGTHS_HELD};
use super::cpu::Avx2;
use super::matches::Matches;
use super::places::LONGEST;
use super::symbols::{END, Item, SHORTEST};

/// Sets `items` to symbols for `bytes`, without a view of what they take: the longest match,
/// unless the next one is longer. Those of each position are at its place. Returns how
/// many there are.
pub(super) fn lazily(matches: &Matches, bytes: &[u8], items: &mut [Item]) -> usize {
    /// What takes about as much as three literals.
    const TOO_FAR_FOR_THREE: usize = 4096;
    /// Bytes with which a match is taken as it is.
    const LONG: usize = 32;
    let longest = |at: usize| match matches.of(at).last() {
        Some(item) if item.length() == SHORTEST && item.distance() > TOO_FAR_FOR_THREE => {
            Item::LITERAL
        }
        Some(&item) => item,
        None => Item::LITERAL,
    };
    let (mut at, mut count) = (0, 0);
    while at < bytes.len() {
        let mut item = longest(at);
        while !item.is_literal() && item.length() < LONG && at + 1 < bytes.len() {
            let next = longest(at + 1);
            if next.length() <= item.length() {
                break;
            }
            items[at] = Item::LITERAL;
            count += 1;
            at += 1;
            item = next;
        }
        items[at] = item;
        count += 1;
        at += item.length();
    }
    count
}

/// More than anything takes, and less than what would overflow.
pub(super) const TOO_MUCH: u32 = u32::MAX / 2;

/// What the symbols that take least are looked for in.
pub(super) struct Block<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) matches: &'a Matches,
    /// The position of `bytes` in `matches`.
    pub(super) first: usize,
    /// A match of this many bytes or more is taken whole or not at all.
    pub(super) whole: usize,
}

/// Finds the symbols that take least.
pub(super) struct Cheapest {
    /// What all from each position on take.
    rest: Vec<u32>,
    avx2: Option<Avx2>,
}

impl Cheapest {
    pub(super) fn new(avx2: Option<Avx2>) -> Self {
        Self { rest: Vec::new(), avx2 }
    }

    /// Sets `items` to the symbols for `block` that take least: those that are not passed over by
    /// one before them. Returns how often each occurs.
    pub(super) fn find(
        &mut self,
        block: &Block<'_>,
        costs: &Costs,
        items: &mut [Item],
    ) -> Histogram {
        let count = block.bytes.len();
        self.rest.resize(count + LENGTHS_HELD, 0);
        self.rest[count] = 0;
        self.rest[count + 1..].fill(TOO_MUCH);
        let in_run = costs.lengths[LONGEST] + costs.distances[0];
        let mut end = count;
        for run in block.matches.runs().iter().rev() {
            let from = run.start.max(block.first).saturating_sub(block.first);
            let to = run.end.saturating_sub(block.first).min(count);
            if from >= to {
                continue;
            }
            self.lengths(block, to..end, costs, items);
            self.rest[from..to].fill(TOO_MUCH);
            for at in (from..to).step_by(LONGEST).rev() {
                self.rest[at] = self.rest[at + LONGEST] + in_run;
                items[at] = Item::LONGEST_OF_RUN;
            }
            end = from;
        }
        self.lengths(block, 0..end, costs, items);
        let mut histogram = Histogram::new();
        let mut at = 0;
        while at < count {
            let length = items[at].length();
            if length > 1 {
                let mut candidates = block.matches.of(block.first + at).iter();
                let candidate = candidates.find(|candidate| candidate.length() >= length);
                items[at] = candidate.expect("it has a match").with_length(length);
            }
            histogram.add(items[at], block.bytes[at]);
            at += length;
        }
        histogram.literals[END] = 1;
        histogram
    }

    fn lengths(
        &mut self,
        block: &Block<'_>,
        positions: Range<usize>,
        costs: &Costs,
        items: &mut [Item],
    ) {
        match self.avx2 {
            Some(avx2) => avx2.lengths(block, positions, costs, &mut self.rest, items),
            None => lengths(block, positions, costs, &mut self.rest, items),
        }
    }
}

/// Sets `items` to the length that takes least at each of the `positions` of `block`, and `rest` to
/// what all from there on take, which is known for those behind.
pub(super) fn lengths(
    block: &Block<'_>,
    positions: Range<usize>,
    costs: &Costs,
    rest: &mut [u32],
    items: &mut [Item],
) {
    // What all from the position behind on take.
    let mut next = rest[positions.end];
    for at in positions.rev() {
        let ahead = rest[at..at + LENGTHS_HELD].try_into().expect("it is as long");
        let found = cheapest(block, at, ahead, costs);
        next = settle(block, at, found, next, costs, rest, items);
    }
}

/// Takes the match `found`, by what all from the position `at` on take with it and by its length, or
/// a literal, with which all take what its bits and the `next` position do. Returns the lesser.
#[expect(clippy::inline_always, reason = "part of a loop that is compiled twice, for AVX2 too")]
#[inline(always)]
pub(super) fn settle(
    block: &Block<'_>,
    at: usize,
    (mut least, mut best): (u32, usize),
    next: u32,
    costs: &Costs,
    rest: &mut [u32],
    items: &mut [Item],
) -> u32 {
    // Last, so that nothing else has to wait for the result of the position behind.
    let literal = next + costs.literals[usize::from(block.bytes[at])];
    if literal < least {
        (least, best) = (literal, 1);
    }
    rest[at] = least;
    items[at] = Item::LITERAL.with_length(best);
    least
}

/// The least that all takes from the position `at` on with a match there, and its length: the
/// longest of those. What follows takes what `ahead` says.
#[inline]
pub(super) fn cheapest(
    block: &Block<'_>,
    at: usize,
    ahead: &[u32; LENGTHS_HELD],
    costs: &Costs,
) -> (u32, usize) {
    let (mut least, mut best) = (TOO_MUCH, 0);
    let mut from = SHORTEST;
    for &candidate in block.matches.of(block.first + at) {
        let distance = costs.distances[candidate.distance_symbol()];
        let longest = candidate.length();
        if longest >= block.whole && at + longest <= block.bytes.len() {
            from = longest;
        }
        for length in from..=longest {
            let all =
                distance + costs.lengths[length % LENGTHS_HELD] + ahead[length % LENGTHS_HELD];
            if all <= least {
                (least, best) = (all, length);
            }
        }
        from = longest + 1;
    }
    (least, best)
}
