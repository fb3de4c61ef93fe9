//! A chunk on its way to a piece.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use super::optimal::{BitWriter, WINDOW};
use super::stitch::{BadPiece, Piece};
use super::workers::{Encoders, Workers};

/// A chunk behind a window: tasks that any threads run in any order, and then an end. No task waits
/// for another: a thread that waits takes up the next chunk, and all else then waits for that.
pub(super) struct Work<'a> {
    workers: &'a Workers<'a>,
    pub(super) chunk: Vec<u8>,
    window: usize,
    /// Compressors of ours, or none.
    encoders: Option<&'a Encoders>,
    /// What is compressed in parallel, and what it becomes. Each part can refer to those before it,
    /// so nothing is lost.
    parts: Vec<(Range<usize>, OnceLock<BitWriter>)>,
    /// Whether what precedes the chunk may be referred to only where that saves much.
    is_alone: bool,
}

impl<'a> Work<'a> {
    /// Bytes of a part. What precedes it has to be searched again: with half, level 10 takes 4%
    /// longer (`image-table 10 zfs-like tar-24 tar-16`). With twice as much it takes as long, and a
    /// core is idle for longer at the end.
    const PART: usize = 512 << 10;
    const LEAST_PART: usize = 64 << 10;
    /// A stream that is shorter than its chunk by more than this factor is little: the descriptions
    /// of codes are a large part of it, and compressing it again takes almost no time.
    const LITTLE: usize = 20;
    /// Chunks up to this many bytes are compressed in all ways, the replaced tool's included: that
    /// takes milliseconds, also for a larger one of which little is left, or saved.
    const SMALL: usize = 256 << 10;
    const SMALL_AND_PLAIN: usize = 1 << 20;
    /// A chunk looks back across its start, and so can't be inflated by itself, where that saves
    /// more than these bytes and this share: of its stream, or of what compressing saves if that is
    /// less. The replaced tool takes more bytes in 4 MiB of noise, for the heads of stored blocks,
    /// and a larger share of the corpus' members.
    const SPARED: usize = 128;
    const SHARE: usize = 256;

    /// Of what follows the first `window` bytes of `chunk`.
    pub(super) fn new(workers: &'a Workers<'a>, chunk: Vec<u8>, window: usize) -> Self {
        let encoders = workers.encoders(chunk.len() - window);
        let mut work =
            Self { workers, chunk, window, encoders, parts: Vec::new(), is_alone: false };
        if let Some(encoders) = encoders {
            let range = window..work.chunk.len();
            let length = (range.len() / 2).clamp(Self::LEAST_PART, Self::PART);
            let starts = range.clone().step_by(length);
            let parts = starts.map(|start| start..range.end.min(start + length));
            work.parts = parts.map(|range| (range, OnceLock::new())).collect();
            work.is_alone = !encoders.effort.is_one && window > 0;
        }
        work
    }

    /// How many tasks there are.
    pub(super) fn tasks(&self) -> usize {
        self.parts.len()
    }

    /// Runs one of the tasks.
    pub(super) fn run(&self, task: usize) {
        let (Some(encoders), Some((range, made))) = (self.encoders, self.parts.get(task)) else {
            return;
        };
        let go_on = |bytes: usize| {
            self.workers.add(bytes as u64);
            self.goes_on()
        };
        let (bytes, range) = self.from(range.clone());
        let part = encoders.with(|encoder| encoder.encode(bytes, range, go_on));
        let _ = made.set(part);
    }

    /// Once all tasks are done: the chunk as a piece, which is inflated again. A stream that differs
    /// is discarded.
    pub(super) fn end(&self) -> Result<Piece, BadPiece> {
        let stream = match self.encoders {
            Some(encoders) => self.smallest(encoders)?,
            None => {
                let bytes = &self.chunk[self.window..];
                let stream = self.workers.by_libdeflate(bytes)?;
                self.workers.add(bytes.len() as u64);
                stream
            }
        };
        let check = |memory: &mut Vec<u8>| Piece::checked(stream, &self.chunk, self.window, memory);
        self.workers.memories.with(Vec::new, check)
    }

    fn goes_on(&self) -> bool {
        !self.workers.stop.load(Ordering::Relaxed)
    }

    /// What a part at `range` may refer to, and its place in that.
    fn from(&self, range: Range<usize>) -> (&[u8], Range<usize>) {
        let start = if self.is_alone { self.window } else { 0 };
        (&self.chunk[start..], range.start - start..range.end - start)
    }

    /// The smallest stream found for the chunk: for a small one, in other ways as well.
    fn smallest(&self, encoders: &Encoders) -> Result<Vec<u8>, BadPiece> {
        let mut parts = Vec::with_capacity(self.parts.len());
        for (_, part) in &self.parts {
            parts.push(part.get().ok_or(BadPiece)?);
        }
        let mut stream = self.joined(encoders, &parts, self.from(self.window..self.chunk.len()));
        let chunk = &self.chunk[self.window..];
        if self.is_alone {
            let saves_else = stream.len().min(chunk.len().saturating_sub(stream.len()));
            if self.saves_more(Self::SPARED + saves_else / Self::SHARE, encoders) {
                // Later parts have as much before them in the chunk itself.
                let range = self.parts[0].0.clone();
                let go_on = |_| self.goes_on();
                let first = encoders.with(|encoder| encoder.encode(&self.chunk, range, go_on));
                parts[0] = &first;
                let range = self.window..self.chunk.len();
                stream = shorter(self.joined(encoders, &parts, (&self.chunk, range)), stream);
            }
        }
        let little = chunk.len() / Self::LITTLE;
        let is_plain = stream.len() < little || stream.len() + little > chunk.len();
        if chunk.len() <= if is_plain { Self::SMALL_AND_PLAIN } else { Self::SMALL } {
            stream = shorter(stream, miniz_oxide::deflate::compress_to_vec(chunk, 9));
        }
        Ok(stream)
    }

    /// The stream made of `parts`, or of the range of `bytes` as a whole where little comes out.
    fn joined(
        &self,
        encoders: &Encoders,
        parts: &[&BitWriter],
        (bytes, range): (&[u8], Range<usize>),
    ) -> Vec<u8> {
        let mut all = BitWriter::default();
        for part in parts {
            all.append(part);
        }
        let stream = all.finish();
        let is_small = range.len() <= Self::SMALL;
        if stream.len() >= range.len() / Self::LITTLE && !is_small {
            return stream;
        }
        let go_on = |_| self.goes_on();
        let whole = encoders
            .with(|encoder| encoder.encode_whole(bytes, range.clone(), is_small, go_on).finish());
        shorter(whole, stream)
    }

    /// Whether the start of the chunk saves more than `wanted` bytes if it can refer to what
    /// precedes it.
    fn saves_more(&self, wanted: usize, encoders: &Encoders) -> bool {
        /// Bytes that are tried first: later ones save less, as they have more before them in the
        /// chunk. That saves 1% of the time (`image-table 10 zfs-like binaries`), and no member of
        /// the corpus is larger for it.
        const PROBE: usize = WINDOW / 4;
        let length = |bytes: &[u8], range| {
            encoders.with(|encoder| encoder.encode(bytes, range, |_| true).finish().len())
        };
        let saved = |count: usize| {
            let bytes = &self.chunk[..self.chunk.len().min(self.window + count)];
            let alone = &bytes[self.window..];
            length(alone, 0..alone.len()).saturating_sub(length(bytes, self.window..bytes.len()))
        };
        // Behind a window, bytes have as much before them in the chunk itself.
        saved(PROBE) * (WINDOW / PROBE) > wanted && saved(WINDOW) > wanted
    }
}

fn shorter(one: Vec<u8>, other: Vec<u8>) -> Vec<u8> {
    if one.len() < other.len() { one } else { other }
}
