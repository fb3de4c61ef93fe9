//! The walk over a stream's blocks, with or without output.

use std::cell::RefCell;
use std::sync::LazyLock;

use super::bits::Bits;
use super::code::{Alphabet, Code, Codes, FIXED_DISTANCES, FIXED_LITERALS, Lengths};
use super::output::{Count, Output};

/// What a walk found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The bit at which the final block begins: its BFINAL.
    pub final_block: u64,
    /// The bit after the end of the final block.
    pub end: u64,
    /// Bytes of output.
    pub output: u64,
}

/// The stream is invalid, or the bytes end before it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenStream {
    /// The bit where it went wrong.
    pub at: u64,
    /// What is wrong there.
    pub flaw: Flaw,
}

/// What can be wrong with a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Invalid bits.
    Broken,
    /// The bytes end too early.
    Ended,
    /// There is no room for the output.
    Room,
}

/// Receives the amount of output at certain bytes of the stream.
pub(crate) trait Observer {
    /// The first `byte` bytes of the stream inflate to `output` bytes. Returns the next byte to
    /// report, a later one; `u64::MAX` for none.
    fn pass(&mut self, byte: u64, output: u64) -> u64;
}

impl Observer for () {
    fn pass(&mut self, _: u64, _: u64) -> u64 {
        u64::MAX
    }
}

impl<O: Observer> Observer for &mut O {
    fn pass(&mut self, byte: u64, output: u64) -> u64 {
        O::pass(self, byte, output)
    }
}

/// Walks the stream at the start of `bytes` to the end of its final block.
///
/// # Errors
///
/// If it is broken, or does not end there.
pub fn walk(bytes: &[u8]) -> Result<Walk, BrokenStream> {
    walk_observed(bytes, &mut (), u64::MAX)
}

/// Walks as [`walk`] does, and reports to `observer`, byte `first` first.
pub(crate) fn walk_observed<O: Observer>(
    bytes: &[u8],
    observer: &mut O,
    first: u64,
) -> Result<Walk, BrokenStream> {
    to_end(bytes, Count(0), observer, first)
}

/// Walks a stream after `before` bytes of output, to which it may refer, and which are counted.
pub(super) fn walk_behind<O: Observer>(
    bytes: &[u8],
    before: u64,
    observer: &mut O,
    first: u64,
) -> Result<Walk, BrokenStream> {
    to_end(bytes, Count(before), observer, first)
}

/// Walks a whole stream, and hands its output to `output`.
pub(super) fn to_end<O: Observer>(
    bytes: &[u8],
    output: impl Output,
    observer: &mut O,
    first: u64,
) -> Result<Walk, BrokenStream> {
    let mut walker = Walker::new(bytes, 0, output, first, observer);
    TABLES.with_borrow_mut(|tables| {
        loop {
            let final_block = walker.bits.at();
            if walker.block(tables)? {
                let end = walker.bits.at();
                return Ok(Walk { final_block, end, output: walker.output.length() });
            }
        }
    })
}

/// Walks whole blocks that take up all of `bytes`, none of them the final one, and hands their
/// output to `output`. Returns the number of bytes of output.
pub(super) fn over_blocks(bytes: &[u8], output: impl Output) -> Result<u64, BrokenStream> {
    let mut walker = Walker::new(bytes, 0, output, u64::MAX, ());
    TABLES.with_borrow_mut(|tables| {
        while walker.bits.at() < bytes.len() as u64 * 8 {
            let at = walker.bits.at();
            if walker.block(tables)? {
                return Err(broken(at));
            }
        }
        Ok(walker.output.length())
    })
}

/// Where a walk is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WalkAt {
    /// The next bit.
    pub(crate) bit: u64,
    /// Bytes of output.
    pub(crate) output: u64,
    /// The next byte to report.
    pub(crate) next: u64,
}

/// Walks one block, which begins at `place`, and returns whether it is the final one. If the block
/// is broken, part of it may have been reported; `place` does not move then.
pub(crate) fn walk_block<O: Observer>(
    bytes: &[u8],
    place: &mut WalkAt,
    observer: &mut O,
) -> Result<bool, BrokenStream> {
    let output = Count(place.output);
    let mut walker = Walker::new(bytes, place.bit, output, place.next, observer);
    let is_final = TABLES.with_borrow_mut(|tables| walker.block(tables))?;
    let (bit, output) = (walker.bits.at(), walker.output.length());
    *place = WalkAt { bit, output, next: walker.next.div_ceil(8) };
    Ok(is_final)
}

/// A walk in progress.
pub(super) struct Walker<'a, O, W> {
    pub(super) bits: Bits<'a>,
    pub(super) output: W,
    /// The bit at which to report next.
    next: u64,
    observer: O,
}

/// What comes next in a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A block.
    Block,
    /// Symbols of a block, in the fixed codes.
    Fixed,
    /// Symbols of a block, in its own codes.
    Dynamic,
}

/// The codes of the current block.
pub(super) struct Tables {
    lengths: Lengths,
    codes: Codes,
}

thread_local! {
    static TABLES: RefCell<Box<Tables>> = RefCell::new(Box::new(Tables::new()));
}

/// The codes of all blocks with fixed codes.
static FIXED: LazyLock<Codes> = LazyLock::new(|| Codes {
    literals: Code::fixed(Alphabet::Literals, &FIXED_LITERALS),
    distances: Code::fixed(Alphabet::Distances, &FIXED_DISTANCES),
});

impl Tables {
    pub(super) fn new() -> Self {
        Self {
            lengths: Code::new(Alphabet::Lengths),
            codes: Codes {
                literals: Code::new(Alphabet::Literals),
                distances: Code::new(Alphabet::Distances),
            },
        }
    }

    /// The codes of the symbols that come next; `None` if a block comes next.
    pub(super) fn codes(&self, next: Next) -> Option<&Codes> {
        match next {
            Next::Block => None,
            Next::Fixed => Some(&FIXED),
            Next::Dynamic => Some(&self.codes),
        }
    }
}

pub(super) fn broken(at: u64) -> BrokenStream {
    BrokenStream { at, flaw: Flaw::Broken }
}

impl<'a, O: Observer, W: Output> Walker<'a, O, W> {
    /// Continues at bit `at` of `bytes`; byte `next` is the first to report.
    pub(super) fn new(bytes: &'a [u8], at: u64, output: W, next: u64, observer: O) -> Self {
        Self { bits: Bits::new(bytes, at), output, next: next.saturating_mul(8), observer }
    }

    /// Walks a block, and returns whether it is the final one.
    fn block(&mut self, tables: &mut Tables) -> Result<bool, BrokenStream> {
        let (is_final, next) = self.begin_block(tables)?;
        if let Some(codes) = tables.codes(next) {
            loop {
                let most = self.most();
                self.output.fast_path(&mut self.bits, codes, most);
                if self.symbols(codes)? {
                    break;
                }
            }
        }
        Ok(is_final)
    }

    /// Walks a stored block, or what precedes the symbols of another. Returns whether it is the
    /// final one, and what comes next.
    pub(super) fn begin_block(
        &mut self,
        tables: &mut Tables,
    ) -> Result<(bool, Next), BrokenStream> {
        let start = self.bits.at();
        let is_final = self.bits.take(1)? == 1;
        let next = match self.bits.take(2)? {
            0 => {
                self.stored()?;
                self.pass(self.bits.at());
                Next::Block
            }
            1 => Next::Fixed,
            2 => {
                self.read_codes(tables)?;
                Next::Dynamic
            }
            _ => return Err(broken(start)),
        };
        Ok((is_final, next))
    }

    /// No symbol may end after this byte without a report.
    pub(super) fn most(&self) -> usize {
        usize::try_from(self.next / 8).unwrap_or(usize::MAX)
    }

    /// Reports everything that is due before bit `end`, or at it.
    #[inline]
    fn pass(&mut self, end: u64) {
        while self.next <= end {
            let next = self.observer.pass(self.next / 8, self.output.length());
            self.next = next.saturating_mul(8);
        }
    }

    fn stored(&mut self) -> Result<(), BrokenStream> {
        let start = self.bits.align();
        let length = self.bits.take(16)?;
        let complement = self.bits.take(16)?;
        if length != !complement & 0xffff {
            return Err(broken(start as u64 * 8));
        }
        let contents = start + 4;
        let end = contents + length as usize;
        let Some(bytes) = self.bits.bytes.get(contents..end) else {
            return Err(BrokenStream { at: self.bits.len() as u64 * 8, flaw: Flaw::Ended });
        };
        self.pass(contents as u64 * 8);
        let before = self.output.length();
        while self.next <= end as u64 * 8 {
            let byte = self.next / 8;
            let next = self.observer.pass(byte, before + byte - contents as u64);
            self.next = next.saturating_mul(8);
        }
        if !self.output.bytes(bytes) {
            return Err(BrokenStream { at: contents as u64 * 8, flaw: Flaw::Room });
        }
        self.bits.go_to(end);
        Ok(())
    }

    /// The slow path: inflates some symbols, until the fast path can continue. Returns whether the
    /// block ends with them.
    pub(super) fn symbols(&mut self, codes: &Codes) -> Result<bool, BrokenStream> {
        for _ in 0..32 {
            if self.symbol(codes)? {
                self.pass(self.bits.at());
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Walks a symbol, and returns whether it is the end of the block.
    #[inline]
    fn symbol(&mut self, codes: &Codes) -> Result<bool, BrokenStream> {
        // Enough for a length and its distance, at most 20 and 28 bits.
        self.bits.refill();
        let at = self.bits.at();
        let ahead = self.bits.ahead();
        let entry = codes.literals.entry(ahead);
        if entry.is_invalid() {
            return Err(broken(at));
        }
        self.bits.skip(entry.bits())?;
        let room = if entry.is_literal() {
            self.pass_inside();
            self.output.literal(entry.literal())
        } else if entry.is_end() {
            return Ok(true);
        } else {
            let behind = self.bits.ahead();
            let far = codes.distances.entry(behind);
            if far.is_invalid() {
                return Err(broken(self.bits.at()));
            }
            self.bits.skip(far.bits())?;
            let distance = far.distance(behind);
            if distance > self.output.reach() {
                return Err(broken(at));
            }
            self.pass_inside();
            self.output.copy(distance, entry.length(ahead))
        };
        if room { Ok(false) } else { Err(BrokenStream { at, flaw: Flaw::Room }) }
    }

    /// Reports everything due before the end of a symbol: output that ends at exactly the byte in
    /// question is complete by then.
    #[inline]
    fn pass_inside(&mut self) {
        if self.next < self.bits.at() {
            self.pass(self.bits.at() - 1);
        }
    }

    fn read_codes(&mut self, tables: &mut Tables) -> Result<(), BrokenStream> {
        const ORDER: [usize; 19] =
            [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let Tables { lengths, codes: Codes { literals, distances } } = tables;
        let broken = broken(self.bits.at());
        let literal_codes = self.bits.take(5)? as usize + 257;
        let distance_codes = self.bits.take(5)? as usize + 1;
        let length_codes = self.bits.take(4)? as usize + 4;
        if literal_codes > 286 || distance_codes > 30 {
            return Err(broken);
        }
        let mut of_lengths = [0_u8; 19];
        for &place in &ORDER[..length_codes] {
            of_lengths[place] = self.bits.take(3)? as u8;
        }
        lengths.build(&of_lengths).ok_or(broken)?;
        let mut all = [0_u8; 286 + 30];
        let wanted = literal_codes + distance_codes;
        let mut at = 0;
        while at < wanted {
            self.bits.refill();
            let entry = lengths.entry(self.bits.ahead());
            if entry.is_invalid() {
                return Err(broken);
            }
            self.bits.skip(entry.bits())?;
            let (value, repeat) = match entry.literal() {
                symbol @ 0..16 => {
                    all[at] = symbol;
                    at += 1;
                    continue;
                }
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
