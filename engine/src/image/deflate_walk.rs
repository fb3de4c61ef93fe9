//! A walk over the block structure of a deflate stream (RFC 1951) that decodes lengths but
//! keeps no output: where blocks begin, where the stream ends, how much comes out by when.

/// What the walk found.
#[derive(Debug)]
pub(super) struct Walk {
    /// The bit at which the final block begins: its BFINAL.
    pub(super) final_block: u64,
    /// The bit behind the end of the final block.
    pub(super) end: u64,
    /// Bytes that come out.
    pub(super) output: u64,
    /// How much comes out of each part of the stream.
    pub(super) yields: Yields,
}

/// How many bytes come out of the first so many bytes of a stream.
#[derive(Debug)]
pub(super) struct Yields {
    /// What each byte adds: at most 258 for every two of its bits.
    each: Vec<u16>,
    /// What came out before every [`Yields::GROUP`]th of them.
    groups: Vec<u64>,
    total: u64,
}

/// The stream is none, or goes on where the bytes end. The number is the bit where it went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BrokenStream(pub(super) u64);

/// Walks the stream at the start of `bytes` to the end of its final block.
pub(super) fn walk(bytes: &[u8]) -> Result<Walk, BrokenStream> {
    let mut walker = Walker {
        bits: Bits { bytes, at: 0 },
        noted: 0,
        output: 0,
        yields: Yields::new(bytes.len()),
    };
    let mut tables = Box::new((Table::new(), Table::new()));
    loop {
        let start = walker.bits.at;
        let is_final = walker.bits.take(1)? == 1;
        match walker.bits.take(2)? {
            0 => walker.stored()?,
            1 => {
                tables.0.build(&FIXED_LENGTHS).ok_or(BrokenStream(start))?;
                tables.1.build(&[5; 32]).ok_or(BrokenStream(start))?;
                walker.compressed(&tables.0, &tables.1)?;
            }
            2 => {
                walker.read_tables(&mut tables.0, &mut tables.1)?;
                walker.compressed(&tables.0, &tables.1)?;
            }
            _ => return Err(BrokenStream(start)),
        }
        if is_final {
            let end = walker.bits.at;
            walker.note(end.next_multiple_of(8) + 1);
            let Walker { output, yields, .. } = walker;
            return Ok(Walk { final_block: start, end, output, yields });
        }
    }
}

impl Yields {
    const GROUP: usize = 64;

    fn new(bytes: usize) -> Self {
        let groups = Vec::with_capacity(bytes / Self::GROUP + 1);
        Self { each: Vec::with_capacity(bytes), groups, total: 0 }
    }

    fn push(&mut self, added: u16) {
        if self.each.len().is_multiple_of(Self::GROUP) {
            self.groups.push(self.total);
        }
        self.each.push(added);
        self.total += u64::from(added);
    }

    /// What comes out of the first `bytes` bytes: of all, if there are fewer.
    pub(super) fn of_first(&self, bytes: u64) -> u64 {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        if bytes >= self.each.len() {
            return self.total;
        }
        let group = bytes / Self::GROUP;
        let rest = &self.each[group * Self::GROUP..bytes];
        self.groups[group] + rest.iter().map(|&added| u64::from(added)).sum::<u64>()
    }
}

struct Walker<'a> {
    bits: Bits<'a>,
    output: u64,
    /// The output at the last byte boundary that has been noted.
    noted: u64,
    yields: Yields,
}

impl Walker<'_> {
    /// Notes, for every byte that ends before bit `end`, what it adds to the output.
    fn note(&mut self, end: u64) {
        while (self.yields.each.len() as u64 + 1) * 8 < end {
            // Only symbols that end in this byte have come since the last was noted.
            let added = u16::try_from(self.output - self.noted).unwrap_or(u16::MAX);
            self.noted = self.output;
            self.yields.push(added);
        }
    }

    fn stored(&mut self) -> Result<(), BrokenStream> {
        self.bits.at = self.bits.at.next_multiple_of(8);
        let start = self.bits.at;
        let length = self.bits.take(16)?;
        let complement = self.bits.take(16)?;
        if length != !complement & 0xffff {
            return Err(BrokenStream(start));
        }
        if self.bits.left() < 8 * length {
            return Err(BrokenStream(self.bits.at));
        }
        for _ in 0..length {
            self.bits.at += 8;
            self.note(self.bits.at);
            self.output += 1;
        }
        Ok(())
    }

    fn compressed(&mut self, literals: &Table, distances: &Table) -> Result<(), BrokenStream> {
        loop {
            let start = self.bits.at;
            let symbol = usize::from(literals.decode(&mut self.bits)?);
            let length = match symbol {
                0..256 => 1,
                256 => return Ok(()),
                257..286 => {
                    let (base, extra) = LENGTHS[symbol - 257];
                    let length = u64::from(base) + self.bits.take(extra.into())?;
                    let distance = usize::from(distances.decode(&mut self.bits)?);
                    if distance >= 30 {
                        return Err(BrokenStream(start));
                    }
                    self.bits.take(u32::try_from(distance.saturating_sub(2) / 2).unwrap_or(0))?;
                    length
                }
                _ => return Err(BrokenStream(start)),
            };
            self.note(self.bits.at);
            self.output += length;
        }
    }

    fn read_tables(
        &mut self,
        literals: &mut Table,
        distances: &mut Table,
    ) -> Result<(), BrokenStream> {
        const ORDER: [usize; 19] =
            [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let start = self.bits.at;
        let broken = BrokenStream(start);
        let literal_codes = self.bits.take(5)? as usize + 257;
        let distance_codes = self.bits.take(5)? as usize + 1;
        let length_codes = self.bits.take(4)? as usize + 4;
        let mut lengths = [0_u8; 19];
        for &place in &ORDER[..length_codes] {
            lengths[place] = self.bits.take(3)? as u8;
        }
        literals.build(&lengths).ok_or(broken)?;
        let mut all = [0_u8; 286 + 32 + 138];
        let wanted = literal_codes + distance_codes;
        if literal_codes > 286 {
            return Err(broken);
        }
        let mut at = 0;
        while at < wanted {
            let (value, repeat) = match literals.decode(&mut self.bits)? {
                symbol @ 0..16 => (symbol as u8, 1),
                16 if at > 0 => (all[at - 1], 3 + self.bits.take(2)? as usize),
                17 => (0, 3 + self.bits.take(3)? as usize),
                18 => (0, 11 + self.bits.take(7)? as usize),
                _ => return Err(broken),
            };
            if at + repeat > wanted {
                return Err(broken);
            }
            all[at..at + repeat].fill(value);
            at += repeat;
        }
        // Without an end of block the stream would never end.
        if all[256] == 0 {
            return Err(broken);
        }
        literals.build(&all[..literal_codes]).ok_or(broken)?;
        distances.build(&all[literal_codes..wanted]).ok_or(broken)
    }
}

/// Bits of a stream, first the lowest of each byte.
struct Bits<'a> {
    bytes: &'a [u8],
    at: u64,
}

impl Bits<'_> {
    fn left(&self) -> u64 {
        self.bytes.len() as u64 * 8 - self.at
    }

    /// The next bits, at least 32 of them if there are so many, and zeros behind the end.
    fn peek(&self) -> u64 {
        let byte = (self.at / 8) as usize;
        let word = match self.bytes[byte.min(self.bytes.len())..] {
            [a, b, c, d, e, f, g, h, ..] => u64::from_le_bytes([a, b, c, d, e, f, g, h]),
            ref few => {
                let mut word = [0; 8];
                word[..few.len()].copy_from_slice(few);
                u64::from_le_bytes(word)
            }
        };
        word >> (self.at % 8)
    }

    fn skip(&mut self, count: u32) -> Result<(), BrokenStream> {
        if self.left() < count.into() {
            return Err(BrokenStream(self.at));
        }
        self.at += u64::from(count);
        Ok(())
    }

    fn take(&mut self, count: u32) -> Result<u64, BrokenStream> {
        let bits = self.peek() & ((1 << count) - 1);
        self.skip(count)?;
        Ok(bits)
    }
}

/// A prefix code.
struct Table {
    /// For the next bits of the stream: symbol and code length; length 0 if the code is longer.
    short: [(u16, u8); 1 << Table::SHORT],
    /// Codes of each length, and all symbols in the order of their codes.
    counts: [u16; 16],
    symbols: [u16; 288],
}

impl Table {
    const SHORT: u32 = 10;

    fn new() -> Self {
        Self { short: [(0, 0); 1 << Self::SHORT], counts: [0; 16], symbols: [0; 288] }
    }

    /// The code with these lengths; `None` if there is no such code. An incomplete one is
    /// accepted if it has one symbol of one bit, or none at all.
    fn build(&mut self, lengths: &[u8]) -> Option<()> {
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
        let lone = used == 0 || (used == 1 && self.counts[1] == 1);
        if left > 0 && !lone {
            return None;
        }
        let mut offsets = [0_u16; 16];
        let mut codes = [0_u16; 16];
        for length in 1..15 {
            offsets[length + 1] = offsets[length] + self.counts[length];
            codes[length + 1] = (codes[length] + self.counts[length]) << 1;
        }
        self.short.fill((0, 0));
        for (symbol, &length) in (0_u16..).zip(lengths).filter(|&(_, &length)| length > 0) {
            let index = usize::from(length);
            self.symbols[usize::from(offsets[index])] = symbol;
            offsets[index] += 1;
            let code = codes[index];
            codes[index] += 1;
            if u32::from(length) <= Self::SHORT {
                let reversed = usize::from(code.reverse_bits() >> (16 - length));
                for entry in self.short[reversed..].iter_mut().step_by(1 << length) {
                    *entry = (symbol, length);
                }
            }
        }
        Some(())
    }

    fn decode(&self, bits: &mut Bits<'_>) -> Result<u16, BrokenStream> {
        let ahead = bits.peek();
        let (symbol, length) = self.short[ahead as usize & ((1 << Self::SHORT) - 1)];
        if length > 0 {
            bits.skip(length.into())?;
            return Ok(symbol);
        }
        let (mut code, mut first, mut index) = (0_u32, 0_u32, 0_u32);
        for length in 1..16 {
            code |= (ahead >> (length - 1)) as u32 & 1;
            let count = u32::from(self.counts[length as usize]);
            if code < first + count {
                bits.skip(length)?;
                return Ok(self.symbols[(index + code - first) as usize]);
            }
            index += count;
            first = (first + count) << 1;
            code <<= 1;
        }
        Err(BrokenStream(bits.at))
    }
}

const FIXED_LENGTHS: [u8; 288] = {
    let mut lengths = [8; 288];
    let mut symbol = 144;
    while symbol < 280 {
        lengths[symbol] = if symbol < 256 { 9 } else { 7 };
        symbol += 1;
    }
    lengths
};

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
