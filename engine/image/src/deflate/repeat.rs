//! Matches that overlap what they write, or are long.

#![expect(unsafe_code, reason = "its callers have checked what it reads and writes")]
#![expect(clippy::inline_always, reason = "part of a loop")]

use std::mem::MaybeUninit;

/// Bytes copied at a time: few matches are longer.
pub(super) const WIDE: usize = 32;

/// All bytes in order, so that a literal can be copied as a match is.
pub(super) static BYTES: [u8; 256 + WIDE] = {
    let mut bytes = [0; 256 + WIDE];
    let mut byte = 0;
    while byte < 256 {
        bytes[byte] = byte as u8;
        byte += 1;
    }
    bytes
};

/// Writes `count` bytes to `to`, each a copy of the one `distance` bytes before it.
///
/// # Safety
///
/// `distance` bytes before `to` have been written, and from `to` on there is room for `count`
/// and [`WIDE`] more, which may be written too.
#[cold]
pub(super) unsafe fn repeat(to: *mut MaybeUninit<u8>, distance: usize, count: usize) {
    /// Copies `WIDTH` bytes at a time, each time `step` further on.
    ///
    /// # Safety
    ///
    /// As that of its caller; what lies between `from` and `to` is no less than `WIDTH`, or
    /// repeats itself every `step` bytes.
    #[inline(always)]
    unsafe fn by<const WIDTH: usize>(
        mut from: *mut MaybeUninit<u8>,
        mut to: *mut MaybeUninit<u8>,
        step: usize,
        count: usize,
    ) {
        let mut done = 0;
        loop {
            // SAFETY: at most `WIDTH` bytes after the last that is asked for.
            unsafe {
                std::ptr::copy(from, to, WIDTH);
                from = from.add(step);
                to = to.add(step);
            }
            done += step;
            if done >= count {
                return;
            }
        }
    }
    // SAFETY: by the contract above.
    unsafe {
        let from = to.sub(distance);
        if distance >= WIDE {
            by::<WIDE>(from, to, WIDE, count);
        } else if distance >= 8 {
            by::<8>(from, to, 8, count);
        } else if distance == 1 {
            let byte = from.read().assume_init();
            let mut done = 0;
            while done < count {
                std::ptr::write_bytes(to.add(done), byte, WIDE);
                done += WIDE;
            }
        } else {
            by::<8>(from, to, distance, count);
        }
    }
}
