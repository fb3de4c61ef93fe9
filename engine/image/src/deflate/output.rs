//! Where the output of a stream goes: nowhere, or to memory.

#![expect(unsafe_code, reason = "memory that nothing was written to yet")]

use std::mem::MaybeUninit;

use super::BrokenStream;
use super::bits::Bits;
use super::code::Codes;
use super::fast::{self, Work};
use super::walk::{Observer, Walk, over_blocks, to_end};

/// The farthest that a distance reaches back.
pub(super) const WINDOW: u64 = 32 << 10;

/// Inflates the stream at the start of `bytes` into the capacity of `output`, behind its contents,
/// to which the stream may refer, and reports to `observer` as [`super::walk_observed`] does:
/// outputs count from the start of those contents.
///
/// # Errors
///
/// If it is broken, does not end there, or has more output than there is room for.
pub(crate) fn inflate_observed<O: Observer>(
    bytes: &[u8],
    output: &mut Vec<u8>,
    observer: &mut O,
    first: u64,
) -> Result<Walk, BrokenStream> {
    let length = output.len();
    let (start, room) = (output.as_mut_ptr().cast(), output.capacity());
    // SAFETY: the memory is exclusively ours, and may be uninitialised.
    let room = unsafe { std::slice::from_raw_parts_mut(start, room) };
    let memory = Memory { room, length };
    let walk = to_end(bytes, memory, observer, first)?;
    // SAFETY: the output has been written there without a gap.
    unsafe { output.set_len(walk.output as usize) };
    Ok(walk)
}

/// Inflates the stream at the start of `bytes` to the start of `room`.
///
/// # Errors
///
/// If it is broken, does not end there, or has more output than there is room for.
pub(crate) fn inflate_to(bytes: &[u8], room: &mut [u8]) -> Result<Walk, BrokenStream> {
    to_end(bytes, Memory { room: unwritten(room), length: 0 }, &mut (), u64::MAX)
}

/// Inflates blocks that take up all of `bytes`, none of them the final one, to the start of `room`.
/// Returns the bytes of output.
///
/// # Errors
///
/// If they are anything else, or there is not enough room.
pub(crate) fn inflate_blocks_to(bytes: &[u8], room: &mut [u8]) -> Result<usize, BrokenStream> {
    over_blocks(bytes, Memory { room: unwritten(room), length: 0 }).map(|length| length as usize)
}

fn unwritten(room: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: nothing but bytes is written there by this module.
    unsafe { &mut *(std::ptr::from_mut(room) as *mut [MaybeUninit<u8>]) }
}

/// The output of a stream.
pub(super) trait Output {
    /// The fast path: inflates symbols of a block as long as neither input nor room is nearly used
    /// up, and no symbol can end after the first `most` bytes of the input. May do nothing.
    /// Whatever it stops at, such as the end of the block, is left to the slow path.
    #[inline]
    fn fast_path(&mut self, bits: &mut Bits<'_>, codes: &Codes, most: usize) {
        let _ = (bits, codes, most);
    }

    /// Bytes of output.
    fn length(&self) -> u64;

    /// Returns whether there was room for the byte.
    fn literal(&mut self, byte: u8) -> bool;

    /// Repeats the output of `distance` bytes ago. Returns whether there was room.
    ///
    /// `distance` must not exceed [`Output::reach`].
    fn copy(&mut self, distance: usize, length: usize) -> bool;

    /// Returns whether there was room for the bytes.
    fn bytes(&mut self, bytes: &[u8]) -> bool;

    /// How far a distance may reach back.
    fn reach(&self) -> usize {
        self.length().min(WINDOW) as usize
    }
}

/// Output that is only counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Count(pub(super) u64);

impl Output for Count {
    #[inline]
    fn length(&self) -> u64 {
        self.0
    }

    #[inline]
    fn literal(&mut self, _: u8) -> bool {
        self.0 += 1;
        true
    }

    #[inline]
    fn copy(&mut self, _: usize, length: usize) -> bool {
        self.0 += length as u64;
        true
    }

    fn bytes(&mut self, bytes: &[u8]) -> bool {
        self.0 += bytes.len() as u64;
        true
    }
}

/// Output in memory.
#[derive(Debug)]
pub(super) struct Memory<'a> {
    pub(super) room: &'a mut [MaybeUninit<u8>],
    /// Bytes of output, the part of `room` that has been written.
    pub(super) length: usize,
}

impl Output for Memory<'_> {
    fn fast_path(&mut self, bits: &mut Bits<'_>, codes: &Codes, most: usize) {
        fast::fast_path(Work { output: self, bits, codes, most });
    }

    #[inline]
    fn length(&self) -> u64 {
        self.length as u64
    }

    #[inline]
    fn literal(&mut self, byte: u8) -> bool {
        let Some(place) = self.room.get_mut(self.length) else {
            return false;
        };
        place.write(byte);
        self.length += 1;
        true
    }

    fn copy(&mut self, distance: usize, length: usize) -> bool {
        let end = self.length + length;
        if end > self.room.len() {
            return false;
        }
        for at in self.length..end {
            self.room[at] = self.room[at - distance];
        }
        self.length = end;
        true
    }

    fn bytes(&mut self, bytes: &[u8]) -> bool {
        let end = self.length + bytes.len();
        let Some(room) = self.room.get_mut(self.length..end) else {
            return false;
        };
        for (place, &byte) in room.iter_mut().zip(bytes) {
            place.write(byte);
        }
        self.length = end;
        true
    }
}
