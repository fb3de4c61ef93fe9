//! Files that share their blocks: what the file system shares need not be copied.

use std::fs::File;

/// Bytes that blocks are aligned to, on every file system that shares them.
#[cfg(target_os = "linux")]
const BLOCK: u64 = 4096;

/// Makes `to` share the first `length` bytes of `from`, from its byte `at` on. Returns how many it
/// shares: 0 if the file system can't.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "a system call on raw memory has no safe form")]
pub(super) fn clone_start(from: &File, length: u64, to: &File, at: u64) -> u64 {
    use std::os::fd::AsRawFd;
    let length = length - length % BLOCK;
    if length == 0 {
        return 0;
    }
    let range = libc::file_clone_range {
        src_fd: from.as_raw_fd().into(),
        src_offset: 0,
        src_length: length,
        dest_offset: at,
    };
    // SAFETY: the kernel reads the range, which is valid, and both descriptors are open.
    let result = unsafe { libc::ioctl(to.as_raw_fd(), libc::FICLONERANGE, &raw const range) };
    if result == 0 { length } else { 0 }
}

/// As on Linux, but nothing is ever shared.
#[cfg(not(target_os = "linux"))]
pub(super) fn clone_start(_: &File, _: u64, _: &File, _: u64) -> u64 {
    0
}
