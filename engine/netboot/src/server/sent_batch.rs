//! What became of the batches that were sent.

use crate::time::Instant;

/// A batch on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct SentBatch {
    /// When its first frame was handed out, and its last.
    pub(super) first: Instant,
    pub(super) last: Instant,
    pub(super) frames: u64,
    /// How many frames the link had been handed before the first one, and up to the last.
    pub(super) released: (u64, u64),
}

/// What a READ says of the batch before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    pub(super) batch: SentBatch,
    /// Frames that were sent again, because they had to be.
    pub(super) repeats: u64,
    /// The probability that it had lost a frame.
    pub(super) lost: f64,
}

impl SentBatch {
    /// What its answer says of a link.
    pub(super) fn answer(self, lossy: bool, alone: bool) -> Answer {
        let Self { first, last, released: (before, after), .. } = self;
        Answer { first, last, passed: after - before, lossy, alone }
    }
}

/// What an answer to a batch says of the path that it took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// When its first frame went out, and its last.
    pub(super) first: Instant,
    /// See `first`.
    pub(super) last: Instant,
    /// Frames that took the same path from the batch's first to its last.
    pub(super) passed: u64,
    /// Whether it had lost a frame.
    pub(super) lossy: bool,
    /// Whether only one sled's frames take this path.
    pub(super) alone: bool,
}
