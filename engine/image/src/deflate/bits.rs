//! The bits of a deflate stream, the lowest bit of each byte first.

use super::{BrokenStream, Flaw};

/// A reader that holds the next bits in a register.
#[derive(Clone)]
pub(super) struct Bits<'a> {
    pub(super) bytes: &'a [u8],
    /// The first byte that is not in the register.
    pub(super) next: usize,
    /// Above the held bits there may be bits of the next byte.
    pub(super) register: u64,
    /// Bits that it holds, at most 63.
    pub(super) held: u32,
}

impl<'a> Bits<'a> {
    /// Begins at bit `at` of `bytes`.
    pub(super) fn new(bytes: &'a [u8], at: u64) -> Self {
        let mut bits = Self { bytes, next: (at / 8) as usize, register: 0, held: 0 };
        bits.refill();
        let skipped = (at % 8).min(bits.held.into()) as u32;
        bits.drop(skipped);
        bits
    }

    /// The next bit, counted from the start of the stream.
    #[inline]
    pub(super) fn at(&self) -> u64 {
        self.next as u64 * 8 - u64::from(self.held)
    }

    /// Fills the register with at least 56 bits, or all that are left.
    #[inline]
    pub(super) fn refill(&mut self) {
        if let Some(word) = self.bytes.get(self.next..).and_then(|rest| rest.first_chunk()) {
            self.register |= u64::from_le_bytes(*word) << self.held;
            self.next += (63 - self.held as usize) / 8;
            self.held |= 0b11_1000;
        } else {
            while self.held <= 56 && self.next < self.bytes.len() {
                self.register |= u64::from(self.bytes[self.next]) << self.held;
                self.next += 1;
                self.held += 8;
            }
        }
    }

    /// The register: the next bits, and zeros after the end of the stream.
    #[inline]
    pub(super) fn ahead(&self) -> u64 {
        self.register
    }

    #[inline]
    fn drop(&mut self, count: u32) {
        self.register >>= count;
        self.held -= count;
    }

    /// Drops `count` bits of the register.
    #[inline]
    pub(super) fn skip(&mut self, count: u32) -> Result<(), BrokenStream> {
        if self.held < count {
            return Err(BrokenStream { at: self.at(), flaw: Flaw::Ended });
        }
        self.drop(count);
        Ok(())
    }

    /// The next `count` bits, at most 32.
    pub(super) fn take(&mut self, count: u32) -> Result<u64, BrokenStream> {
        self.refill();
        let bits = self.register & ((1 << count) - 1);
        self.skip(count)?;
        Ok(bits)
    }

    /// Drops the bits up to the next whole byte, and returns that byte's offset.
    pub(super) fn align(&mut self) -> usize {
        self.drop(self.held % 8);
        (self.at() / 8) as usize
    }

    /// Continues at byte `at`, which must not be past the end.
    pub(super) fn go_to(&mut self, at: usize) {
        *self = Self::new(self.bytes, at as u64 * 8);
    }

    /// Bytes of the stream.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }
}
