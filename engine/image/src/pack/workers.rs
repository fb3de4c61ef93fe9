//! The workers that compress chunks: with libdeflate, or for the high levels our own compressor.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use libdeflater::{CompressionLvl, Compressor};

use super::chunks::Cut;
use super::optimal::{Effort, Encoder, WINDOW};
use super::stitch::BadPiece;
#[cfg(any(test, feature = "internals"))]
use super::stitch::Piece;

/// What the workers share.
pub(super) struct Workers<'a> {
    compressors: Compressors,
    /// Memory to inflate to.
    pub(super) memories: Idle<Vec<u8>>,
    /// Whether to give up.
    pub(super) stop: &'a AtomicBool,
    /// Bytes of the contents that are compressed.
    done: AtomicU64,
}

enum Compressors {
    Libdeflate(u8, Idle<Compressor>),
    /// Ours: for most chunks, and for those that are small.
    Own(Box<[Encoders; 2]>),
}

/// Compressors of ours that take the same effort.
pub(super) struct Encoders {
    pub(super) effort: Effort,
    idle: Idle<Encoder>,
}

impl Encoders {
    fn new(level: u8) -> Self {
        Self { effort: Effort::of(level), idle: Idle::new() }
    }

    /// Runs `work` with one that is idle.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut Encoder) -> R) -> R {
        self.idle.with(|| Encoder::new(self.effort), work)
    }
}

/// Items that are not in use at the moment.
pub(super) struct Idle<T>(Mutex<Vec<T>>);

impl<T> Idle<T> {
    fn new() -> Self {
        Self(Mutex::default())
    }

    /// Runs `work` with an idle item, or with a new one.
    pub(super) fn with<R>(&self, new: impl FnOnce() -> T, work: impl FnOnce(&mut T) -> R) -> R {
        let idle = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = idle().pop();
        let mut one = one.unwrap_or_else(new);
        let result = work(&mut one);
        idle().push(one);
        result
    }
}

impl<'a> Workers<'a> {
    /// Chunks up to this many bytes take at least the effort of this level, which also finds what
    /// the default misses and the replaced tool finds: milliseconds more.
    const SMALL_ENOUGH: usize = 1 << 20;
    const LEVEL_OF_SMALL: u8 = 11;

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

    /// The compressors of ours that a chunk of `length` bytes takes, or none.
    pub(super) fn encoders(&self, length: usize) -> Option<&Encoders> {
        let Compressors::Own(encoders) = &self.compressors else {
            return None;
        };
        let [most, small] = &**encoders;
        Some(if length <= Self::SMALL_ENOUGH { small } else { most })
    }

    /// Compresses `bytes` with libdeflate.
    pub(super) fn by_libdeflate(&self, bytes: &[u8]) -> Result<Vec<u8>, BadPiece> {
        let Compressors::Libdeflate(level, idle) = &self.compressors else {
            return Err(BadPiece);
        };
        idle.with(|| compressor(*level), |compressor| compress(compressor, bytes))
    }

    /// Compresses `bytes` by themselves, in this thread.
    #[cfg(any(test, feature = "internals"))]
    pub(super) fn compress(&self, bytes: &[u8]) -> Result<Piece, BadPiece> {
        let work = super::work::Work::new(self, bytes.to_vec(), 0);
        (0..work.tasks()).for_each(|task| work.run(task));
        work.end()
    }
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
