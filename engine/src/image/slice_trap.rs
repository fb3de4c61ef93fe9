//! The slice trap: where a sled's inflater gives up on a valid stream.
//!
//! The sled feeds its inflater the payload in slices, and inflates each into buffers of
//! 128 KiB for as long as they come back full. If a slice gives exactly one or more full
//! buffers, the call after them finds nothing to do, and the sled does not boot.

use super::deflate_walk::Yields;

/// Bytes of a buffer that the sled inflates into.
const BUFFER: u64 = 128 << 10;

/// Bytes of a slice from a disk, and of one from the service processor.
pub(super) const SLICES: [u64; 2] = [4096, 974];

/// Follows a payload as it grows, for one size of slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follower {
    slice: u64,
    /// Payload bytes that have been followed, and what comes out of them.
    length: u64,
    output: u64,
    /// What comes out of the payload up to the last boundary between slices.
    at_boundary: u64,
}

impl Follower {
    pub(super) fn new(slice: u64) -> Self {
        Self { slice, length: 0, output: 0, at_boundary: 0 }
    }

    /// Follows `length` bytes more, of which the first so many give what `yields` tells.
    /// Returns the payload offset of the first slice that ends in them and is a trap.
    pub(super) fn follow(&mut self, length: u64, yields: Option<&Yields>) -> Option<u64> {
        let of_first = |bytes| yields.map_or(0, |yields| yields.of_first(bytes));
        let mut trap = None;
        let mut boundary = (self.length / self.slice + 1) * self.slice;
        while boundary <= self.length + length {
            let output = self.output + of_first(boundary - self.length);
            let came = output - self.at_boundary;
            if came > 0 && came.is_multiple_of(BUFFER) {
                trap = trap.or(Some(boundary - self.slice));
            }
            self.at_boundary = output;
            boundary += self.slice;
        }
        self.length += length;
        self.output += of_first(length);
        trap
    }
}

/// Where a sled's inflater gives up on a valid stream: the payload offset of the slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SliceTraps {
    /// Read from a disk, in slices of 4096 bytes.
    pub disk: Option<u64>,
    /// Read through the service processor, in slices of 974 bytes.
    pub sp: Option<u64>,
}

impl SliceTraps {
    /// Those of a whole payload of `length` bytes, the first `header` of which stand before its
    /// deflate stream.
    pub(super) fn find(header: u64, length: u64, yields: &Yields) -> Self {
        let [disk, sp] = SLICES.map(|slice| {
            let mut follower = Follower::new(slice);
            let before = follower.follow(header, None);
            before.or_else(|| follower.follow(length - header, Some(yields)))
        });
        Self { disk, sp }
    }
}
