//! Prefix codes as tables: what a symbol is, by the bits of the stream.

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
/// From the lowest bit: 8 bits, how many bits the symbol takes, extra ones included; 4 bits, how
/// many of these are its code; 4 bits of what it is; and 16 bits of the base of its length or
/// distance, or itself. If the code is longer than the table's index, where the rest of it is
/// to be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry(u32);

impl Entry {
    const LITERAL: u32 = 1 << 15;
    const END: u32 = 1 << 14;
    const INVALID: u32 = 1 << 13;
    const LONG: u32 = 1 << 12;
    /// Takes no bits, so that nothing is passed over before it is found to be none.
    const NONE: Self = Self(Self::INVALID);

    /// A symbol but for its code: adding a length to both counts of bits completes it.
    const fn symbol(kind: u32, base: u32, extra: u32) -> Self {
        Self(base << 16 | kind | extra)
    }

    #[inline]
    fn with_code(self, length: u32) -> Self {
        Self(self.0 + length * 0x101)
    }

    const fn long(start: usize) -> Self {
        Self((start as u32) << 16 | Self::LONG)
    }

    /// Bits that the symbol takes, extra ones included.
    #[inline]
    pub(super) fn bits(self) -> u32 {
        self.0 & 0xff
    }

    #[inline]
    fn code_bits(self) -> u32 {
        self.0 >> 8 & 0xf
    }

    #[inline]
    pub(super) fn is_literal(self) -> bool {
        self.0 & Self::LITERAL != 0
    }

    /// Whether this is no length, no distance and no literal: it is the end of a block, or long,
    /// or invalid.
    #[inline]
    pub(super) fn is_other(self) -> bool {
        self.0 & (Self::END | Self::INVALID | Self::LONG) != 0
    }

    #[inline]
    pub(super) fn is_long(self) -> bool {
        self.0 & Self::LONG != 0
    }

    #[inline]
    pub(super) fn is_end(self) -> bool {
        self.0 & Self::END != 0
    }

    #[inline]
    pub(super) fn is_invalid(self) -> bool {
        self.0 & Self::INVALID != 0
    }

    /// The literal, or the symbol of a code length.
    #[inline]
    pub(super) fn base(self) -> u32 {
        self.0 >> 16
    }

    /// The length or the distance that the symbol at the start of `ahead` is.
    #[inline]
    pub(super) fn value(self, ahead: u64) -> usize {
        let whole = ahead & ((1 << (self.bits() & 63)) - 1);
        self.base() as usize + (whole >> self.code_bits()) as usize
    }
}

/// A prefix code, ready to be decoded: a table by the next `INDEX` bits, and behind that
/// a table for each such index that longer codes begin with.
pub(super) struct Code<const INDEX: u32, const SIZE: usize> {
    alphabet: Alphabet,
    table: [Entry; SIZE],
    /// Bits of the index of the tables of longer codes.
    rest: u32,
    /// Those that have a code, in the order of these.
    symbols: [u16; 288],
}

/// For literals and lengths. Codes longer than the index come in pairs at least, so there are
/// 144 tables of 16 at most behind the first.
pub(super) type Literals = Code<11, { (1 << 11) + 144 * 16 }>;
/// For distances, likewise.
pub(super) type Distances = Code<9, { (1 << 9) + 16 * 64 }>;
/// For code lengths, of 7 bits at most.
pub(super) type Lengths = Code<7, { 1 << 7 }>;

/// The two codes of a block.
#[derive(Clone, Copy)]
pub(super) struct Codes<'a> {
    pub(super) literals: &'a Literals,
    pub(super) distances: &'a Distances,
}

impl<const INDEX: u32, const SIZE: usize> Code<INDEX, SIZE> {
    pub(super) fn new(alphabet: Alphabet) -> Self {
        Self { alphabet, table: [Entry::NONE; SIZE], rest: 0, symbols: [0; 288] }
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
        let mut counts = [0_u16; 16];
        for &length in lengths {
            counts[usize::from(length)] += 1;
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
        let mut offsets = [0_u16; 17];
        for length in 0..16 {
            offsets[length + 1] = offsets[length] + counts[length];
        }
        let symbols = &mut self.symbols;
        for (symbol, &length) in lengths.iter().enumerate().filter(|&(_, &length)| length > 0) {
            let offset = &mut offsets[usize::from(length)];
            symbols[usize::from(*offset)] = symbol as u16;
            *offset += 1;
        }
        self.fill(&counts, used);
        Some(())
    }

    /// Fills the tables for the symbols that are `used`, in the order of their codes, of which
    /// there are so many of each length.
    fn fill(&mut self, counts: &[u16; 16], used: usize) {
        let of_alphabet: &[Entry] = match self.alphabet {
            Alphabet::Lengths => &LENGTH_ENTRIES,
            Alphabet::Literals => &LITERAL_ENTRIES,
            Alphabet::Distances => &DISTANCE_ENTRIES,
        };
        let mut symbols =
            self.symbols[..used].iter().map(|&symbol| of_alphabet[usize::from(symbol)]);
        // Codes with their first bit lowest, as the stream has them.
        let mut code = 0_usize;
        self.table[0] = Entry::NONE;
        for length in 1..=INDEX {
            // What begins a longer code has the next bit either way.
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
        let mut start = 1 << INDEX;
        let size = 1 << self.rest;
        for length in INDEX + 1..=longest {
            for entry in symbols.by_ref().take(counts[length as usize].into()) {
                if code & ((1 << INDEX) - 1) != prefix {
                    start += if prefix == usize::MAX { 0 } else { size };
                    prefix = code & ((1 << INDEX) - 1);
                    self.table[prefix] = Entry::long(start);
                }
                let rest = code >> INDEX;
                let places = &mut self.table[start + rest..start + size];
                for place in places.iter_mut().step_by(1 << (length - INDEX)) {
                    *place = entry.with_code(length);
                }
                code = next_code(code, length);
            }
        }
    }

    /// The symbol whose code begins `ahead`, or where to look a long one up.
    #[inline]
    pub(super) fn short(&self, ahead: u64) -> Entry {
        self.table[ahead as usize & ((1 << INDEX) - 1)]
    }

    /// What `entry`, which is long, stands for.
    #[inline]
    pub(super) fn long(&self, entry: Entry, ahead: u64) -> Entry {
        let rest = (ahead >> INDEX) as usize & ((1 << self.rest) - 1);
        self.table[entry.base() as usize + rest]
    }

    /// The symbol whose code begins `ahead`.
    #[inline]
    pub(super) fn entry(&self, ahead: u64) -> Entry {
        let entry = self.short(ahead);
        if entry.is_long() { self.long(entry, ahead) } else { entry }
    }
}

/// The code that follows `code` among those of `length` bits, first bit lowest; zero behind the
/// last one.
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
        entries[symbol] = Entry::symbol(0, symbol as u32, 0);
        symbol += 1;
    }
    entries
};

const LITERAL_ENTRIES: [Entry; 288] = {
    let mut entries = [Entry::NONE; 288];
    let mut symbol = 0;
    while symbol < 256 {
        entries[symbol] = Entry::symbol(Entry::LITERAL, symbol as u32, 0);
        symbol += 1;
    }
    entries[256] = Entry::symbol(Entry::END, 0, 0);
    let (mut code, mut base) = (0, 3);
    while code < 28 {
        let extra = if code < 8 { 0 } else { code as u32 / 4 - 1 };
        entries[257 + code] = Entry::symbol(0, base, extra);
        base += 1 << extra;
        code += 1;
    }
    entries[285] = Entry::symbol(0, 258, 0);
    entries
};

const DISTANCE_ENTRIES: [Entry; 32] = {
    let mut entries = [Entry::NONE; 32];
    let (mut symbol, mut base) = (0, 1);
    while symbol < 30 {
        let extra = if symbol < 2 { 0 } else { symbol as u32 / 2 - 1 };
        entries[symbol] = Entry::symbol(0, base, extra);
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
