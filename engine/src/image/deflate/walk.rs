//! The walk over a stream's blocks.

use std::cell::RefCell;

use super::bits::Bits;
use super::code::{Alphabet, Code, FIXED_DISTANCES, FIXED_LITERALS};

/// What a walk found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Walk {
    /// The bit at which the final block begins: its BFINAL.
    pub final_block: u64,
    /// The bit behind the end of the final block.
    pub end: u64,
    /// Bytes that come out.
    pub output: u64,
}

/// The stream is none, or goes on where the bytes end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrokenStream {
    /// The bit where it went wrong.
    pub at: u64,
    /// Whether nothing is wrong but that the bytes end.
    pub ended: bool,
}

/// Told how much has come out when the walk passes certain bytes.
pub(crate) trait Observer {
    /// The first `byte` bytes of the stream give `output` bytes. Returns the next such byte to
    /// be told of, a later one; `u64::MAX` for none.
    fn pass(&mut self, byte: u64, output: u64) -> u64;
}

impl Observer for () {
    fn pass(&mut self, _: u64, _: u64) -> u64 {
        u64::MAX
    }
}

/// Walks the stream at the start of `bytes` to the end of its final block.
///
/// # Errors
///
/// If it is broken, or does not end there. Distances that reach too far back are not noticed.
pub fn walk(bytes: &[u8]) -> Result<Walk, BrokenStream> {
    walk_observed(bytes, &mut (), u64::MAX)
}

/// Walks as [`walk`] does, and tells `observer` of byte `first` first.
pub(crate) fn walk_observed<O: Observer>(
    bytes: &[u8],
    observer: &mut O,
    first: u64,
) -> Result<Walk, BrokenStream> {
    let mut place = Place { bit: 0, output: 0, next: first };
    loop {
        let start = place.bit;
        if walk_block(bytes, &mut place, observer)? {
            return Ok(Walk { final_block: start, end: place.bit, output: place.output });
        }
    }
}

/// Where a walk is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The bit that comes next.
    pub(crate) bit: u64,
    /// Bytes that came out.
    pub(crate) output: u64,
    /// The byte that the observer is to be told of next.
    pub(crate) next: u64,
}

/// Walks one block, which begins at `place`, and says whether it is the final one. Of a broken
/// block the observer may have been told a part; `place` does not move then.
pub(crate) fn walk_block<O: Observer>(
    bytes: &[u8],
    place: &mut Place,
    observer: &mut O,
) -> Result<bool, BrokenStream> {
    let mut walker = Walker {
        bits: Bits::new(bytes, place.bit),
        output: place.output,
        next: place.next.saturating_mul(8),
        observer,
    };
    let is_final = walker.block()?;
    walker.pass(walker.bits.at());
    *place = Place { bit: walker.bits.at(), output: walker.output, next: walker.next.div_ceil(8) };
    Ok(is_final)
}

struct Walker<'a, O> {
    bits: Bits<'a>,
    output: u64,
    /// The bit at which the observer wants to be told.
    next: u64,
    observer: &'a mut O,
}

/// The codes of the block at hand, and those of all blocks with fixed codes.
struct Codes {
    lengths: Code,
    literals: Code,
    distances: Code,
    fixed_literals: Code,
    fixed_distances: Code,
}

thread_local! {
    static CODES: RefCell<Box<Codes>> = RefCell::new(Box::new(Codes::new()));
}

impl Codes {
    fn new() -> Self {
        Self {
            lengths: Code::new(Alphabet::Lengths),
            literals: Code::new(Alphabet::Literals),
            distances: Code::new(Alphabet::Distances),
            fixed_literals: Code::fixed(Alphabet::Literals, &FIXED_LITERALS),
            fixed_distances: Code::fixed(Alphabet::Distances, &FIXED_DISTANCES),
        }
    }
}

impl<O: Observer> Walker<'_, O> {
    fn block(&mut self) -> Result<bool, BrokenStream> {
        let start = self.bits.at();
        let broken = BrokenStream { at: start, ended: false };
        let is_final = self.bits.take(1)? == 1;
        let kind = self.bits.take(2)?;
        CODES.with_borrow_mut(|codes| match kind {
            0 => self.stored(),
            1 => self.compressed(&codes.fixed_literals, &codes.fixed_distances),
            2 => {
                self.read_codes(codes)?;
                self.compressed(&codes.literals, &codes.distances)
            }
            _ => Err(broken),
        })?;
        Ok(is_final)
    }

    /// Tells the observer of all that it wants to know before bit `end`, or at it.
    #[inline]
    fn pass(&mut self, end: u64) {
        while self.next <= end {
            let next = self.observer.pass(self.next / 8, self.output);
            self.next = next.saturating_mul(8);
        }
    }

    fn stored(&mut self) -> Result<(), BrokenStream> {
        let start = self.bits.align();
        let length = self.bits.take(16)?;
        let complement = self.bits.take(16)?;
        if length != !complement & 0xffff {
            return Err(BrokenStream { at: start as u64 * 8, ended: false });
        }
        let contents = start + 4;
        let end = contents + length as usize;
        if end > self.bits.len() {
            return Err(BrokenStream { at: self.bits.len() as u64 * 8, ended: true });
        }
        self.pass(contents as u64 * 8);
        let before = self.output;
        while self.next <= end as u64 * 8 {
            let byte = self.next / 8;
            let next = self.observer.pass(byte, before + byte - contents as u64);
            self.next = next.saturating_mul(8);
        }
        self.output += length;
        self.bits.go_to(end);
        Ok(())
    }

    fn compressed(&mut self, literals: &Code, distances: &Code) -> Result<(), BrokenStream> {
        // Local, so that they stay in registers.
        let mut bits = self.bits.clone();
        let mut output = self.output;
        let mut next = self.next;
        loop {
            // Enough for a length and its distance, which take 20 and 28 bits at most.
            bits.refill();
            let ahead = bits.ahead();
            let entry = literals.entry(ahead, &bits)?;
            if entry.is_other() {
                let at = bits.at();
                bits.skip(entry.bits())?;
                if !entry.is_end() {
                    return Err(BrokenStream { at, ended: false });
                }
                (self.bits, self.output, self.next) = (bits, output, next);
                return Ok(());
            }
            // Looked for behind literals too: which of both it is can't be foreseen, and to guess
            // wrong takes longer.
            let behind = ahead >> entry.bits();
            let mut distance = distances.short_entry(behind);
            let mask = entry.length_mask();
            if distance.is_odd() & mask != 0 {
                distance = distances.entry(behind, &bits)?;
                if distance.is_other() {
                    return Err(BrokenStream { at: bits.at(), ended: false });
                }
            }
            bits.skip(entry.bits() + (distance.bits() & mask))?;
            if next < bits.at() {
                next = self.pass_inside(next, bits.at(), output);
            }
            output += entry.output(ahead);
        }
    }

    /// Tells the observer of all from bit `next` up to before bit `end`, where a symbol ends:
    /// what ends at the very byte that is asked for has come out by then.
    #[inline(never)]
    fn pass_inside(&mut self, mut next: u64, end: u64, output: u64) -> u64 {
        while next < end {
            next = self.observer.pass(next / 8, output).saturating_mul(8);
        }
        next
    }

    fn read_codes(&mut self, codes: &mut Codes) -> Result<(), BrokenStream> {
        const ORDER: [usize; 19] =
            [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let Codes { lengths, literals, distances, .. } = codes;
        let broken = BrokenStream { at: self.bits.at(), ended: false };
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
            let entry = lengths.entry(self.bits.ahead(), &self.bits)?;
            self.bits.skip(entry.bits())?;
            let (value, repeat) = match entry.base() {
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
