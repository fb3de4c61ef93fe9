//! A hostile station: READs without end.

use std::time::Duration;

use boot_format::wire::{BLOCK, FrameType, Head, MacAddr, SLOTS, emit_read};
use fastrand::Rng;

use crate::batch::Batch;
use crate::station::Station;
use crate::time::Instant;

/// The parameters of a flood.
#[derive(Clone, Copy, Debug)]
pub struct FloodConfig {
    /// The target server.
    pub server: MacAddr,
    /// The first address that it uses.
    pub address: MacAddr,
    /// How many addresses it claims to be.
    pub addresses: u16,
    /// Whether each address says HELLO once before it reads.
    pub hello: bool,
    /// Time between two frames.
    pub gap: Duration,
    /// READs ask for offsets below this one.
    pub size: u64,
    /// When it begins.
    pub start: Instant,
    /// When it ends.
    pub end: Instant,
}

/// A station that sends READs for random batches and ignores the answers.
#[derive(Debug)]
pub struct Flood {
    config: FloodConfig,
    random: Rng,
    next: Instant,
    sent: u64,
}

impl Flood {
    /// A flood; its offsets follow from `seed`.
    pub fn new(config: FloodConfig, seed: u64) -> Self {
        Self { config, random: Rng::with_seed(seed), next: config.start, sent: 0 }
    }

    fn push(&mut self, batch: &mut Batch) {
        let FloodConfig { server, address, addresses, hello, size, .. } = self.config;
        let addresses = u64::from(addresses.max(1));
        let source = address.nth_after((self.sent % addresses) as u16);
        if hello && self.sent < addresses {
            batch.push_body(Head::new(MacAddr::BROADCAST, source, FrameType::Hello, 2), b"hi");
        } else {
            let block = BLOCK as u64;
            let start = self.random.u64(..(size / block).max(1)) * block;
            let offsets: [u64; SLOTS] =
                std::array::from_fn(|slot| start.saturating_add(slot as u64 * block));
            let body = emit_read(SLOTS as u64, &offsets);
            batch.push_body(Head::new(server, source, FrameType::Read, body.len()), &body);
        }
        self.sent += 1;
    }
}

impl Station for Flood {
    fn handle_frame(&mut self, _: Instant, _: &[u8]) {}

    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch) {
        while batch.room() > 0 && self.next <= now && self.next < self.config.end {
            self.push(batch);
            self.next += self.config.gap;
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (self.next < self.config.end).then_some(self.next)
    }
}
