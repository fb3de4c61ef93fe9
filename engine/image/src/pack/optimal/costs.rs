//! What each symbol is expected to take.

use super::block::{Codes, Histogram};
use super::logs::log2;
use super::places::LONGEST;
use super::symbols::{DISTANCES, END, LENGTH_SYMBOLS, LENGTHS, SHORTEST, distance_bits};

/// Places for lengths: a power of two, so that none need be checked to be below it.
pub(super) const LENGTHS_HELD: usize = 512;

/// What the symbols of lengths and of distances take more, in fractions of a bit, where the cheapest
/// are chosen than where the longest are: means over blocks of a tar, programs, texts, /usr/share and
/// a file system, times three and two. Of 0 to 3 times these means, that makes the benches' corpus
/// smallest.
const LENGTH_DRIFTS: [i32; LENGTHS.len()] = [
    -17, -12, -18, 30, -11, 8, 6, 3, 12, 18, 5, 27, 7, 2, 1, 1, -2, -4, -18, -15, -13, -9, -7, -6,
    -6, -5, 4, 48, -21,
];
const DISTANCE_DRIFTS: [i32; DISTANCES] = [
    -21, 4, 1, -12, -17, -20, -25, -21, -20, -21, -20, -19, -17, -13, -10, -8, -4, -2, 1, 3, 6, 9,
    13, 16, 4, 8, 12, 17, 20, 24,
];

/// In fractions of a bit, extra bits included.
pub(super) struct Costs {
    pub(super) literals: [u32; 256],
    pub(super) lengths: [u32; LENGTHS_HELD],
    pub(super) distances: [u32; 32],
}

impl Costs {
    /// Fractions in a bit: whole bits can't show small gains. A block of 4 MiB of
    /// literals of 15 bits stays within half of what a number holds.
    const BIT: f32 = 32.0;
    /// Bits of the longest code.
    const MOST: f32 = 15.0;

    /// What they take in a block with such frequencies, if codes could have parts of bits.
    pub(super) fn of(histogram: &Histogram) -> Self {
        Self::by(Self::bits(&histogram.literals), Self::bits(&histogram.distances))
    }

    /// What they will take once those are found that take least, if the first that came have such
    /// frequencies.
    pub(super) fn after_lazy(histogram: &Histogram) -> Self {
        let mut costs = Self::of(histogram);
        for (cost, symbol) in
            costs.lengths[SHORTEST..=LONGEST].iter_mut().zip(&LENGTH_SYMBOLS[SHORTEST..])
        {
            *cost = cost.saturating_add_signed(LENGTH_DRIFTS[usize::from(*symbol)]);
        }
        for (cost, drift) in costs.distances.iter_mut().zip(DISTANCE_DRIFTS) {
            *cost = cost.saturating_add_signed(drift);
        }
        costs
    }

    /// What they take with such codes. A symbol without one is taken to have the longest.
    pub(super) fn with(codes: &Codes) -> Self {
        Self::by(Self::lengths(&codes.literals), Self::lengths(&codes.distances))
    }

    /// By the bits of the symbols of each alphabet.
    fn by(literal_bits: impl Fn(usize) -> f32, distance_bits_of: impl Fn(usize) -> f32) -> Self {
        let mut costs = Self { literals: [0; 256], lengths: [0; LENGTHS_HELD], distances: [0; 32] };
        let whole = |bits: f32| (bits * Self::BIT) as u32;
        for (byte, cost) in costs.literals.iter_mut().enumerate() {
            *cost = whole(literal_bits(byte));
        }
        for (length, cost) in costs.lengths[..=LONGEST].iter_mut().enumerate().skip(SHORTEST) {
            let symbol = usize::from(LENGTH_SYMBOLS[length]);
            *cost = whole(literal_bits(END + 1 + symbol) + f32::from(LENGTHS[symbol].1));
        }
        for (symbol, cost) in costs.distances[..DISTANCES].iter_mut().enumerate() {
            *cost = whole(distance_bits_of(symbol) + distance_bits(symbol) as f32);
        }
        costs
    }

    /// The bits of a symbol whose code has such a length, or none.
    fn lengths(lengths: &[u8]) -> impl Fn(usize) -> f32 {
        |symbol| match lengths[symbol] {
            0 => Self::MOST,
            length => length.into(),
        }
    }

    /// The bits of a symbol. One that does not occur is taken to occur half a time.
    fn bits(counts: &[u32]) -> impl Fn(usize) -> f32 {
        let total = log2(counts.iter().sum::<u32>().max(1));
        let log = |count| if count == 0 { -1.0 } else { log2(count) };
        move |symbol| (total - log(counts[symbol])).min(Self::MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::super::block::symbols;
    use super::super::chains::Chains;
    use super::super::matches::Matches;
    use super::super::parse::{Block, Cheapest, lazily};
    use super::super::places::Search;
    use super::super::symbols::Item;
    use super::*;

    #[test]
    fn a_text_takes_less_by_costs_that_foresee_what_is_chosen() {
        let text =
            concat!(include_str!("lanes.rs"), include_str!("chains.rs"), include_str!("mod.rs"));
        let bytes = text.as_bytes();
        let search = Search { depth: 16, nice: 50 };
        let mut matches = Matches::default();
        matches.find_by_chains(&mut Chains::new(search, None), bytes, 0..bytes.len(), search.nice);
        let mut items = vec![Item::LITERAL; bytes.len()];
        lazily(&matches, bytes, &mut items);
        let first = Histogram::of(symbols(&items, bytes));
        let block = Block { bytes, matches: &matches, first: 0, whole: 19 };
        let mut bits =
            |costs: &Costs| Codes::best(&Cheapest::new(None).find(&block, costs, &mut items)).bits;
        assert!(bits(&Costs::after_lazy(&first)) < bits(&Costs::of(&first)));
    }
}
