//! A stream cut at its sync markers, and what each part of it gives by itself.

use std::hash::{BuildHasher, RandomState};
use std::io;

use memchr::memmem;

use super::ImageFile;
use super::libdeflate::{Inflater, Refusal};

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
    const BLOCK: u64 = 64 << 10;
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

/// What is put behind a segment to make a stream of it: a final stored block with bytes that
/// nobody can foresee.
///
/// If they come out at the end, the segment ended where a block did. Were they swallowed by
/// a block that goes on past the marker, then by a stored one that shows the head before them
/// too, or by one whose codes map bytes that it can't know to themselves.
pub(super) struct Trailer {
    block: [u8; Trailer::HEAD.len() + Trailer::LEN],
}

impl Trailer {
    const LEN: usize = 16;
    const HEAD: [u8; 5] = [1, Self::LEN as u8, 0, !(Self::LEN as u8), 0xff];

    pub(super) fn new() -> Self {
        let mut block = [0; Self::HEAD.len() + Self::LEN];
        block[..Self::HEAD.len()].copy_from_slice(&Self::HEAD);
        for part in block[Self::HEAD.len()..].chunks_exact_mut(8) {
            part.copy_from_slice(&RandomState::new().hash_one(0).to_le_bytes());
        }
        Self { block }
    }

    /// Inflates `segment`, if it is whole blocks that need nothing before them and give no more
    /// than `most` bytes, into `output`. Says whether it is.
    pub(super) fn inflate(
        &self,
        inflater: &mut Inflater,
        segment: &mut Segment,
        output: &mut Vec<u8>,
        most: u64,
    ) -> bool {
        let most = most.saturating_add(Self::LEN as u64);
        let taken = self.behind(segment, |bytes| inflate(inflater, bytes, output, most));
        let Some(given) = taken.and_then(|()| self.check(segment, output)) else {
            return false;
        };
        output.truncate(given);
        true
    }

    /// The same to the start of `room`, beyond which nothing may come out. Returns how many bytes
    /// the segment gives; if it is none, `room` holds anything.
    pub(super) fn inflate_to(
        &self,
        inflater: &mut Inflater,
        segment: &mut Segment,
        room: &mut [u8],
    ) -> Option<usize> {
        let mut given = 0;
        self.behind(segment, |bytes| {
            let taken;
            (taken, given) = inflater.inflate_to(bytes, room).ok()?;
            Some(taken)
        })?;
        self.check(segment, &room[..given])
    }

    /// Has `inflate` inflate `segment` with the trailer behind it. Says whether it took all of it.
    fn behind(
        &self,
        segment: &mut Segment,
        inflate: impl FnOnce(&[u8]) -> Option<usize>,
    ) -> Option<()> {
        let length = segment.bytes.len();
        if !segment.is_last {
            segment.bytes.extend_from_slice(&self.block);
        }
        let taken = inflate(&segment.bytes);
        let all = taken == Some(segment.bytes.len());
        segment.bytes.truncate(length);
        all.then_some(())
    }

    /// How many bytes `segment` gives, which inflates to `output` with the trailer behind it;
    /// nothing if it is none.
    fn check(&self, segment: &Segment, output: &[u8]) -> Option<usize> {
        if segment.is_last {
            return Some(output.len());
        }
        let own = output.strip_suffix(&self.block[Self::HEAD.len()..])?;
        (!own.ends_with(&Self::HEAD)).then_some(own.len())
    }
}

/// Inflates the stream at the start of `input`, and says how much of it that takes: nothing if
/// it is none, or gives more than `most` bytes or what a segment should.
fn inflate(
    inflater: &mut Inflater,
    input: &[u8],
    output: &mut Vec<u8>,
    most: u64,
) -> Option<usize> {
    const LEAST_ROOM: u64 = (2 << 20) + 64;
    const MOST_ROOM: u64 = 16 << 20;
    let bound = (input.len() as u64).saturating_mul(ImageFile::MOST_RATIO);
    let bound = bound.min(most).min(MOST_ROOM) as usize;
    output.clear();
    // The same for all, so that memory can go from one to the other as it is.
    output.reserve_exact(most.min(LEAST_ROOM) as usize);
    loop {
        match inflater.inflate(input, output) {
            Ok(taken) => return Some(taken),
            Err(Refusal::Room) if output.capacity() < bound => {
                let more = (output.capacity() * 2).min(bound);
                output.reserve_exact(more);
            }
            Err(_) => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(bytes: &[u8]) -> Segment {
        Segment { bytes: bytes.to_vec(), is_last: false }
    }

    fn inflates(bytes: &[u8]) -> Option<Vec<u8>> {
        let mut output = Vec::new();
        let mut inflater = Inflater::new().unwrap();
        let mut segment = segment(bytes);
        let good = Trailer::new().inflate(&mut inflater, &mut segment, &mut output, 1000);
        assert_eq!(segment.bytes, bytes);
        good.then_some(output)
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
        // A marker within a stored block, which swallows the trailer, is none.
        for swallowed in 0..40 {
            for is_final in [0, 1] {
                let bytes = stored(is_final, 4 + swallowed, &MARKER);
                assert_eq!(inflates(&bytes).is_some(), swallowed == 0 && is_final == 0);
            }
        }
        // A stream that ends within it, or refers to what was before.
        assert_eq!(inflates(&[&stored(1, 5, b"hello"), &hello[..]].concat()), None);
        assert_eq!(inflates(&[0b0000_0011, 0b0000_0010, 0]), None);
    }
}
