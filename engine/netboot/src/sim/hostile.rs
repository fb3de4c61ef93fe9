//! What hostile stations share: they send at fixed intervals, from a range of addresses, and ignore
//! answers.

use std::time::Duration;

use boot_format::wire::{BLOCK, FrameType, Head, MacAddr, SLOTS, emit_read};

use crate::batch::Batch;
use crate::time::Instant;

/// When the next frame goes out, and in whose name.
#[derive(Debug)]
pub(super) struct Timetable {
    /// The first of the addresses.
    pub(super) address: MacAddr,
    pub(super) addresses: u16,
    /// Time between two frames.
    pub(super) gap: Duration,
    /// When the next frame goes out.
    pub(super) next: Instant,
    /// No frame goes out after this.
    pub(super) end: Instant,
    /// Frames so far.
    pub(super) sent: u64,
}

impl Timetable {
    /// The source of a frame that is due by `now` and fits the batch, and its number. The caller
    /// sends it.
    pub(super) fn take_due(&mut self, now: Instant, batch: &Batch) -> Option<(MacAddr, u64)> {
        if batch.room() == 0 || self.next > now || self.next >= self.end {
            return None;
        }
        self.next += self.gap;
        let number = self.sent;
        self.sent += 1;
        let source = self.address.nth_after((number % u64::from(self.addresses.max(1))) as u16);
        Some((source, number))
    }

    pub(super) fn timeout(&self) -> Option<Instant> {
        (self.next < self.end).then_some(self.next)
    }
}

pub(super) fn push_hello(batch: &mut Batch, source: MacAddr) {
    batch.push_body(Head::new(MacAddr::BROADCAST, source, FrameType::Hello, 2), b"hi");
}

/// A READ for 128 blocks from byte `start`.
pub(super) fn push_read(batch: &mut Batch, server: MacAddr, source: MacAddr, start: u64) {
    let offsets: [u64; SLOTS] =
        std::array::from_fn(|slot| start.saturating_add((slot * BLOCK) as u64));
    let body = emit_read(SLOTS as u64, &offsets);
    batch.push_body(Head::new(server, source, FrameType::Read, body.len()), &body);
}
