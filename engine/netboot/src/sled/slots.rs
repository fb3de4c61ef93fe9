//! The 128 offsets that a sled waits for at a time.

use std::time::Duration;

use boot_format::wire::{BATCH, BLOCK, SLOTS, UNANSWERABLE};

use crate::time::Instant;

/// The slots, and the bytes that have arrived for them.
#[derive(Debug)]
pub(super) struct Slots {
    /// The offset that each waits for; [`UNANSWERABLE`] if the slot is empty (P23).
    offsets: [u64; SLOTS],
    asked: [Instant; SLOTS],
    waiting: usize,
    /// The bytes of the batch that have arrived; zeros elsewhere, as in a new ramdisk.
    bytes: Box<[u8]>,
    /// The first offset of the batch.
    start: u64,
}

/// What happened to a DATA frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filled {
    /// It was waited for.
    Wanted,
    /// It matched no slot and was dropped, with a console line (P15).
    Unwanted,
    /// It had the offset that marks an empty slot, and there was one.
    Mark,
}

impl Slots {
    /// A slot that has waited for this long is asked for again (P18).
    const PATIENCE: Duration = Duration::from_secs(1);

    pub(super) fn new() -> Self {
        Self {
            offsets: [UNANSWERABLE; SLOTS],
            asked: [Instant::ZERO; SLOTS],
            waiting: 0,
            bytes: vec![0; BATCH].into(),
            start: 0,
        }
    }

    /// Whether every slot is empty.
    pub(super) fn are_empty(&self) -> bool {
        self.waiting == 0
    }

    /// Fills the slots with the batch at `start`. Returns the READ's offsets.
    pub(super) fn fill(&mut self, now: Instant, start: u64) -> &[u64; SLOTS] {
        debug_assert!(self.are_empty(), "a sled asks for no batch before the last is complete");
        self.start = start;
        self.waiting = SLOTS;
        self.asked = [now; SLOTS];
        for (slot, offset) in (0_u64..).zip(&mut self.offsets) {
            *offset = start + slot * BLOCK as u64;
        }
        &self.offsets
    }

    /// The offsets to ask for again, each at its slot's position among zeros (P18), and their
    /// number.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<(u64, [u64; SLOTS])> {
        let mut count = 0;
        let mut offsets = [0; SLOTS];
        for ((wanted, asked), again) in self.offsets.iter().zip(&mut self.asked).zip(&mut offsets) {
            if *wanted != UNANSWERABLE && now.since(*asked) >= Self::PATIENCE {
                *asked = now;
                *again = *wanted;
                count += 1;
            }
        }
        (count > 0).then_some((count, offsets))
    }

    /// Takes the bytes of a DATA frame.
    pub(super) fn take(&mut self, offset: u64, bytes: &[u8]) -> Filled {
        if offset == UNANSWERABLE {
            return if self.waiting < SLOTS { Filled::Mark } else { Filled::Unwanted };
        }
        // Offsets are consecutive, so the slot is known without a search.
        let slot = (offset.wrapping_sub(self.start) / BLOCK as u64) as usize;
        if slot >= SLOTS || self.offsets[slot] != offset {
            return Filled::Unwanted;
        }
        self.offsets[slot] = UNANSWERABLE;
        self.waiting -= 1;
        self.bytes[slot * BLOCK..][..bytes.len()].copy_from_slice(bytes);
        Filled::Wanted
    }

    /// The bytes of the batch.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Forgets the bytes of the batch.
    pub(super) fn clear(&mut self) {
        self.bytes.fill(0);
    }
}
