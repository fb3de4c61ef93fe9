//! Prefix codes, with all that a symbol means for the length of the output.

use super::BrokenStream;
use super::bits::Bits;

/// Which alphabet a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alphabet {
    /// Lengths of codes: these must form a complete code.
    Lengths,
    /// Literals, lengths and the end of a block.
    Literals,
    /// Distances.
    Distances,
}

/// A symbol, as the walk needs it.
///
/// From the lowest bit: 8 bits, how many bits it takes, extra ones included; 8 bits, how many of
/// these are its code; 2 bits of what it is; and 14 bits of the base of its length, or itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u32);

impl Entry {
    const LENGTH: u32 = 1 << 16;
    const OTHER: u32 = 1 << 17;
    /// No code, or none as short as the table is wide.
    const NONE: Self = Self(0);

    fn new(alphabet: Alphabet, symbol: usize, code_bits: u32) -> Self {
        let (kind, base, extra) = match (alphabet, symbol) {
            (Alphabet::Lengths, _) => (0, symbol as u32, 0),
            (Alphabet::Literals, 0..256) => (0, 1, 0),
            (Alphabet::Literals, 257..286) => {
                let (base, extra) = LENGTHS[symbol - 257];
                (Self::LENGTH, base.into(), extra.into())
            }
            // A distance of no use but for the bits that it takes.
            (Alphabet::Distances, 0..30) => (0, 0, (symbol as u32 / 2).saturating_sub(1)),
            (Alphabet::Literals, 256) => (Self::OTHER, 256, 0),
            (Alphabet::Literals | Alphabet::Distances, _) => (Self::OTHER, 0, 0),
        };
        Self(base << 18 | kind | code_bits << 8 | (code_bits + extra))
    }

    /// Bits that the symbol takes, extra ones included.
    #[inline]
    pub(super) fn bits(self) -> u32 {
        self.0 & 0xff
    }

    #[inline]
    fn code_bits(self) -> u32 {
        self.0 >> 8 & 0xff
    }

    /// All ones for a length, behind which a distance follows, and zero for all else.
    #[inline]
    pub(super) fn length_mask(self) -> u32 {
        ((self.0 / Self::LENGTH) & 1).wrapping_neg()
    }

    /// Not zero if this is no distance, or not a whole one; without a branch.
    #[inline]
    pub(super) fn is_odd(self) -> u32 {
        u32::from(self == Self::NONE) | self.0 & Self::OTHER
    }

    /// Neither a literal nor a length nor a distance.
    #[inline]
    pub(super) fn is_other(self) -> bool {
        self.0 & Self::OTHER != 0
    }

    /// Of those that are other: the end of the block, and no symbol that means nothing.
    pub(super) fn is_end(self) -> bool {
        self.base() == 256
    }

    /// What a code length symbol is.
    #[inline]
    pub(super) fn base(self) -> u32 {
        self.0 >> 18
    }

    /// Bytes that the symbol at the start of `ahead` gives.
    #[inline]
    pub(super) fn output(self, ahead: u64) -> u64 {
        let extra = self.bits() - self.code_bits();
        u64::from(self.base()) + (ahead >> self.code_bits() & ((1 << extra) - 1))
    }
}

/// A prefix code, ready to be decoded.
pub(super) struct Code {
    alphabet: Alphabet,
    /// By the next bits of the stream.
    short: [Entry; 1 << Code::SHORT],
    /// Codes of each length, and all symbols in the order of their codes.
    counts: [u16; 16],
    symbols: [u16; 288],
}

impl Code {
    const SHORT: u32 = 11;

    pub(super) fn new(alphabet: Alphabet) -> Self {
        let short = [Entry::NONE; 1 << Self::SHORT];
        Self { alphabet, short, counts: [0; 16], symbols: [0; 288] }
    }

    /// The code with these lengths, which are those of one.
    pub(super) fn fixed(alphabet: Alphabet, lengths: &[u8]) -> Self {
        let mut code = Self::new(alphabet);
        code.build(lengths).expect("the lengths are a constant");
        code
    }

    /// Becomes the code with these lengths, 15 bits at most; `None` if there is no such code.
    ///
    /// As in zlib, an incomplete one is taken if it has no symbol or a single one of one bit,
    /// and code lengths can do without only if there is none at all.
    pub(super) fn build(&mut self, lengths: &[u8]) -> Option<()> {
        self.counts = [0; 16];
        for &length in lengths {
            self.counts[usize::from(length)] += 1;
        }
        self.counts[0] = 0;
        let mut left = 1_i32;
        for &count in &self.counts[1..] {
            left = (left << 1) - i32::from(count);
            if left < 0 {
                return None;
            }
        }
        let used: u16 = self.counts.iter().sum();
        let single = used == 1 && self.counts[1] == 1 && self.alphabet != Alphabet::Lengths;
        if left > 0 && used > 0 && !single {
            return None;
        }
        let mut offsets = [0_u16; 16];
        let mut codes = [0_u16; 16];
        for length in 1..15 {
            offsets[length + 1] = offsets[length] + self.counts[length];
            codes[length + 1] = (codes[length] + self.counts[length]) << 1;
        }
        if left > 0 || self.counts[Self::SHORT as usize + 1..].iter().any(|&count| count > 0) {
            self.short.fill(Entry::NONE);
        }
        for (symbol, &length) in lengths.iter().enumerate().filter(|&(_, &length)| length > 0) {
            let index = usize::from(length);
            self.symbols[usize::from(offsets[index])] = symbol as u16;
            offsets[index] += 1;
            let code = codes[index];
            codes[index] += 1;
            if u32::from(length) <= Self::SHORT {
                let reversed = usize::from(code.reverse_bits() >> (16 - length));
                let entry = Entry::new(self.alphabet, symbol, length.into());
                for place in self.short[reversed..].iter_mut().step_by(1 << length) {
                    *place = entry;
                }
            }
        }
        Some(())
    }

    /// The symbol whose code begins `ahead`; nothing if the code is longer than the table is wide.
    #[inline]
    pub(super) fn short_entry(&self, ahead: u64) -> Entry {
        self.short[ahead as usize & ((1 << Self::SHORT) - 1)]
    }

    /// The symbol whose code begins `ahead`, of which 15 bits count and which `bits` are at.
    #[inline]
    pub(super) fn entry(&self, ahead: u64, bits: &Bits<'_>) -> Result<Entry, BrokenStream> {
        let entry = self.short_entry(ahead);
        if entry == Entry::NONE { self.long_entry(ahead, bits) } else { Ok(entry) }
    }

    #[cold]
    fn long_entry(&self, ahead: u64, bits: &Bits<'_>) -> Result<Entry, BrokenStream> {
        let (mut code, mut first, mut index) = (0_u32, 0_u32, 0_u32);
        for length in 1..16 {
            code |= (ahead >> (length - 1)) as u32 & 1;
            let count = u32::from(self.counts[length as usize]);
            if code < first + count {
                let symbol = self.symbols[(index + code - first) as usize];
                return Ok(Entry::new(self.alphabet, symbol.into(), length));
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(BrokenStream { at: bits.at(), ended: false })
    }
}

/// Base and extra bits of each length code from 257 on.
const LENGTHS: [(u16, u8); 29] = {
    let mut lengths = [(0, 0); 29];
    let (mut code, mut base) = (0, 3);
    while code < 28 {
        let extra = if code < 8 { 0 } else { code as u8 / 4 - 1 };
        lengths[code] = (base, extra);
        base += 1 << extra;
        code += 1;
    }
    lengths[28] = (258, 0);
    lengths
};

/// Lengths of the fixed codes for literals.
pub(super) const FIXED_LITERALS: [u8; 288] = {
    let mut lengths = [8; 288];
    let mut symbol = 144;
    while symbol < 280 {
        lengths[symbol] = if symbol < 256 { 9 } else { 7 };
        symbol += 1;
    }
    lengths
};

/// Lengths of the fixed codes for distances.
pub(super) const FIXED_DISTANCES: [u8; 32] = [5; 32];
