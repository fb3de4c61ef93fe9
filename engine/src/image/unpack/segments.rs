//! A stream cut at its sync markers, and what each part of it gives by itself.

use std::io;

use memchr::memmem;

use super::ImageFile;
use crate::image::deflate::{BrokenStream, Flaw, inflate_blocks, inflate_observed};

/// What stands between blocks where a maker has flushed: the end of an empty stored block.
const MARKER: [u8; 4] = [0, 0, 0xff, 0xff];

/// Bytes between two markers, which look as if a stream could be cut there. Whether it can, and
/// whether what follows does without what came before, shows when it is inflated.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) bytes: Vec<u8>,
    /// Whether it goes up to the end of the stream.
    pub(super) is_last: bool,
}

impl Segment {
    /// This segment and the next one in one, cut at one place less.
    pub(super) fn join(mut self, next: &Self) -> Self {
        self.bytes.extend_from_slice(&next.bytes);
        Self { is_last: next.is_last, ..self }
    }
}

/// Cuts the payload into segments, while it reads it.
pub(super) struct Scanner<'a> {
    image: &'a ImageFile,
    block: Vec<u8>,
    /// How much of the block has been cut.
    cut: usize,
    /// Payload offset of the end of the block, and of the stream.
    read: u64,
    end: u64,
    finder: memmem::Finder<'static>,
}

impl<'a> Scanner<'a> {
    const BLOCK: u64 = 256 << 10;
    /// Bytes in a segment at least, so that makers who flush all the time are no burden.
    const LEAST: usize = 512;
    /// Bytes in a segment at most.
    const MOST: usize = 4 << 20;

    /// For the deflate stream that stands between the payload's bytes `start` and `end`.
    pub(super) fn new(image: &'a ImageFile, start: u64, end: u64) -> Self {
        let finder = memmem::Finder::new(&MARKER).into_owned();
        Self { image, block: Vec::new(), cut: 0, read: start, end, finder }
    }

    /// The next segment, in `bytes`: nothing if the stream ends, or goes on for too long
    /// without a marker.
    pub(super) fn next(&mut self, mut bytes: Vec<u8>) -> io::Result<Option<Segment>> {
        bytes.clear();
        if self.cut == self.block.len() && self.read == self.end {
            return Ok(None);
        }
        while bytes.len() <= Self::MOST {
            if self.cut == self.block.len() {
                let length = (self.end - self.read).min(Self::BLOCK) as usize;
                self.block.resize(length, 0);
                self.cut = 0;
                self.image.read_payload(&mut self.block, self.read)?;
                self.read += length as u64;
            }
            let rest = &self.block[self.cut..];
            let found = self.find(&bytes, rest);
            bytes.extend_from_slice(&rest[..found.unwrap_or(rest.len())]);
            self.cut += found.unwrap_or(rest.len());
            let is_last = self.cut == self.block.len() && self.read == self.end;
            if found.is_some() || is_last {
                return Ok(Some(Segment { bytes, is_last }));
            }
        }
        Ok(None)
    }

    /// How many bytes of `rest` belong to a segment that begins with `bytes`, if it ends there.
    fn find(&self, bytes: &[u8], rest: &[u8]) -> Option<usize> {
        for split in 1..MARKER.len() {
            let (before, after) = MARKER.split_at(split);
            if bytes.len() >= Self::LEAST && bytes.ends_with(before) && rest.starts_with(after) {
                return Some(after.len());
            }
        }
        let least = Self::LEAST.saturating_sub(bytes.len()).min(rest.len());
        let found = self.finder.find(&rest[least..])?;
        Some(least + found + MARKER.len())
    }
}

impl Segment {
    /// Inflates it into `output`, if it is whole blocks that need nothing before them and give no
    /// more than `most` bytes. Says whether it is.
    pub(super) fn inflate(&self, output: &mut Vec<u8>, most: u64) -> bool {
        const LEAST_ROOM: u64 = (2 << 20) + 64;
        const MOST_ROOM: u64 = 16 << 20;
        let bytes = &self.bytes;
        let bound = (bytes.len() as u64).saturating_mul(ImageFile::MOST_RATIO);
        let bound = bound.min(most).min(MOST_ROOM) as usize;
        output.clear();
        // The same for all, so that memory can go from one to the other as it is.
        output.reserve_exact(most.min(LEAST_ROOM) as usize);
        loop {
            let inflated = if self.is_last {
                inflate_observed(bytes, output, &mut (), u64::MAX)
                    .map(|walk| walk.end.div_ceil(8) == bytes.len() as u64)
            } else {
                inflate_blocks(bytes, output).map(|()| true)
            };
            match inflated {
                Err(BrokenStream { flaw: Flaw::Room, .. }) if output.capacity() < bound => {
                    let more = (output.capacity() * 2).min(bound);
                    output.reserve_exact(more);
                }
                inflated => return inflated == Ok(true),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflates(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut output = Vec::new();
        let segment = Segment { bytes: bytes.to_vec(), is_last: false };
        segment.inflate(&mut output, 1000).then_some(output)
    }

    #[test]
    fn whole_blocks_are_a_segment_and_nothing_else_is() {
        let stored = |is_final: u8, length: u16, bytes: &[u8]| {
            let [low, high] = length.to_le_bytes();
            [&[is_final, low, high, !low, !high], bytes].concat()
        };
        let hello = stored(0, 5, b"hello");
        assert_eq!(inflates(&hello).unwrap(), b"hello");
        assert_eq!(inflates(&[&hello[..], &stored(0, 0, b"")].concat()).unwrap(), b"hello");
        // A marker within a stored block, which goes on, is none.
        for rest in 0..40 {
            for is_final in [0, 1] {
                let bytes = stored(is_final, 4 + rest, &MARKER);
                assert_eq!(inflates(&bytes).is_some(), rest == 0 && is_final == 0);
            }
        }
        // A stream that ends within it, or refers to what was before.
        assert_eq!(inflates(&[&stored(1, 5, b"hello"), &hello[..]].concat()), None);
        assert_eq!(inflates(&[0b0000_0011, 0b0000_0010, 0]), None);
    }
}
