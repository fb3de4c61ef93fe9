//! The workers that compress chunks: with libdeflate, or for the high levels our own compressor.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use libdeflater::{CompressionLvl, Compressor};
use rayon::prelude::*;

use super::chunks::Cut;
use super::optimal::{BitWriter, Effort, Encoder, WINDOW};
use super::stitch::{BadPiece, Piece};

/// What the workers share.
pub(super) struct Workers<'a> {
    compressors: Compressors,
    /// Memory to inflate to.
    memories: Idle<Vec<u8>>,
    /// Whether to give up.
    stop: &'a AtomicBool,
    /// Bytes of the contents that are compressed.
    done: AtomicU64,
}

enum Compressors {
    Libdeflate(u8, Idle<Compressor>),
    /// Ours: for most chunks, and for those that are small.
    Own(Box<[Encoders; 2]>),
}

/// Compressors of ours that take the same effort.
struct Encoders {
    effort: Effort,
    idle: Idle<Encoder>,
}

impl Encoders {
    fn new(level: u8) -> Self {
        Self { effort: Effort::of(level), idle: Idle::new() }
    }
}

/// Items that are not in use at the moment.
struct Idle<T>(Mutex<Vec<T>>);

impl<T> Idle<T> {
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// Runs `work` with an idle item, or with a new one.
    fn with<R>(&self, new: impl FnOnce() -> T, work: impl FnOnce(&mut T) -> R) -> R {
        let idle = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = idle().pop();
        let mut one = one.unwrap_or_else(new);
        let result = work(&mut one);
        idle().push(one);
        result
    }
}

impl<'a> Workers<'a> {
    /// Bytes of a chunk that are compressed in parallel with others. What precedes them has to be
    /// searched again, but more bytes would leave a core idle at the end.
    const SEGMENT: usize = 512 << 10;
    const LEAST_SEGMENT: usize = 64 << 10;
    /// A stream that is shorter than its chunk by more than this factor is little: the descriptions
    /// of codes are a large part of it, and compressing it again takes almost no time.
    const LITTLE: usize = 20;
    /// Chunks up to this many bytes are compressed in all ways, the replaced tool's included: that
    /// takes milliseconds, also for a larger one of which little is left, or saved.
    const SMALL: usize = 256 << 10;
    const SMALL_AND_PLAIN: usize = 1 << 20;
    /// Chunks up to this many bytes take at least the effort of this level, which also finds what
    /// the default misses and the replaced tool finds: milliseconds more.
    const SMALL_ENOUGH: usize = 1 << 20;
    const LEVEL_OF_SMALL: u8 = 11;
    /// A chunk looks back across its start, and so can't be inflated by itself, where that saves
    /// more than these bytes and this share: of its stream, or of what compressing saves if that is
    /// less. The replaced tool takes more bytes in 4 MiB of noise, for the heads of stored blocks,
    /// and a larger share of the corpus' members.
    const SPARED: usize = 128;
    const SHARE: usize = 256;

    /// For `level`, 1 to 13; they leave when `stop` is set.
    pub(super) fn new(level: u8, stop: &'a AtomicBool) -> Self {
        let compressors = if level < Effort::LEAST {
            Compressors::Libdeflate(level, Idle::new())
        } else {
            let of_small = Encoders::new(level.max(Self::LEVEL_OF_SMALL));
            Compressors::Own(Box::new([Encoders::new(level), of_small]))
        };
        Self { compressors, memories: Idle::new(), stop, done: AtomicU64::new(0) }
    }

    /// How the contents are to be cut for them.
    pub(super) fn cut(&self) -> Cut {
        match &self.compressors {
            // Larger ones compress hardly better, and take more memory. Nothing else makes runs as
            // small as quickly.
            Compressors::Libdeflate(..) => Cut { chunk: 2 << 20, run: 64 << 10, window: 0 },
            // Shorter runs are better off within a chunk.
            Compressors::Own(..) => Cut { chunk: 4 << 20, run: 512 << 10, window: WINDOW },
        }
    }

    /// Bytes of the contents that are compressed.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    /// Takes note of bytes that are compressed.
    pub(super) fn add(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Compresses what follows the first `window` bytes of `bytes`, and inflates it again: a stream
    /// that differs is discarded.
    pub(super) fn compress(&self, bytes: &[u8], window: usize) -> Result<Piece, BadPiece> {
        let stream = match &self.compressors {
            Compressors::Libdeflate(level, idle) => {
                let compress = |compressor: &mut Compressor| compress(compressor, &bytes[window..]);
                let stream = idle.with(|| compressor(*level), compress)?;
                self.add((bytes.len() - window) as u64);
                stream
            }
            Compressors::Own(encoders) => {
                let [most, small] = &**encoders;
                let is_small = bytes.len() - window <= Self::SMALL_ENOUGH;
                let Encoders { effort, idle } = if is_small { small } else { most };
                self.smallest(&Own { effort: *effort, idle, bytes, window })
            }
        };
        self.memories.with(Vec::new, |memory| Piece::checked(stream, bytes, window, memory))
    }

    /// The smallest stream found for a chunk: of a small one, in other ways as well.
    fn smallest(&self, own: &Own<'_>) -> Vec<u8> {
        let stream = self.compress_own(own);
        let chunk = &own.bytes[own.window..];
        let little = chunk.len() / Self::LITTLE;
        let is_plain = stream.len() < little || stream.len() + little > chunk.len();
        if chunk.len() <= if is_plain { Self::SMALL_AND_PLAIN } else { Self::SMALL } {
            shorter(stream, miniz_oxide::deflate::compress_to_vec(chunk, 9))
        } else {
            stream
        }
    }

    /// The stream of a chunk, which looks back across its start only where that saves much, unless
    /// all is one stretch.
    fn compress_own(&self, own: &Own<'_>) -> Vec<u8> {
        if own.effort.is_one || own.window == 0 {
            return self.in_segments(own, true);
        }
        let alone = Own { bytes: &own.bytes[own.window..], window: 0, ..*own };
        let stream = self.in_segments(&alone, true);
        let saves_else = stream.len().min(alone.bytes.len().saturating_sub(stream.len()));
        if own.saved_by_window() > Self::SPARED + saves_else / Self::SHARE {
            shorter(self.in_segments(own, false), stream)
        } else {
            stream
        }
    }

    /// Compresses the parts of a chunk in parallel. Each can refer to those before it, so nothing
    /// is lost. The `first` time, the work counts as progress.
    fn in_segments(&self, own: &Own<'_>, first: bool) -> Vec<u8> {
        let go_on = |bytes: usize| {
            self.add(if first { bytes as u64 } else { 0 });
            !self.stop.load(Ordering::Relaxed)
        };
        let range = own.window..own.bytes.len();
        let encode = |range| own.with(|encoder| encoder.encode(own.bytes, range, go_on));
        let parts: Vec<_> = segments(range.clone()).into_par_iter().map(encode).collect();
        let mut all = BitWriter::default();
        for part in parts {
            all.append(part);
        }
        let stream = all.finish();
        let is_small = range.len() <= Self::SMALL;
        if stream.len() >= range.len() / Self::LITTLE && !is_small {
            return stream;
        }
        let go_on = |_| !self.stop.load(Ordering::Relaxed);
        let whole = |encoder: &mut Encoder| {
            encoder.encode_whole(own.bytes, range.clone(), is_small, go_on).finish()
        };
        shorter(own.with(whole), stream)
    }
}

/// A chunk after a window, and the workers that compress it.
#[derive(Clone, Copy)]
struct Own<'a> {
    effort: Effort,
    idle: &'a Idle<Encoder>,
    bytes: &'a [u8],
    window: usize,
}

impl Own<'_> {
    fn with<R>(&self, work: impl FnOnce(&mut Encoder) -> R) -> R {
        self.idle.with(|| Encoder::new(self.effort), work)
    }

    /// Bytes that the stream of `range` of `bytes` takes.
    fn length(&self, bytes: &[u8], range: Range<usize>) -> usize {
        self.with(|encoder| encoder.encode(bytes, range, |_| true).finish().len())
    }

    /// Bytes that the start of the chunk saves if it can refer to what precedes it.
    fn saved_by_window(&self) -> usize {
        // Later bytes have as much before them in the chunk itself.
        let bytes = &self.bytes[..self.bytes.len().min(self.window + WINDOW)];
        let alone = &bytes[self.window..];
        self.length(alone, 0..alone.len())
            .saturating_sub(self.length(bytes, self.window..bytes.len()))
    }
}

fn shorter(one: Vec<u8>, other: Vec<u8>) -> Vec<u8> {
    if one.len() < other.len() { one } else { other }
}

fn segments(range: Range<usize>) -> Vec<Range<usize>> {
    let length = (range.len() / 2).clamp(Workers::LEAST_SEGMENT, Workers::SEGMENT);
    let starts = range.clone().step_by(length);
    starts.map(|start| start..range.end.min(start + length)).collect()
}

fn compressor(level: u8) -> Compressor {
    Compressor::new(CompressionLvl::new(level.into()).unwrap_or(CompressionLvl::best()))
}

fn compress(compressor: &mut Compressor, bytes: &[u8]) -> Result<Vec<u8>, BadPiece> {
    let mut stream = vec![0; compressor.deflate_compress_bound(bytes.len())];
    let length = compressor.deflate_compress(bytes, &mut stream).map_err(|_| BadPiece)?;
    stream.truncate(length);
    Ok(stream)
}
