//! Holes in files, and zeros that could be holes.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// A part of a file that is all hole, or all data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) is_hole: bool,
    /// The offset after its last byte.
    pub(super) end: u64,
}

/// The extent of `file` at `at`, up to `end`. Where the system does not report holes, everything is
/// data; so are holes too small to matter.
pub(super) fn extent(file: &File, at: u64, end: u64) -> Extent {
    const LEAST: u64 = 128 << 10;
    let data = Extent { is_hole: false, end };
    let Some(mut start) = seek::data(file, at) else {
        return data;
    };
    if start >= end || start - at >= LEAST {
        return Extent { is_hole: true, end: start.min(end) };
    }
    while let Some(hole) = seek::hole(file, start).filter(|&hole| hole < end && hole > start) {
        match seek::data(file, hole) {
            Some(next) if next < end && next - hole < LEAST => start = next,
            Some(_) => return Extent { is_hole: false, end: hole },
            None => break,
        }
    }
    data
}

#[cfg(any(target_os = "linux", target_os = "illumos", target_os = "freebsd"))]
mod seek {
    use std::fs::File;

    use rustix::fs::{SeekFrom, seek};
    use rustix::io::Errno;

    /// Where the first data at or after `at` begins; `u64::MAX` without any.
    pub(super) fn data(file: &File, at: u64) -> Option<u64> {
        match seek(file, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => Some(u64::MAX),
            result => result.ok(),
        }
    }

    /// Where the first hole from `at` on begins.
    pub(super) fn hole(file: &File, at: u64) -> Option<u64> {
        seek(file, SeekFrom::Hole(at)).ok()
    }
}

#[cfg(not(any(target_os = "linux", target_os = "illumos", target_os = "freebsd")))]
mod seek {
    use std::fs::File;

    pub(super) fn data(_: &File, _: u64) -> Option<u64> {
        None
    }

    pub(super) fn hole(_: &File, _: u64) -> Option<u64> {
        None
    }
}

/// Zeros, in pieces that stay in a core's cache.
pub(super) fn zeros(mut length: u64) -> impl Iterator<Item = &'static [u8]> {
    static ZEROS: [u8; 16 << 10] = [0; 16 << 10];
    std::iter::from_fn(move || {
        let now = length.min(ZEROS.len() as u64);
        length -= now;
        (now > 0).then(|| &ZEROS[..now as usize])
    })
}

/// Whether all bytes are zero.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    static ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| chunk == &ZEROS[..chunk.len()])
}

/// Writes `bytes` to `file` at `at`, except for the zeros in them that can be a hole.
///
/// # Errors
///
/// If the system refuses.
pub fn write_sparse(file: &File, bytes: &[u8], at: u64) -> io::Result<()> {
    const GRAIN: usize = 32 << 10;
    let mut start = 0;
    let mut end = 0;
    while end < bytes.len() {
        let next = bytes.len().min(end + GRAIN);
        if is_zero(&bytes[end..next]) {
            file.write_all_at(&bytes[start..end], at + start as u64)?;
            start = next;
        }
        end = next;
    }
    file.write_all_at(&bytes[start..], at + start as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_and_data_follow_each_other_to_the_end() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(8 << 20).unwrap();
        file.write_all_at(&[7; 4096], 4 << 20).unwrap();
        let mut at = 0;
        let mut data = 0;
        while at < 8 << 20 {
            let extent = extent(&file, at, 8 << 20);
            assert!(extent.end > at && extent.end <= 8 << 20, "{extent:?}");
            if extent.is_hole {
                assert!(!(at..extent.end).contains(&(4 << 20)));
            } else {
                data += extent.end - at;
            }
            at = extent.end;
        }
        assert!(data >= 4096);
    }

    #[test]
    fn zeros_are_left_out_and_all_else_is_written() {
        let mut bytes = vec![1; 300_000];
        bytes[40_000..200_000].fill(0);
        let file = tempfile::tempfile().unwrap();
        file.set_len(5 + 300_000).unwrap();
        write_sparse(&file, &bytes, 5).unwrap();
        let mut read = vec![0; 300_000];
        file.read_exact_at(&mut read, 5).unwrap();
        assert_eq!(read, bytes);
    }
}
