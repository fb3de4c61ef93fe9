//! The contents cut into chunks, deterministically: long runs of a byte, and what is between them.

use super::PackError;
use super::source::Source;
use crate::holes::Extent;

/// How the contents are cut. Sizes are in bytes, and multiples of [`Cut::UNIT`].
#[derive(Clone, Copy, Debug)]
pub(super) struct Cut {
    /// The most in a chunk, unless it is a run.
    pub(super) chunk: usize,
    /// The least bytes of a run that is a chunk of its own.
    pub(super) run: u64,
    /// How much of what precedes it a chunk can refer to.
    pub(super) window: usize,
}

impl Cut {
    /// How much is checked at a time for being a run.
    const UNIT: u64 = 64 << 10;
    /// The most bytes of a run in a chunk, so that progress is reported.
    const MOST_RUN: u64 = 256 << 20;
}

/// A chunk of contents.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// What is to be compressed, behind as much of what comes before it as it may refer to.
    Bytes { bytes: Vec<u8>, window: usize },
    /// The same byte, this many times.
    Run { byte: u8, length: u64 },
}

/// Reads the contents chunk by chunk.
pub(super) struct Chunks<'a> {
    source: &'a Source<'a>,
    cut: Cut,
    at: u64,
    /// The end of what is before `at`.
    window: Vec<u8>,
    /// The extent last asked for.
    extent: Extent,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(source: &'a Source<'a>, cut: Cut) -> Self {
        let extent = Extent { is_hole: false, end: 0 };
        Self { source, cut, at: 0, window: Vec::new(), extent }
    }

    /// The next chunk, in `buffer` if it is not a run; `None` at the end.
    pub(super) fn next(&mut self, mut buffer: Vec<u8>) -> Result<Option<Chunk>, PackError> {
        buffer.clear();
        buffer.reserve_exact(self.cut.window + self.cut.chunk);
        buffer.extend_from_slice(&self.window);
        let window = buffer.len();
        let most = window + self.cut.chunk;
        // The run at the end of the buffer, in whole units.
        let (mut run, mut length) = (None, 0);
        while self.at < self.source.image_size && buffer.len() < most {
            let there = buffer.len();
            let unit = self.unit().min((most - there) as u64);
            buffer.resize(there + unit as usize, 0);
            let byte = self.read(&mut buffer[there..])?;
            length = if byte.is_some() && byte == run { length + unit } else { unit };
            run = byte;
            self.at += unit;
            if let Some(byte) = byte
                && length >= self.cut.run
            {
                self.at -= length;
                buffer.truncate(buffer.len() - length as usize);
                if buffer.len() == window {
                    return self.run(byte, buffer).map(Some);
                }
                break;
            }
        }
        self.keep(&buffer);
        Ok((buffer.len() > window).then_some(Chunk::Bytes { bytes: buffer, window }))
    }

    /// The run of `byte` that begins here.
    fn run(&mut self, byte: u8, mut scratch: Vec<u8>) -> Result<Chunk, PackError> {
        let mut length = 0;
        while self.at < self.source.image_size && length < Cut::MOST_RUN {
            let unit = self.unit();
            scratch.clear();
            scratch.resize(unit as usize, 0);
            if self.read(&mut scratch)? != Some(byte) {
                break;
            }
            self.at += unit;
            length += unit;
        }
        scratch.clear();
        scratch.resize((self.cut.window as u64).min(length) as usize, byte);
        self.keep(&scratch);
        Ok(Chunk::Run { byte, length })
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.window.clear();
        self.window.extend_from_slice(&bytes[bytes.len().saturating_sub(self.cut.window)..]);
    }

    /// Bytes that are looked at together next.
    fn unit(&self) -> u64 {
        (self.source.image_size - self.at).min(Cut::UNIT)
    }

    /// Reads what follows to `bytes`, which are zeros; returns the byte if all are equal.
    fn read(&mut self, bytes: &mut [u8]) -> Result<Option<u8>, PackError> {
        if self.at >= self.extent.end {
            self.extent = self.source.extent(self.at);
        }
        if self.extent.is_hole && self.at + bytes.len() as u64 <= self.extent.end {
            return Ok(Some(0));
        }
        self.source.read(self.at, bytes)?;
        let is_run = bytes[1..] == bytes[..bytes.len() - 1];
        Ok(is_run.then_some(bytes[0]))
    }
}
