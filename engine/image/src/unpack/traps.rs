//! Where a sled's inflater gives up on the payload of an image.

use std::io;

use super::zlib::{InflateError, ZLIB_HEADER, ZLIB_TRAILER, check_header};
use super::{ImageError, ImageErrorKind, ImageFile};
use boot_format::boot_source::SliceTraps;

use crate::deflate::{Flaw, WalkAt, walk_block};
use crate::slice_trap::Finder;

impl ImageFile {
    /// Where a sled's inflater would give up, though the stream is valid: read from start to
    /// end for a compressed image, nowhere for a plain one.
    ///
    /// # Errors
    ///
    /// If the payload can't be read, or is not a zlib stream by zlib's own rules, which are
    /// stricter than those of [`ImageFile::unpack`].
    pub fn slice_traps(&self) -> Result<SliceTraps, ImageError> {
        self.check_sizes()?;
        if !self.header.compressed {
            return Ok(SliceTraps::default());
        }
        self.walk_payload().map_err(|kind| self.error(kind))
    }

    fn walk_payload(&self) -> Result<SliceTraps, ImageErrorKind> {
        check_header(self)?;
        let length = self.header.data_size;
        let mut part = Part { image: self, bytes: Vec::new(), start: ZLIB_HEADER };
        let mut finder = Finder::new(ZLIB_HEADER);
        let mut place = WalkAt { bit: 0, output: 0, next: finder.next() };
        loop {
            let (mut tried, mut told) = (place, finder);
            match walk_block(&part.bytes, &mut tried, &mut told) {
                Ok(is_final) => {
                    (place, finder) = (tried, told);
                    if is_final {
                        break;
                    }
                }
                // What follows the end may make it look broken.
                Err(broken) if broken.flaw == Flaw::Ended || part.is_near_end(broken.at) => {
                    let passed = place.bit / 8;
                    if !part.go_on(passed)? {
                        return Err(part.broken(broken.at).into());
                    }
                    finder.rebase(part.start);
                    place.bit %= 8;
                    place.next = finder.next();
                }
                Err(broken) => return Err(part.broken(broken.at).into()),
            }
        }
        let end = part.start + place.bit.div_ceil(8);
        if length - end < ZLIB_TRAILER {
            let wanted = self.header.image_size;
            return Err(InflateError::Truncated { found: place.output, wanted }.into());
        }
        Ok(finder.finish(length, place.output))
    }
}

/// A part of the payload, in memory.
struct Part<'a> {
    image: &'a ImageFile,
    bytes: Vec<u8>,
    /// Payload offset of the first byte.
    start: u64,
}

impl Part<'_> {
    /// Whether an error at `bit` may be due to missing bytes.
    fn is_near_end(&self, bit: u64) -> bool {
        const LONGEST_SYMBOL: u64 = 64;
        bit + LONGEST_SYMBOL > self.bytes.len() as u64 * 8 && self.end() < self.payload_end()
    }

    fn end(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    fn payload_end(&self) -> u64 {
        self.image.header.data_size
    }

    /// Drops the first `passed` bytes and reads more: at least as many as there are, since blocks
    /// may be long. Returns whether there were any.
    fn go_on(&mut self, passed: u64) -> io::Result<bool> {
        let left = self.payload_end() - self.end();
        self.bytes.drain(..passed as usize);
        self.start += passed;
        let kept = self.bytes.len();
        let more = left.min(ImageFile::BLOCK.max(kept) as u64) as usize;
        self.bytes.resize(kept + more, 0);
        self.image.read_payload(&mut self.bytes[kept..], self.start + kept as u64)?;
        Ok(more > 0)
    }

    fn broken(&self, bit: u64) -> InflateError {
        InflateError::Corrupt { at: self.start + bit / 8, what: "a broken block".to_owned() }
    }
}
