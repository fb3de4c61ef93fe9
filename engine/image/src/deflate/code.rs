//! Prefix codes as tables: symbols by the bits of the stream.

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

/// What the next bits of a stream mean.
///
/// From the lowest bit: 6 bits, the number of bits of the symbol, extra bits included; two flags; 6
/// bits, how many of these are its code; two more flags; and 16 bits for the value. The value of a
/// distance is its base; that of a length is its base less the shortest length. That of a literal
/// is the literal, its number of bits again, and a flag, which are both zero in all other entries
/// of that table. If the code is longer than the table's index, it is the number of the table that
/// continues it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u32);

impl Entry {
    const LITERAL: u32 = 1 << 31;
    /// Not a literal, length or distance, but an end, a long code, or invalid.
    const OTHER: u32 = 1 << 7;
    /// Which of these.
    const LONG: u32 = 1 << 6;
    const END: u32 = 1 << 14;
    /// Takes no bits, so nothing is consumed before it is found to be invalid.
    const NONE: Self = Self(Self::OTHER);
    const LEAST_LENGTH: u32 = 3;
    /// The distance of a symbol without one: takes no bits, and reaches back far enough that
    /// nothing overlaps.
    pub(super) const NO_DISTANCE: Self = Self::distance_symbol(64, 0);

    /// A literal or the symbol of a code length, without its code.
    const fn literal_symbol(literal: u32) -> Self {
        Self(Self::LITERAL | literal << 16)
    }

    /// A length, likewise.
    const fn length_symbol(base: u32, extra: u32) -> Self {
        Self((base - Self::LEAST_LENGTH) << 16 | extra)
    }

    const fn distance_symbol(base: u32, extra: u32) -> Self {
        Self(base << 16 | extra)
    }

    /// The symbol with a code of `bits` bits.
    #[inline]
    fn with_code(self, length: u32) -> Self {
        let of_literal = if self.is_literal() { 1 << 24 } else { 0 };
        Self(self.0 + length * (of_literal | 0x101))
    }

    /// A code that continues in the table with this number.
    const fn long(table: u32) -> Self {
        Self(table << 16 | Self::OTHER | Self::LONG)
    }

    /// Its number of bits, extra bits included, in the lowest 6 bits; the others are undefined.
    #[inline]
    pub(super) fn low_bits(self) -> u32 {
        self.0
    }

    /// That number if it is a literal, zero otherwise.
    #[inline]
    pub(super) fn literal_low_bits(self) -> u32 {
        self.0 >> 24
    }

    /// 1 if it is a literal, 0 otherwise.
    #[inline]
    pub(super) fn literals(self) -> usize {
        (self.0 >> 31) as usize
    }

    /// Its number of bits, extra bits included.
    #[inline]
    pub(super) fn bits(self) -> u32 {
        self.0 & 63
    }

    /// Whether it is a literal, or the symbol of a code length.
    #[inline]
    pub(super) fn is_literal(self) -> bool {
        self.0 & Self::LITERAL != 0
    }

    /// Whether this is neither a literal nor a length nor a distance, but the end of a block, a
    /// long code, or invalid.
    #[inline]
    pub(super) fn is_other(self) -> bool {
        self.0 & Self::OTHER != 0
    }

    /// Whether that holds for this or for `other`.
    #[inline]
    pub(super) fn either_is_other(self, other: Self) -> bool {
        (self.0 | other.0) & Self::OTHER != 0
    }

    #[inline]
    pub(super) fn is_long(self) -> bool {
        self.0 & (Self::OTHER | Self::LONG) == Self::OTHER | Self::LONG
    }

    #[inline]
    pub(super) fn is_end(self) -> bool {
        self.0 & (Self::OTHER | Self::END) == Self::OTHER | Self::END
    }

    #[inline]
    pub(super) fn is_invalid(self) -> bool {
        self.0 & (Self::OTHER | Self::LONG | Self::END) == Self::OTHER
    }

    /// The literal, or the symbol of a code length.
    #[inline]
    pub(super) fn literal(self) -> u8 {
        (self.0 >> 16) as u8
    }

    /// The length, whose code is at the start of `ahead`.
    #[inline]
    pub(super) fn length(self, ahead: u64) -> usize {
        (self.0 >> 16) as usize + Self::LEAST_LENGTH as usize + self.extra(ahead)
    }

    /// The distance, whose code is at the start of `ahead`.
    #[inline]
    pub(super) fn distance(self, ahead: u64) -> usize {
        (self.0 >> 16) as usize + self.extra(ahead)
    }

    #[inline]
    fn extra(self, ahead: u64) -> usize {
        let whole = ahead & ((1 << self.bits()) - 1);
        (whole >> (self.0 >> 8 & 63)) as usize
    }
}

/// A prefix code, ready to be decoded: a table indexed by the next `INDEX` bits, followed by a
/// table for each index that begins longer codes.
pub(super) struct Code<const INDEX: u32, const SIZE: usize> {
    alphabet: Alphabet,
    table: [Entry; SIZE],
    /// Bits of the index of the tables of longer codes.
    rest: u32,
    /// Symbols without a code, then those with one, in the order of their codes.
    symbols: [u16; 288],
}

/// For literals and lengths. Codes longer than the index come at least in pairs, so at most 144
/// tables of 16 follow the first.
pub(super) type Literals = Code<11, { (1 << 11) + 144 * 16 }>;
/// For distances, likewise.
pub(super) type Distances = Code<9, { (1 << 9) + 16 * 64 }>;
/// For code lengths, of 7 bits at most.
pub(super) type Lengths = Code<7, { 1 << 7 }>;

/// The two codes of a block, in one place so that one pointer finds both.
pub(super) struct Codes {
    pub(super) literals: Literals,
    pub(super) distances: Distances,
}

impl<const INDEX: u32, const SIZE: usize> Code<INDEX, SIZE> {
    pub(super) fn new(alphabet: Alphabet) -> Self {
        Self { alphabet, table: [Entry::NONE; SIZE], rest: 0, symbols: [0; 288] }
    }

    /// The code with these lengths, which are known to be valid.
    pub(super) fn fixed(alphabet: Alphabet, lengths: &[u8]) -> Self {
        let mut code = Self::new(alphabet);
        code.build(lengths).expect("the lengths are a constant");
        code
    }

    /// Becomes the code with these lengths of at most 15 bits; `None` if there is no such code.
    ///
    /// As in zlib, an incomplete code is valid if it has no symbol, or a single one of one bit; a
    /// code for code lengths only if it has none.
    pub(super) fn build(&mut self, lengths: &[u8]) -> Option<()> {
        // In two halves, since an addition to a count waits for the one before it.
        let (mut counts, mut others) = ([0_u16; 16], [0_u16; 16]);
        let pairs = lengths.chunks_exact(2);
        for &length in pairs.remainder() {
            counts[usize::from(length & 15)] += 1;
        }
        for pair in pairs {
            counts[usize::from(pair[0] & 15)] += 1;
            others[usize::from(pair[1] & 15)] += 1;
        }
        for (count, other) in counts.iter_mut().zip(others) {
            *count += other;
        }
        let used = lengths.len() - usize::from(counts[0]);
        counts[0] = 0;
        let mut left = 1_i32;
        for &count in &counts[1..] {
            left = (left << 1) - i32::from(count);
            if left < 0 {
                return None;
            }
        }
        let single = used == 1 && counts[1] == 1 && self.alphabet != Alphabet::Lengths;
        if left > 0 && used > 0 && !single {
            return None;
        }
        // Without a branch: whether a symbol has a code is unpredictable.
        let mut offsets = [0_u16; 16];
        let mut offset = (lengths.len() - used) as u16;
        for length in 1..16 {
            offsets[length] = offset;
            offset += counts[length];
        }
        for (symbol, &length) in lengths.iter().enumerate() {
            let offset = &mut offsets[usize::from(length & 15)];
            self.symbols[usize::from(*offset)] = symbol as u16;
            *offset += 1;
        }
        self.fill(&counts, lengths.len() - used, used);
        Some(())
    }

    /// Fills the tables for the symbols that are `used`, in the order of their codes, by the number
    /// of codes of each length.
    fn fill(&mut self, counts: &[u16; 16], unused: usize, used: usize) {
        let of_alphabet: &[Entry] = match self.alphabet {
            Alphabet::Lengths => &LENGTH_ENTRIES,
            Alphabet::Literals => &LITERAL_ENTRIES,
            Alphabet::Distances => &DISTANCE_ENTRIES,
        };
        let mut symbols = self.symbols[unused..unused + used]
            .iter()
            .map(|&symbol| of_alphabet[usize::from(symbol)]);
        // Codes with their first bit lowest, as the stream has them.
        let mut code = 0_usize;
        self.table[0] = Entry::NONE;
        for length in 1..=INDEX {
            // The start of a longer code may have either next bit.
            let half = 1 << (length - 1);
            self.table.copy_within(..half, half);
            for entry in symbols.by_ref().take(counts[length as usize].into()) {
                self.table[code] = entry.with_code(length);
                code = next_code(code, length);
            }
        }
        let longest = (1..16).rev().find(|&length| counts[length as usize] > 0).unwrap_or(0);
        self.rest = longest.max(INDEX) - INDEX;
        let mut prefix = usize::MAX;
        let mut tables = 0;
        let size = 1 << self.rest;
        for length in INDEX + 1..=longest {
            for entry in symbols.by_ref().take(counts[length as usize].into()) {
                if code & ((1 << INDEX) - 1) != prefix {
                    prefix = code & ((1 << INDEX) - 1);
                    self.table[prefix] = Entry::long(tables);
                    tables += 1;
                }
                let start = (1 << INDEX) + (tables as usize - 1) * size;
                let places = &mut self.table[start..start + size][code >> INDEX..];
                for place in places.iter_mut().step_by(1 << (length - INDEX)) {
                    *place = entry.with_code(length);
                }
                code = next_code(code, length);
            }
        }
    }

    /// The symbol whose code begins `ahead`, or where to look up a long one.
    #[inline]
    pub(super) fn short(&self, ahead: u64) -> Entry {
        self.table[ahead as usize & ((1 << INDEX) - 1)]
    }

    /// The entry that `entry`, a long one, leads to.
    #[inline]
    pub(super) fn long(&self, entry: Entry, ahead: u64) -> Entry {
        let rest = (ahead >> INDEX) as usize & ((1 << self.rest) - 1);
        self.table[(1 << INDEX) + ((entry.0 >> 16) << self.rest) as usize + rest]
    }

    /// The symbol whose code begins `ahead`, however long that is.
    #[inline]
    pub(super) fn entry(&self, ahead: u64) -> Entry {
        let entry = self.short(ahead);
        if entry.is_long() { self.long(entry, ahead) } else { entry }
    }
}

/// The code that follows `code` among those of `length` bits, first bit lowest; zero after the last
/// one.
#[inline]
fn next_code(code: usize, length: u32) -> usize {
    let zeros = !code & ((1 << length) - 1);
    match zeros.checked_ilog2() {
        Some(bit) => code & ((1 << bit) - 1) | 1 << bit,
        None => 0,
    }
}

const LENGTH_ENTRIES: [Entry; 19] = {
    let mut entries = [Entry::NONE; 19];
    let mut symbol = 0;
    while symbol < 19 {
        entries[symbol] = Entry::literal_symbol(symbol as u32);
        symbol += 1;
    }
    entries
};

const LITERAL_ENTRIES: [Entry; 288] = {
    let mut entries = [Entry::NONE; 288];
    let mut symbol = 0;
    while symbol < 256 {
        entries[symbol] = Entry::literal_symbol(symbol as u32);
        symbol += 1;
    }
    entries[256] = Entry(Entry::OTHER | Entry::END);
    let (mut code, mut base) = (0, 3);
    while code < 28 {
        let extra = if code < 8 { 0 } else { code as u32 / 4 - 1 };
        entries[257 + code] = Entry::length_symbol(base, extra);
        base += 1 << extra;
        code += 1;
    }
    entries[285] = Entry::length_symbol(258, 0);
    entries
};

const DISTANCE_ENTRIES: [Entry; 32] = {
    let mut entries = [Entry::NONE; 32];
    let (mut symbol, mut base) = (0, 1);
    while symbol < 30 {
        let extra = if symbol < 2 { 0 } else { symbol as u32 / 2 - 1 };
        entries[symbol] = Entry::distance_symbol(base, extra);
        base += 1 << extra;
        symbol += 1;
    }
    entries
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
