//! What each symbol is expected to take.

use super::block::{Codes, Histogram};
use super::logs::log2;
use super::places::LONGEST;
use super::symbols::{DISTANCES, END, LENGTH_SYMBOLS, LENGTHS, SHORTEST, distance_bits};

/// Places for lengths: a power of two, so that none need be checked to be below it.
pub(super) const LENGTHS_HELD: usize = 512;

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
