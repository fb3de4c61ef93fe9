//! The contents to pack: those of a file, followed by zeros.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use boot_format::Checksum;
use sha2::{Digest, Sha256};

use super::PackError;
use crate::adler::Adler;
use crate::holes::{self, Extent, zeros};

/// The contents, read by offset: so any number of threads can read them, and a file that shrinks
/// meanwhile causes an error, not a signal as if it were mapped.
pub(super) struct Source<'a> {
    pub(super) file: &'a File,
    /// Bytes of the file.
    pub(super) size: u64,
    /// Bytes of the contents, padding included.
    pub(super) image_size: u64,
    start: Metadata,
}

impl<'a> Source<'a> {
    pub(super) fn new(file: &'a File, size: u64, image_size: u64) -> Result<Self, PackError> {
        let start = file.metadata().map_err(PackError::Read)?;
        Ok(Self { file, size, image_size, start })
    }

    /// Whether the contents from `at` on are known to be zeros, or have to be read, and up to
    /// where.
    pub(super) fn extent(&self, at: u64) -> Extent {
        if at >= self.size {
            Extent { is_hole: true, end: self.image_size }
        } else if self.start.is_file() {
            holes::extent(self.file, at, self.size)
        } else {
            Extent { is_hole: false, end: self.size }
        }
    }

    /// Fills `block` with the contents from `at` on.
    pub(super) fn read(&self, at: u64, block: &mut [u8]) -> Result<(), PackError> {
        let there = self.size.saturating_sub(at).min(block.len() as u64) as usize;
        let (of_file, padding) = block.split_at_mut(there);
        padding.fill(0);
        let mut filled = 0;
        while filled < of_file.len() {
            match self.file.read_at(&mut of_file[filled..], at + filled as u64) {
                Ok(0) => {
                    let found = self.file.metadata().map_err(PackError::Read)?.len();
                    return Err(PackError::Shrunk { found, wanted: self.size });
                }
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(PackError::Read(error)),
            }
        }
        Ok(())
    }

    /// Whether the file is unchanged since the start, by its length and its time.
    pub(super) fn check_unchanged(&self) -> Result<(), PackError> {
        if !self.start.is_file() {
            return Ok(());
        }
        let now = self.file.metadata().map_err(PackError::Read)?;
        if now.len() < self.size {
            return Err(PackError::Shrunk { found: now.len(), wanted: self.size });
        }
        let time = |file: &Metadata| (file.len(), file.mtime(), file.mtime_nsec());
        if time(&now) == time(&self.start) { Ok(()) } else { Err(PackError::Changed) }
    }

    /// Reads all of the contents for their sums, unless told to stop; tells others to stop if
    /// that fails. Also returns how long it took.
    pub(super) fn sums(&self, stop: &AtomicBool) -> Result<(Sums, Duration), PackError> {
        const BLOCK: usize = 256 << 10;
        let started = Instant::now();
        let mut block = vec![0; BLOCK];
        let mut sums = Hash::new();
        let mut at = 0;
        while at < self.image_size {
            let extent = self.extent(at);
            while at < extent.end {
                if stop.load(Ordering::Relaxed) {
                    return Err(PackError::Interrupted);
                }
                let length = (extent.end - at).min(BLOCK as u64);
                if extent.is_hole {
                    sums.zeros(length);
                } else {
                    let block = &mut block[..length as usize];
                    self.read(at, block).inspect_err(|_| stop.store(true, Ordering::Relaxed))?;
                    sums.bytes(block);
                }
                at += length;
            }
        }
        Ok((sums.finish(), started.elapsed()))
    }
}

/// What is known about the contents once all have been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sums {
    pub(super) checksum: Checksum,
    /// Lets another reader check that it has read the same.
    pub(super) adler: Adler,
}

/// Sums in progress.
struct Hash {
    sha256: Sha256,
    adler: Adler,
}

impl Hash {
    pub(super) fn new() -> Self {
        Self { sha256: Sha256::new(), adler: Adler::EMPTY }
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.adler = self.adler.then(Adler::of(bytes));
    }

    fn zeros(&mut self, length: u64) {
        zeros(length).for_each(|zeros| self.sha256.update(zeros));
        self.adler = self.adler.then(Adler::of_zeros(length));
    }

    fn finish(self) -> Sums {
        let checksum = Checksum::from_bytes(self.sha256.finalize().into());
        Sums { checksum, adler: self.adler }
    }
}
