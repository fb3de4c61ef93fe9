//! Adler-32 sums of parts, combined into that of the whole.

/// The Adler-32 of a part of the contents, and its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Adler {
    sum: u32,
    length: u64,
}

impl Adler {
    pub(super) const EMPTY: Self = Self { sum: 1, length: 0 };
    const BASE: u64 = 65_521;

    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { sum: libdeflater::adler32(bytes), length: bytes.len() as u64 }
    }

    /// A part whose checksum is known.
    #[cfg(feature = "internals")]
    pub(super) fn from_parts(sum: u32, length: u64) -> Self {
        Self { sum, length }
    }

    pub(super) fn of_zeros(length: u64) -> Self {
        Self::of_run(0, length)
    }

    /// The checksum of `byte` repeated `length` times.
    pub(super) fn of_run(byte: u8, length: u64) -> Self {
        let (byte, count) = (u64::from(byte), length % Self::BASE);
        // 1 + 2 + ... + count, halved where that leaves no remainder.
        let sums = count * (count + 1) / 2 % Self::BASE;
        let a = (1 + byte * count) % Self::BASE;
        let b = (count + byte * sums) % Self::BASE;
        Self { sum: (b << 16 | a) as u32, length }
    }

    /// The sum of this part and the `next` one together.
    pub(super) fn then(self, next: Self) -> Self {
        let halves = |sum: u32| (u64::from(sum & 0xffff), u64::from(sum >> 16));
        let ((a1, b1), (a2, b2)) = (halves(self.sum), halves(next.sum));
        // The second part was summed from 1 on, not from where the first one ended.
        let shift = a1 + Self::BASE - 1;
        let a = (a2 + shift) % Self::BASE;
        let b = (b1 + b2 + next.length % Self::BASE * (shift % Self::BASE)) % Self::BASE;
        Self { sum: (b << 16 | a) as u32, length: self.length + next.length }
    }

    /// Its bytes at the end of a zlib stream.
    pub(super) fn to_bytes(self) -> [u8; 4] {
        self.sum.to_be_bytes()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn parts_add_up_to_the_whole(
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
            cut in 0_usize..300, zeros in 0_usize..200_000, byte: u8,
        ) {
            let (one, other) = bytes.split_at(cut.min(bytes.len()));
            let whole = [&bytes[..], &vec![0; zeros], one].concat();
            let joined = Adler::of(one).then(Adler::of(other));
            let joined = joined.then(Adler::of_zeros(zeros as u64)).then(Adler::of(one));
            prop_assert_eq!(joined, Adler::of(&whole));
            prop_assert_eq!(Adler::of_run(byte, zeros as u64), Adler::of(&vec![byte; zeros]));
        }
    }
}
