//! A stream cut at its sync markers, and what each part inflates to on its own.

use std::io;

use memchr::memmem;

use super::ImageFile;
use crate::deflate::{
    Blocks, BrokenStream, Flaw, Inflated, Inflation, inflate_blocks_to, inflate_to,
};

/// The bytes between blocks where the packer has flushed: the end of an empty stored block.
const MARKER: [u8; 4] = [0, 0, 0xff, 0xff];

/// Bytes between two markers, at which the stream can probably be cut. Whether it can, and whether
/// the segment is independent of what precedes it, shows when it is inflated.
#[derive(Debug, Default)]
pub(super) struct Segment {
    /// Memory, of which the first `length` bytes count.
    memory: Vec<u8>,
    length: usize,
    /// Whether it goes up to the end of the stream.
    pub(super) is_last: bool,
}

impl Segment {
    /// This segment and the next one as one, without the cut between them.
    pub(super) fn join(mut self, next: &Self) -> Self {
        self.grow(next.length).copy_from_slice(next.bytes());
        Self { is_last: next.is_last, ..self }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.memory[..self.length]
    }

    /// `more` bytes of it, with undefined contents.
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
    /// What has been read after a segment, and how much of it has been cut.
    rest: Vec<u8>,
    cut: usize,
    /// Payload offset of what is to be read next, and of the end of the stream.
    read: u64,
    end: u64,
    finder: memmem::Finder<'static>,
}

impl<'a> Scanner<'a> {
    const BLOCK: u64 = 128 << 10;
    /// The least bytes of a segment, so that streams with a great many flushes cost no more than
    /// others.
    const LEAST: usize = 512;
    /// The most bytes of a segment.
    const MOST: usize = 4 << 20;

    /// For the deflate stream between the payload's bytes `start` and `end`.
    pub(super) fn new(image: &'a ImageFile, start: u64, end: u64) -> Self {
        let finder = memmem::Finder::new(&MARKER).into_owned();
        Self { image, rest: Vec::new(), cut: 0, read: start, end, finder }
    }

    /// The next segment, in the memory of one that is `spent`: `None` if the stream ends, or has no
    /// marker for too long.
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
    /// Inflates it to the start of `room`, if it consists of whole blocks that refer to nothing
    /// before them, and if the output fits. Returns the bytes of output; with `None`, the contents
    /// of `room` are undefined.
    pub(super) fn inflate_to(&self, room: &mut [u8]) -> Option<usize> {
        if !self.is_last {
            return inflate_blocks_to(self.bytes(), room).ok();
        }
        let walk = inflate_to(self.bytes(), room).ok()?;
        let all = walk.end.div_ceil(8) == self.bytes().len() as u64;
        all.then_some(walk.output as usize)
    }
}

/// A segment that is being inflated, if it consists of whole blocks that refer to nothing before
/// them.
pub(super) struct Inflating {
    pub(super) segment: Segment,
    /// The output so far, in memory that grows as needed.
    pub(super) output: Vec<u8>,
    /// The most bytes of output.
    bound: usize,
    inflation: Box<Inflation>,
}

impl Inflating {
    const LEAST_ROOM: u64 = (2 << 20) + 512;
    const MOST_ROOM: u64 = 16 << 20;

    /// Begins `segment`, which may have `most` bytes of output, into `output`, whose contents it
    /// replaces; reuses the tables of another segment.
    pub(super) fn new(
        segment: Segment,
        mut output: Vec<u8>,
        most: u64,
        mut inflation: Box<Inflation>,
    ) -> Self {
        let bound = (segment.length as u64).saturating_mul(ImageFile::MOST_RATIO);
        let bound = bound.min(most).min(Self::MOST_ROOM) as usize;
        inflation.restart();
        output.clear();
        // The same size for all, so that memory can be reused as it is.
        output.reserve_exact(most.min(Self::LEAST_ROOM) as usize);
        Self { segment, output, bound, inflation }
    }

    /// Its parts, to be reused.
    pub(super) fn into_parts(self) -> (Segment, Vec<u8>, Box<Inflation>) {
        (self.segment, self.output, self.inflation)
    }

    /// Continues to the end, and returns whether the segment is valid.
    pub(super) fn finish(&mut self) -> bool {
        loop {
            if let Some(is_good) = self.go_on() {
                return is_good;
            }
        }
    }

    /// Continues for a while. Once it is done, returns whether the segment is valid.
    pub(super) fn go_on(&mut self) -> Option<bool> {
        let outcome = self.blocks().go_on();
        self.verdict(outcome)
    }

    /// Continues with this and another one until either is done. Returns for each, once it is done,
    /// whether it is valid.
    pub(super) fn go_on_both(&mut self, other: &mut Self) -> [Option<bool>; 2] {
        let [outcome, of_other] = self.blocks().go_on_both(other.blocks());
        [self.verdict(outcome), other.verdict(of_other)]
    }

    fn blocks(&mut self) -> Blocks<'_> {
        Blocks {
            inflation: &mut self.inflation,
            bytes: self.segment.bytes(),
            has_end: self.segment.is_last,
            output: &mut self.output,
        }
    }

    /// `None` if there is more to do; adds memory if it ran out.
    fn verdict(&mut self, outcome: Inflated) -> Option<bool> {
        match outcome {
            Ok(taken) => taken.map(|taken| taken == self.segment.length),
            Err(BrokenStream { flaw: Flaw::Room, .. }) if self.output.capacity() < self.bound => {
                let more = (self.output.capacity() * 2).min(self.bound);
                self.inflation.restart();
                self.output.clear();
                self.output.reserve_exact(more);
                None
            }
            Err(_) => Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inflates(bytes: &[u8]) -> Option<Vec<u8>> {
        let (memory, length) = (bytes.to_vec(), bytes.len());
        let segment = Segment { memory, length, is_last: false };
        let mut inflating = Inflating::new(segment, Vec::new(), 1000, Box::new(Inflation::new()));
        inflating.finish().then_some(inflating.output)
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
        // A marker within a stored block is false.
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
