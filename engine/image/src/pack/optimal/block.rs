//! A block: the codes that suit its symbols, what stands before these, and how it is written.

use super::bits::BitWriter;
use super::head::{Head, smoothed};
use super::huffman::{codes_of, lengths_of};
use super::symbols::{
    DISTANCES, END, FIXED_LITERALS, Item, LENGTH_SYMBOLS, LENGTHS, LITERALS, distance_base,
    distance_bits,
};

/// A literal or a match, and the byte that a literal is.
pub(super) type Symbol = (Item, u8);

/// The symbols that `items` make of `bytes`.
pub(super) fn symbols<'a>(items: &'a [Item], bytes: &'a [u8]) -> impl Iterator<Item = Symbol> + 'a {
    let mut at = 0;
    std::iter::from_fn(move || {
        let symbol = (*items.get(at)?, bytes[at]);
        at += symbol.0.length();
        Some(symbol)
    })
}

/// How often each symbol occurs.
#[derive(Clone)]
pub(super) struct Histogram {
    pub(super) literals: [u32; LITERALS],
    pub(super) distances: [u32; DISTANCES],
}

impl Histogram {
    pub(super) fn new() -> Self {
        Self { literals: [0; LITERALS], distances: [0; DISTANCES] }
    }

    #[inline]
    pub(super) fn add(&mut self, item: Item, byte: u8) {
        if item.is_literal() {
            self.literals[usize::from(byte)] += 1;
        } else {
            self.literals[END + 1 + usize::from(LENGTH_SYMBOLS[item.length()])] += 1;
            self.distances[item.distance_symbol()] += 1;
        }
    }

    /// Of such symbols and the end of a block.
    pub(super) fn of(symbols: impl Iterator<Item = Symbol>) -> Self {
        let mut histogram = Self::new();
        symbols.for_each(|(item, byte)| histogram.add(item, byte));
        histogram.literals[END] = 1;
        histogram
    }

    /// How many there are, without the end.
    pub(super) fn symbols(&self) -> usize {
        self.literals.iter().sum::<u32>() as usize - 1
    }

    /// Bits of all symbols with codes of such lengths.
    fn bits(&self, literals: &[u8], distances: &[u8]) -> u64 {
        let bits = |counts: &[u32], lengths: &[u8]| -> u64 {
            let each = counts.iter().zip(lengths);
            each.map(|(&count, &length)| u64::from(count) * u64::from(length)).sum()
        };
        bits(&self.literals, literals) + bits(&self.distances, distances) + self.extra_bits()
    }

    /// Bits besides those of the codes.
    pub(super) fn extra_bits(&self) -> u64 {
        let lengths = LENGTHS.iter().zip(&self.literals[END + 1..]);
        let lengths: u64 =
            lengths.map(|((_, bits), &count)| u64::from(*bits) * u64::from(count)).sum();
        let distances = self.distances.iter().enumerate();
        lengths
            + distances
                .map(|(s, &count)| u64::from(distance_bits(s)) * u64::from(count))
                .sum::<u64>()
    }
}

/// The codes of a block, and how they are written.
pub(super) struct Codes {
    /// The lengths of the codes of each symbol, in bits: 0 of one that does not occur.
    pub(super) literals: [u8; FIXED_LITERALS],
    pub(super) distances: [u8; DISTANCES],
    /// None for the fixed codes.
    head: Option<Head>,
    /// Bits of the block.
    pub(super) bits: u64,
}

impl Codes {
    /// Those with which the symbols take least.
    pub(super) fn best(histogram: &Histogram) -> Self {
        Self::of(histogram, histogram, |literals, distances| {
            Head::new(literals, distances, [true; 3])
        })
    }

    /// Those with which the whole block takes least, as far as is known.
    pub(super) fn smallest(histogram: &Histogram) -> Self {
        let mut smooth = Histogram::new();
        smoothed(&histogram.literals, &mut smooth.literals);
        smoothed(&histogram.distances, &mut smooth.distances);
        let plain = Self::of(histogram, histogram, Head::shortest);
        let smooth = Self::of(&smooth, histogram, Head::shortest);
        let fixed = Self::fixed(histogram);
        [smooth, fixed].into_iter().fold(
            plain,
            |best, other| {
                if other.bits < best.bits { other } else { best }
            },
        )
    }

    /// Those that need not be told.
    fn fixed(histogram: &Histogram) -> Self {
        let mut literals = [8; FIXED_LITERALS];
        literals[144..256].fill(9);
        literals[256..280].fill(7);
        let distances = [5; DISTANCES];
        let bits = 3 + histogram.bits(&literals, &distances);
        Self { literals, distances, head: None, bits }
    }

    /// Those that suit `shape`, and what a block with the symbols of `histogram` takes with them.
    fn of(shape: &Histogram, histogram: &Histogram, head: impl Fn(&[u8], &[u8]) -> Head) -> Self {
        let (mut literals, mut distances) = ([0; FIXED_LITERALS], [0; DISTANCES]);
        lengths_of(&shape.literals, 15, &mut literals[..LITERALS]);
        lengths_of(&shape.distances, 15, &mut distances);
        let head = head(&literals[..LITERALS], &distances);
        let bits = head.bits + histogram.bits(&literals, &distances);
        Self { literals, distances, head: Some(head), bits }
    }

    /// Writes the block.
    pub(super) fn put(&self, symbols: impl Iterator<Item = Symbol>, out: &mut BitWriter) {
        out.begin_block();
        match &self.head {
            Some(head) => head.put(out),
            // No final block, with the fixed codes.
            None => out.put(0b010, 3),
        }
        let (mut literals, mut distances) = ([0; FIXED_LITERALS], [0; DISTANCES]);
        codes_of(&self.literals, &mut literals);
        codes_of(&self.distances, &mut distances);
        for (item, byte) in symbols {
            if item.is_literal() {
                let byte = usize::from(byte);
                out.put(literals[byte].into(), self.literals[byte].into());
                continue;
            }
            let symbol = usize::from(LENGTH_SYMBOLS[item.length()]);
            let (least, bits) = LENGTHS[symbol];
            let more = item.length() as u64 - u64::from(least);
            let place = END + 1 + symbol;
            let code_bits = u32::from(self.literals[place]);
            out.put(u64::from(literals[place]) | more << code_bits, code_bits + u32::from(bits));
            let symbol = item.distance_symbol();
            let more = (item.distance() - distance_base(symbol)) as u64;
            let code_bits = u32::from(self.distances[symbol]);
            let code = u64::from(distances[symbol]) | more << code_bits;
            out.put(code, code_bits + distance_bits(symbol));
        }
        out.put(literals[END].into(), self.literals[END].into());
    }
}

/// Writes `bytes` as they are.
pub(super) fn put_stored(bytes: &[u8], out: &mut BitWriter) {
    for part in bytes.chunks(0xffff) {
        out.begin_block();
        out.put(0, 3);
        let length = part.len() as u16;
        out.put_bytes(&length.to_le_bytes());
        out.put_bytes(&(!length).to_le_bytes());
        out.put_bytes(part);
    }
}

/// Bits that stored blocks take behind this many others.
pub(super) fn stored_bits(bytes: usize, behind: u64) -> u64 {
    let blocks = bytes.div_ceil(0xffff) as u64;
    let first = (behind + 3).next_multiple_of(8) - behind + 32;
    first + (blocks - 1) * 40 + bytes as u64 * 8
}
