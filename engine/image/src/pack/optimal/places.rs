//! Earlier places in the window, kept as numbers of 16 bits.

/// How far back a match may reach.
pub(in super::super) const WINDOW: usize = 32 << 10;
/// Bytes that the longest match has.
pub(super) const LONGEST: usize = 258;
/// Bytes that must follow a place for it to be looked at.
pub(super) const LOOKAHEAD: usize = 8;

/// Out of every window.
pub(super) const NOWHERE: i16 = i16::MIN;

/// How much is done to find matches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search {
    /// Places that are looked at for one position.
    pub(super) depth: u32,
    /// Bytes with which a match is long enough.
    pub(super) nice: usize,
}

/// Where numbers count from: it moves with the window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Base(usize);

impl Base {
    pub(super) fn new(at: usize) -> Self {
        Self(at)
    }

    /// The number of the position `at`. What was numbered before is `renumbered` if need be.
    #[inline]
    pub(super) fn number(&mut self, at: usize, mut renumber: impl FnMut(fn(&mut [i16]))) -> i16 {
        while at - self.0 >= WINDOW {
            self.0 += WINDOW;
            renumber(move_back);
        }
        (at - self.0) as i16
    }

    /// The number of the position `at`, which is before the end.
    #[inline]
    pub(super) fn of(self, at: usize) -> i16 {
        (at - self.0) as i16
    }

    /// The number of the position `at`, also of one that is out of every window.
    #[inline]
    pub(super) fn wide(self, at: usize) -> i32 {
        at as i32 - self.0 as i32
    }

    /// Where a position has no number yet.
    #[inline]
    pub(super) fn end(self) -> usize {
        self.0 + WINDOW
    }

    /// The number of the last place that is too far from the position `at`, or beyond.
    #[inline]
    pub(super) fn last_outside(self, at: usize) -> i32 {
        (at - self.0) as i32 - WINDOW as i32
    }

    /// The position that is number 0.
    #[cfg(target_arch = "x86_64")]
    #[inline]
    pub(super) fn zero(self) -> usize {
        self.0
    }

    /// The position of a number.
    #[inline]
    pub(super) fn position(self, number: i32) -> usize {
        self.0.wrapping_add_signed(number as isize)
    }
}

/// Makes numbers smaller by the window's size: those that are negative are out of it then.
fn move_back(numbers: &mut [i16]) {
    for number in numbers {
        *number = if *number >= 0 { *number ^ NOWHERE } else { NOWHERE };
    }
}

#[expect(clippy::unnecessary_box_returns, reason = "on the stack it would be large")]
pub(super) fn nowhere<const N: usize>() -> Box<[i16; N]> {
    vec![NOWHERE; N].into_boxed_slice().try_into().expect("it is as long")
}

/// A hash of the lowest bytes of `word`, `order` bits long.
#[inline]
pub(super) fn hash(word: u64, bytes: u32, order: u32) -> usize {
    // Fibonacci hashing: 2^64 divided by the golden ratio, as Knuth has it (TAOCP 6.4).
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    ((word << (64 - 8 * bytes)).wrapping_mul(GOLDEN) >> (64 - order)) as usize
}

#[inline]
pub(super) fn four(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

#[inline]
pub(super) fn eight(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

/// How many bytes are the same from the start of both on; the first `known` ones are.
#[inline]
pub(super) fn same(one: &[u8], other: &[u8], known: usize) -> usize {
    let end = one.len().min(other.len());
    let mut at = known;
    while at + 8 <= end {
        let differs = eight(one, at) ^ eight(other, at);
        if differs != 0 {
            return at + differs.trailing_zeros() as usize / 8;
        }
        at += 8;
    }
    while at < end && one[at] == other[at] {
        at += 1;
    }
    at
}
