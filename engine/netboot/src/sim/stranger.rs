//! A hostile station: frames in the name of others, or of none.

use std::ops::Range;
use std::time::Duration;

use boot_format::wire::{BLOCK, FrameType, Head, MacAddr, SLOTS, emit_read};
use fastrand::Rng;

use crate::batch::Batch;
use crate::station::Station;
use crate::time::Instant;

/// The parameters of a stranger.
#[derive(Clone, Debug)]
pub struct StrangerConfig {
    /// The target server.
    pub server: MacAddr,
    /// The first of the addresses that it uses.
    pub address: MacAddr,
    /// How many addresses it uses.
    pub addresses: u16,
    /// What it sends in their names, chosen at random.
    pub kinds: Vec<FrameType>,
    /// Its READs ask for 128 blocks from a multiple of that, within these offsets.
    pub reads: Range<u64>,
    /// Time between two frames.
    pub gap: Duration,
    /// When it begins.
    pub start: Instant,
    /// When it ends.
    pub end: Instant,
}

/// A station that sends in the name of others and ignores the answers.
#[derive(Debug)]
pub struct Stranger {
    config: StrangerConfig,
    random: Rng,
    next: Instant,
    sent: u64,
}

impl Stranger {
    /// A stranger; what it sends follows from `seed`.
    pub fn new(config: StrangerConfig, seed: u64) -> Self {
        let next = config.start;
        Self { config, random: Rng::with_seed(seed), next, sent: 0 }
    }

    fn push(&mut self, batch: &mut Batch) {
        let StrangerConfig { server, address, addresses, .. } = self.config;
        let reads = &self.config.reads;
        let source = address.nth_after((self.sent % u64::from(addresses.max(1))) as u16);
        self.sent += 1;
        let Some(&kind) = self.random.choice(&self.config.kinds) else {
            return;
        };
        let body = match kind {
            FrameType::Hello => b"hi".to_vec(),
            FrameType::Read => {
                const BATCH: u64 = (SLOTS * BLOCK) as u64;
                let least = reads.start / BATCH;
                let batch = self.random.u64(least..(reads.end / BATCH).max(least + 1));
                let offsets = std::array::from_fn(|slot| batch * BATCH + (slot * BLOCK) as u64);
                emit_read(SLOTS as u64, &offsets).to_vec()
            }
            _ => Vec::new(),
        };
        let to = if kind == FrameType::Hello { MacAddr::BROADCAST } else { server };
        batch.push_body(Head::new(to, source, kind, body.len()), &body);
    }
}

impl Station for Stranger {
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
