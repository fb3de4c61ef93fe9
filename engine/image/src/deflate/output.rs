//! Where the output of a stream goes: nowhere, or to memory.

#![expect(unsafe_code, reason = "memory that nothing was written to yet")]

use std::mem::MaybeUninit;

use super::BrokenStream;
use super::bits::Bits;
use super::code::Codes;
use super::fast::{self, Work};
use super::walk::{Observer, Walk, over_blocks, to_end};

/// The farthest that a distance may reach.
pub(super) const WINDOW: u64 = 32 << 10;

/// Inflates the stream at the start of `bytes` into the capacity of `output`, whose contents it
/// replaces, and tells `observer` as [`super::walk_observed`] does.
///
/// # Errors
///
/// If it is broken, does not end there, or gives more than there is room for.
pub(crate) fn inflate_observed<O: Observer>(
    bytes: &[u8],
    output: &mut Vec<u8>,
    observer: &mut O,
    first: u64,
) -> Result<Walk, BrokenStream> {
    output.clear();
    let memory = Memory { room: output.spare_capacity_mut(), length: 0 };
    let walk = to_end(bytes, memory, observer, first)?;
    // SAFETY: what came out has been written there, and nothing was left out.
    unsafe { output.set_len(walk.output as usize) };
    Ok(walk)
}

/// Inflates the stream at the start of `bytes` to the start of `room`.
///
/// # Errors
///
/// If it is broken, does not end there, or gives more than there is room for.
pub(crate) fn inflate_to(bytes: &[u8], room: &mut [u8]) -> Result<Walk, BrokenStream> {
    to_end(bytes, Memory { room: unwritten(room), length: 0 }, &mut (), u64::MAX)
}

/// Inflates blocks that take all of `bytes`, to the end of the last byte, and none of which is
/// the final one, to the start of `room`. Returns how many bytes come out.
///
/// # Errors
///
/// If that is not what they are, or there is not enough room.
pub(crate) fn inflate_blocks_to(bytes: &[u8], room: &mut [u8]) -> Result<usize, BrokenStream> {
    over_blocks(bytes, Memory { room: unwritten(room), length: 0 }).map(|length| length as usize)
}

fn unwritten(room: &mut [u8]) -> &mut [MaybeUninit<u8>] {
    // SAFETY: nothing but bytes is written there by this module.
    unsafe { &mut *(std::ptr::from_mut(room) as *mut [MaybeUninit<u8>]) }
}

/// What comes out of a stream.
pub(super) trait Output {
    /// Goes on with a block for as long as neither the input nor the room is nearly at an end,
    /// and no symbol can end behind the first `most` bytes of the input; or not at all. What it
    /// stops at, the end of the block included, is left to be decoded.
    #[inline]
    fn hurry(&mut self, bits: &mut Bits<'_>, codes: &Codes, most: usize) {
        let _ = (bits, codes, most);
    }

    /// Bytes that came out.
    fn length(&self) -> u64;

    /// Says whether there was room for the byte.
    fn literal(&mut self, byte: u8) -> bool;

    /// Repeats what came out `distance` bytes ago. Says whether there was room.
    ///
    /// `distance` may not be more than [`Output::reach`].
    fn copy(&mut self, distance: usize, length: usize) -> bool;

    /// Says whether there was room for the bytes.
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
    /// Bytes that came out: so many of `room` have been written.
    pub(super) length: usize,
}

impl Output for Memory<'_> {
    fn hurry(&mut self, bits: &mut Bits<'_>, codes: &Codes, most: usize) {
        fast::hurry(Work { output: self, bits, codes, most });
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
