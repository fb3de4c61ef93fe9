//! From matches to symbols: the first that come, or those that take least.

use super::costs::{Costs, LENGTHS_HELD};
use super::matches::Matches;
use super::symbols::{Item, SHORTEST};

/// Sets `items` to symbols for `bytes`, without a view of what they take: the longest match,
/// unless the next one is longer. Those of each position are at its place.
pub(super) fn lazily(matches: &Matches, bytes: &[u8], items: &mut [Item]) {
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
    let mut at = 0;
    while at < bytes.len() {
        let mut item = longest(at);
        while !item.is_literal() && item.length() < LONG && at + 1 < bytes.len() {
            let next = longest(at + 1);
            if next.length() <= item.length() {
                break;
            }
            items[at] = Item::LITERAL;
            at += 1;
            item = next;
        }
        items[at] = item;
        at += item.length();
    }
}

/// Finds the symbols that take least.
#[derive(Default)]
pub(super) struct Cheapest {
    /// What all from each position on take.
    rest: Vec<u32>,
}

impl Cheapest {
    /// More than anything takes, and less than what would overflow.
    const TOO_MUCH: u32 = u32::MAX / 2;

    /// Sets `items` to the symbols for `bytes` that take least, of those that `matches` have from
    /// the position `first` on. Of a match of `whole` bytes, nothing but all of it is tried.
    pub(super) fn find(
        &mut self,
        matches: &Matches,
        first: usize,
        bytes: &[u8],
        costs: &Costs,
        whole: usize,
        items: &mut [Item],
    ) {
        let count = bytes.len();
        self.rest.resize(count + LENGTHS_HELD, 0);
        let rest = &mut self.rest[..];
        rest[count] = 0;
        rest[count + 1..].fill(Self::TOO_MUCH);
        // What all from the position behind on take.
        let mut next = 0;
        for at in (0..count).rev() {
            let ahead: &[u32; LENGTHS_HELD] =
                rest[at..at + LENGTHS_HELD].try_into().expect("it is as long");
            let mut least = Self::TOO_MUCH;
            let mut item = Item::LITERAL;
            let mut from = SHORTEST;
            for &candidate in matches.of(first + at) {
                let distance = costs.distances[candidate.distance_symbol()];
                let longest = candidate.length();
                if longest >= whole && at + longest <= count {
                    from = longest;
                }
                let mut best = 0;
                for length in from..=longest {
                    let all = distance
                        + costs.lengths[length % LENGTHS_HELD]
                        + ahead[length % LENGTHS_HELD];
                    if all <= least {
                        (least, best) = (all, length);
                    }
                }
                if best > 0 {
                    item = candidate.with_length(best);
                }
                from = longest + 1;
            }
            // Last, so that nothing else has to wait for the result of the position behind.
            let literal = next + costs.literals[usize::from(bytes[at])];
            if literal < least {
                (least, item) = (literal, Item::LITERAL);
            }
            next = least;
            rest[at] = least;
            items[at] = item;
        }
    }
}
