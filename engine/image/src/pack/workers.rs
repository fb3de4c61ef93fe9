//! Those who compress chunks: libdeflate, or for the high levels our own compressor.

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
    Own(Effort, Idle<Encoder>),
}

/// What nobody uses at the moment.
struct Idle<T>(Mutex<Vec<T>>);

impl<T> Idle<T> {
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// Has `work` done with one that is idle, or else with a new one.
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
    /// Bytes of a chunk that are compressed beside others. What comes before them has to be looked
    /// at again, but more would leave a core with nothing to do at the end.
    const SEGMENT: usize = 512 << 10;
    const LEAST_SEGMENT: usize = 64 << 10;
    /// The share of a chunk's bytes that is little for its stream: so little that what tells the
    /// codes of a block is a part of it, and that compressing it once more takes no time.
    const LITTLE: usize = 20;

    /// For `level`, 1 to 13; they leave when `stop` is set.
    pub(super) fn new(level: u8, stop: &'a AtomicBool) -> Self {
        let compressors = if level < Effort::LEAST {
            Compressors::Libdeflate(level, Idle::new())
        } else {
            Compressors::Own(Effort::of(level), Idle::new())
        };
        Self { compressors, memories: Idle::new(), stop, done: AtomicU64::new(0) }
    }

    /// How they want the contents cut.
    pub(super) fn cut(&self) -> Cut {
        match &self.compressors {
            // Larger ones compress hardly better, and take more memory. Nothing else makes runs as
            // small as quickly.
            Compressors::Libdeflate(..) => Cut { chunk: 2 << 20, run: 64 << 10, window: 0 },
            // Shorter runs are better off within a chunk.
            Compressors::Own(effort, _) => {
                let window = if effort.is_one { WINDOW } else { 0 };
                Cut { chunk: 4 << 20, run: 512 << 10, window }
            }
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

    /// Compresses what is behind the first `window` bytes of `bytes`, and inflates it again: what is
    /// not the same is not kept.
    pub(super) fn compress(&self, bytes: &[u8], window: usize) -> Result<Piece, BadPiece> {
        let stream = match &self.compressors {
            Compressors::Libdeflate(level, idle) => {
                let compress = |compressor: &mut Compressor| compress(compressor, &bytes[window..]);
                let stream = idle.with(|| compressor(*level), compress)?;
                self.add((bytes.len() - window) as u64);
                stream
            }
            Compressors::Own(effort, idle) => self.in_segments(bytes, window, *effort, idle),
        };
        self.memories.with(Vec::new, |memory| Piece::checked(stream, bytes, window, memory))
    }

    /// Has the parts of a chunk compressed beside each other. Each may refer to those before it, so
    /// that they are as good as one.
    fn in_segments(
        &self,
        bytes: &[u8],
        window: usize,
        effort: Effort,
        idle: &Idle<Encoder>,
    ) -> Vec<u8> {
        let go_on = |bytes: usize| {
            self.add(bytes as u64);
            !self.stop.load(Ordering::Relaxed)
        };
        let encode = |range| {
            let encode = |encoder: &mut Encoder| encoder.encode(bytes, range, go_on);
            idle.with(|| Encoder::new(effort), encode)
        };
        let whole = || {
            let go_on = |_| !self.stop.load(Ordering::Relaxed);
            let range = window..bytes.len();
            let encode = |encoder: &mut Encoder| encoder.encode_whole(bytes, range, go_on);
            idle.with(|| Encoder::new(effort), encode).finish()
        };
        let parts: Vec<_> = segments(window..bytes.len()).into_par_iter().map(encode).collect();
        let mut all = BitWriter::default();
        for part in parts {
            all.append(part);
        }
        let stream = all.finish();
        if stream.len() < bytes.len() / Self::LITTLE { shorter(whole(), stream) } else { stream }
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
