//! Bits written one behind the other, lowest first.

#[derive(Clone, Debug, Default)]
pub(in super::super) struct BitWriter {
    bytes: Vec<u8>,
    /// Bits that make no whole byte yet.
    pending: u64,
    count: u32,
    /// Bits behind which zeros go to the end of a byte.
    aligned: Vec<u64>,
    /// The bit at which the last block begins.
    last_block: Option<u64>,
}

impl BitWriter {
    /// Bits so far.
    pub(super) fn length(&self) -> u64 {
        self.bytes.len() as u64 * 8 + u64::from(self.count)
    }

    /// A block begins here.
    pub(super) fn begin_block(&mut self) {
        self.last_block = Some(self.length());
    }

    /// Adds the lowest `count` bits of `bits`, which has no others: 32 at most.
    #[inline]
    pub(super) fn put(&mut self, bits: u64, count: u32) {
        self.pending |= bits << self.count;
        self.count += count;
        if self.count >= 32 {
            self.bytes.extend_from_slice(&(self.pending as u32).to_le_bytes());
            self.pending >>= 32;
            self.count -= 32;
        }
    }

    /// Zeros up to the end of a byte.
    pub(super) fn align(&mut self) {
        self.aligned.push(self.length());
        self.flush();
    }

    fn flush(&mut self) {
        let bytes = self.count.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&self.pending.to_le_bytes()[..bytes]);
        (self.pending, self.count) = (0, 0);
    }

    /// Whole bytes, at the start of one.
    pub(super) fn put_bytes(&mut self, bytes: &[u8]) {
        self.align();
        self.bytes.extend_from_slice(bytes);
    }

    /// All that is in `other`, behind what is in this one; what is at the start of a byte is so again.
    pub(in super::super) fn append(&mut self, other: &Self) {
        let mut start = 0;
        for &at in &other.aligned {
            self.copy_blocks(other, start, at);
            self.align();
            start = at.div_ceil(8);
        }
        self.copy_blocks(other, start, other.length());
    }

    /// Adds the bits of `other` from byte `start` up to bit `end`.
    fn copy_blocks(&mut self, other: &Self, start: u64, end: u64) {
        if let Some(at) = other.last_block.filter(|at| (start * 8..end).contains(at)) {
            self.last_block = Some(self.length() + at - start * 8);
        }
        let of_bytes = end.min(other.bytes.len() as u64 * 8);
        self.copy(&other.bytes, start, of_bytes);
        if of_bytes < end {
            self.put(other.pending, other.count);
        }
    }

    /// Adds the bits of `bytes` from byte `start` up to bit `end`.
    fn copy(&mut self, bytes: &[u8], start: u64, end: u64) {
        let whole = &bytes[start as usize..(end / 8) as usize];
        for word in whole.chunks(4) {
            let mut bytes = [0; 4];
            bytes[..word.len()].copy_from_slice(word);
            self.put(u32::from_le_bytes(bytes).into(), word.len() as u32 * 8);
        }
        if !end.is_multiple_of(8) {
            self.put(bytes[(end / 8) as usize].into(), (end % 8) as u32);
        }
    }

    /// All, of which the last block becomes the final one.
    pub(in super::super) fn finish(mut self) -> Vec<u8> {
        let Some(last) = self.last_block else {
            self.put(1, 3);
            self.put_bytes(&[0, 0, 0xff, 0xff]);
            return self.bytes;
        };
        self.flush();
        self.bytes[(last / 8) as usize] |= 1 << (last % 8);
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_joined_is_what_was_written_one_behind_the_other() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..200 {
            let mut whole = BitWriter::default();
            let mut joined = BitWriter::default();
            for _ in 0..5 {
                let mut part = BitWriter::default();
                for _ in 0..random.u32(..40) {
                    let count = random.u32(0..=32);
                    let bits = random.u64(..1 << count);
                    if random.u8(..5) == 0 {
                        part.begin_block();
                        part.put(0, 3);
                        whole.begin_block();
                        whole.put(0, 3);
                    }
                    if random.u8(..10) == 0 {
                        part.put_bytes(&bits.to_le_bytes());
                        whole.put_bytes(&bits.to_le_bytes());
                    } else {
                        part.put(bits, count);
                        whole.put(bits, count);
                    }
                }
                joined.append(&part);
            }
            assert_eq!(joined.length(), whole.length());
            assert_eq!(joined.finish(), whole.finish());
        }
    }
}
