//! A stream cut at its sync markers, and what each part of it gives by itself.

use std::io;

use memchr::memmem;

use super::ImageFile;
use crate::image::deflate::{
    BrokenStream, Flaw, inflate_blocks, inflate_blocks_to, inflate_observed, inflate_to,
};

/// What stands between blocks where a maker has flushed: the end of an empty stored block.
const MARKER: [u8; 4] = [0, 0, 0xff, 0xff];

/// Bytes between two markers, which look as if a stream could be cut there. Whether it can, and
/// whether what follows does without what came before, shows when it is inflated.
#[derive(Debug, Default)]
pub(super) struct Segment {
    /// Memory, of which the first `length` bytes count.
    memory: Vec<u8>,
    length: usize,
    /// Whether it goes up to the end of the stream.
    pub(super) is_last: bool,
}

impl Segment {
    /// This segment and the next one in one, cut at one place less.
    pub(super) fn join(mut self, next: &Self) -> Self {
        self.grow(next.length).copy_from_slice(next.bytes());
        Self { is_last: next.is_last, ..self }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[..self.length]
    }

    /// So many more bytes of it, with whatever is in them.
    fn grow(&mut self, more: usize) -> &mut [u8] {
        let start = self.length;
        self.length += more;
        if self.memory.len() < self.length {
            self.memory.resize(self.length, 0);
        }
        &mut self.memory[start..self.length]
    }
}

/// Cuts the payload into segments, while it reads it.
pub(super) struct Scanner<'a> {
    image: &'a ImageFile,
    /// What has been read behind a segment, and how much of it has been cut.
    rest: Vec<u8>,
    cut: usize,
    /// Payload offset of what is to be read next, and of the end of the stream.
    read: u64,
    end: u64,
    finder: memmem::Finder<'static>,
}

impl<'a> Scanner<'a> {
    const BLOCK: u64 = 128 << 10;
    /// Bytes in a segment at least, so that makers who flush all the time are no burden.
    const LEAST: usize = 512;
    /// Bytes in a segment at most.
    const MOST: usize = 4 << 20;

    /// For the deflate stream that stands between the payload's bytes `start` and `end`.
    pub(super) fn new(image: &'a ImageFile, start: u64, end: u64) -> Self {
        let finder = memmem::Finder::new(&MARKER).into_owned();
        Self { image, rest: Vec::new(), cut: 0, read: start, end, finder }
    }

    /// The next segment, in the memory of one that is `spent`: nothing if the stream ends, or
    /// goes on for too long without a marker.
    pub(super) fn next(&mut self, spent: Segment) -> io::Result<Option<Segment>> {
        let mut segment = Segment { length: 0, ..spent };
        let rest = &self.rest[self.cut..];
        let mut found = self.find(rest, 0);
        let taken = &rest[..found.unwrap_or(rest.len())];
        segment.grow(taken.len()).copy_from_slice(taken);
        self.cut += taken.len();
        while found.is_none() && self.read < self.end && segment.length <= Self::MOST {
            let searched = segment.length;
            let length = (self.end - self.read).min(Self::BLOCK);
            self.image.read_payload(segment.grow(length as usize), self.read)?;
            self.read += length;
            found = self.find(segment.bytes(), searched);
            if let Some(end) = found {
                self.rest.clear();
                self.rest.extend_from_slice(&segment.bytes()[end..]);
                self.cut = 0;
                segment.length = end;
            }
        }
        segment.is_last = self.cut == self.rest.len() && self.read == self.end;
        Ok(Some(segment)
            .filter(|segment| segment.length > 0 && (found.is_some() || segment.is_last)))
    }

    /// Where the first marker ends that does not end within the first `searched` bytes, which
    /// have none.
    fn find(&self, bytes: &[u8], searched: usize) -> Option<usize> {
        let from = searched.saturating_sub(MARKER.len() - 1).max(Self::LEAST);
        let found = self.finder.find(bytes.get(from..)?)?;
        Some(from + found + MARKER.len())
    }
}

impl Segment {
    /// Inflates it into `output`, if it is whole blocks that need nothing before them and give no
    /// more than `most` bytes. Says whether it is.
    pub(super) fn inflate(&self, output: &mut Vec<u8>, most: u64) -> bool {
        const LEAST_ROOM: u64 = (2 << 20) + 64;
        const MOST_ROOM: u64 = 16 << 20;
        let bytes = self.bytes();
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

    /// The same to the start of `room`, beyond which nothing may come out. Returns how many bytes
    /// it gives; if it is none, `room` holds anything.
    pub(super) fn inflate_to(&self, room: &mut [u8]) -> Option<usize> {
        if !self.is_last {
            return inflate_blocks_to(self.bytes(), room).ok();
        }
        let walk = inflate_to(self.bytes(), room).ok()?;
        let all = walk.end.div_ceil(8) == self.bytes().len() as u64;
        all.then_some(walk.output as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflates(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut output = Vec::new();
        let (memory, length) = (bytes.to_vec(), bytes.len());
        let segment = Segment { memory, length, is_last: false };
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
