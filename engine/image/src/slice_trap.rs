//! The slice trap (F9): where a sled's inflater gives up on a valid stream.
//!
//! The sled feeds its inflater the payload in slices, and inflates each into buffers of
//! 128 KiB for as long as they come back full. If a slice inflates to exactly one or more full
//! buffers, the next call finds nothing to do, and the sled does not boot.

use boot_format::boot_source::SliceTraps;

use super::deflate::Observer;

/// Bytes of a buffer that the sled inflates into (F9).
pub(super) const BUFFER: u64 = 128 << 10;

/// Bytes of a slice from a disk, and of one from the service processor (F10).
pub(super) const SLICES: [u64; 2] = [4096, 974];

/// Follows a payload from boundary to boundary, for one size of slice.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follower {
    slice: u64,
    /// The payload offset of the boundary that comes next.
    next: u64,
    /// The output up to the last boundary, if that is known.
    output: Option<u64>,
    /// The payload offset of the first slice that is a trap.
    trap: Option<u64>,
}

impl Follower {
    pub(super) fn new(slice: u64) -> Self {
        Self { slice, next: slice, output: Some(0), trap: None }
    }

    pub(super) fn next(&self) -> u64 {
        self.next
    }

    pub(super) fn trap(&self) -> Option<u64> {
        self.trap
    }

    /// Whether the current slice is a trap if `output` bytes come out up to its end.
    pub(super) fn traps(&self, output: u64) -> bool {
        self.output
            .is_some_and(|before| output > before && (output - before).is_multiple_of(BUFFER))
    }

    /// Passes the next boundary, up to which `output` bytes come out. `None` means that the slices
    /// on both sides of it give less than a buffer.
    pub(super) fn pass(&mut self, output: Option<u64>) {
        if output.is_some_and(|output| self.traps(output)) {
            self.trap = self.trap.or(Some(self.next - self.slice));
        }
        self.output = output;
        self.next += self.slice;
    }
}

/// Follows a payload while its deflate stream is walked over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Finder {
    followers: [Follower; 2],
    /// The payload offset of the stream.
    stream: u64,
}

impl Finder {
    /// For a deflate stream that begins at byte `stream` of the payload, within its first slice.
    pub(super) fn new(stream: u64) -> Self {
        Self { followers: SLICES.map(Follower::new), stream }
    }

    /// The byte of the stream that it wants to see next.
    pub(super) fn next(&self) -> u64 {
        let [one, other] = self.followers;
        one.next().min(other.next()) - self.stream
    }

    /// Sets where the walk goes on: the payload offset of what it takes for the stream's start.
    pub(super) fn rebase(&mut self, stream: u64) {
        self.stream = stream;
    }

    /// What was found in a payload of `length` bytes, from which `output` bytes come out. The slice
    /// that ends with it is not a trap: the inflater has nothing left to do then.
    pub(super) fn finish(mut self, length: u64, output: u64) -> SliceTraps {
        for follower in &mut self.followers {
            while follower.next() < length {
                follower.pass(Some(output));
            }
        }
        let [disk, sp] = self.followers.map(|follower| follower.trap());
        SliceTraps { disk, sp }
    }
}

impl Observer for Finder {
    fn pass(&mut self, byte: u64, output: u64) -> u64 {
        for follower in &mut self.followers {
            if follower.next() == byte + self.stream {
                follower.pass(Some(output));
            }
        }
        self.next()
    }
}
