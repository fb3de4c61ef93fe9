//! A hostile station that floods the server with READs.

use std::time::Duration;

use boot_format::wire::{BLOCK, MacAddr};
use fastrand::Rng;

use super::hostile::{Timetable, push_hello, push_read};
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
    timetable: Timetable,
}

impl Flood {
    /// A flood whose offsets follow from `seed`.
    pub fn new(config: FloodConfig, seed: u64) -> Self {
        let FloodConfig { address, addresses, gap, start: next, end, .. } = config;
        let timetable = Timetable { address, addresses, gap, next, end, sent: 0 };
        Self { config, random: Rng::with_seed(seed), timetable }
    }
}

impl Station for Flood {
    fn handle_frame(&mut self, _: Instant, _: &[u8]) {}

    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch) {
        let FloodConfig { server, addresses, hello, size, .. } = self.config;
        while let Some((source, number)) = self.timetable.take_due(now, batch) {
            if hello && number < u64::from(addresses.max(1)) {
                push_hello(batch, source);
            } else {
                let block = self.random.u64(..(size / BLOCK as u64).max(1));
                push_read(batch, server, source, block * BLOCK as u64);
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timetable.timeout()
    }
}
