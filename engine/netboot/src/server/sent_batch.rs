//! Batches that were sent, and their answers.

use boot_format::wire::SLOTS;

use crate::time::Instant;

/// A batch in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct SentBatch {
    /// When its first frame was handed out, and its last.
    pub(super) first: Instant,
    pub(super) last: Instant,
    pub(super) frames: u64,
    /// Frames that had been handed to the link before the first one, and up to the last.
    pub(super) released: (u64, u64),
}

/// What a READ reveals about the batch before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    pub(super) batch: SentBatch,
    /// Retransmits that were needed.
    pub(super) repeats: u64,
    /// Whether any frame was retransmitted.
    pub(super) tried: bool,
    /// The probability that it had lost a frame.
    pub(super) lost: f64,
}

impl SentBatch {
    /// Whether its answer tells something about the path: a remainder of a frame or two does not.
    pub(super) fn tells(&self) -> bool {
        self.frames >= SLOTS as u64 / 2
    }

    /// What its answer reveals about a link.
    pub(super) fn answer(self, lossy: bool, tried: bool) -> Answer {
        let Self { first, last, released: (before, after), .. } = self;
        Answer { first, last, passed: after - before, lossy, tried, alone: false, crowded: true }
    }
}

/// What the answer to a batch reveals about its path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// When its first frame went out, and its last.
    pub(super) first: Instant,
    pub(super) last: Instant,
    /// Frames that took this path between the batch's first and last frame.
    pub(super) passed: u64,
    /// Whether it had lost a frame.
    pub(super) lossy: bool,
    /// Whether any of its frames was retransmitted.
    pub(super) tried: bool,
    /// Whether only one sled's frames take this path.
    pub(super) alone: bool,
    /// Whether other sleds use the link.
    pub(super) crowded: bool,
}
