//! The one place where a file is mapped into memory.

#![expect(unsafe_code, reason = "a mapped file can change under those who read it")]

use std::fs::File;
use std::io;

use memmap2::{Advice, Mmap, MmapOptions};

/// Maps `size` bytes of `file`, from byte `start` on.
///
/// Nothing in this process may read the memory. Whoever can write to the file can change it at any
/// time, and once the file has become shorter a read ends the process (SIGBUS). It may only be
/// handed to a system call, which then fails with EFAULT.
pub(super) fn map(file: &File, start: u64, size: usize) -> io::Result<Mmap> {
    // SAFETY: the bytes are not read here, only by the kernel, as the contract above demands.
    let map = unsafe { MmapOptions::new().offset(start).len(size).map(file) }?;
    // Only a hint. The pages are not all fetched: mapping is for machines without the memory.
    let _ = map.advise(Advice::WillNeed);
    Ok(map)
}
