//! Memory that can change or vanish: a file that is mapped rather than read.
//!
//! Nothing in this process reads it. Whoever can write to the file can change it at any time, and
//! once the file is shorter, a read ends the process (SIGBUS). So the types here reveal only the
//! address, for a system call, which then fails with EFAULT; they never give a reference.

use std::fs::File;
use std::io;
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr;

use memmap2::{Advice, MmapOptions, MmapRaw};

/// A part of a file, mapped read-only.
#[derive(Debug)]
pub(super) struct Mapping(MmapRaw);

impl Mapping {
    /// Maps `size` bytes of `file`, from byte `start` on.
    pub(super) fn new(file: &File, start: u64, size: usize) -> io::Result<Self> {
        let map = MmapOptions::new().offset(start).len(size).map_raw_read_only(file)?;
        // Only a hint. The pages are not all fetched: mapping is for machines without the memory.
        let _ = map.advise(Advice::WillNeed);
        Ok(Self(map))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The bytes in `range`.
    ///
    /// # Panics
    ///
    /// If it is not inside the mapping.
    pub(super) fn slice(&self, range: Range<usize>) -> MappedSlice<'_> {
        assert!(range.start <= range.end && range.end <= self.len(), "outside the mapping");
        let start = self.0.as_ptr().wrapping_add(range.start);
        let bytes = ptr::slice_from_raw_parts(start, range.len());
        MappedSlice { bytes, mapping: PhantomData }
    }
}

/// Bytes of a mapped file, which only the kernel may read: an address and a length for an iovec,
/// and no method that reads.
///
/// ```compile_fail
/// fn first(slice: boot_image::MappedSlice<'_>) -> u8 {
///     slice[0]
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MappedSlice<'a> {
    bytes: *const [u8],
    /// The address is valid for as long as the mapping is.
    mapping: PhantomData<&'a Mapping>,
}

impl MappedSlice<'_> {
    /// The address and number of the bytes, for a system call.
    pub fn as_raw(self) -> *const [u8] {
        self.bytes
    }

    /// Its length in bytes.
    pub fn len(self) -> usize {
        self.bytes.len()
    }

    /// Whether it is empty.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}
