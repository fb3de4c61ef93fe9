//! A hostile station that sends in the name of others.

use std::ops::Range;
use std::time::Duration;

use boot_format::wire::{self, FrameType, Head, MacAddr};
use fastrand::Rng;

use super::hostile::{Timetable, push_hello, push_read};
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
    timetable: Timetable,
}

impl Stranger {
    /// A stranger whose frames follow from `seed`.
    pub fn new(config: StrangerConfig, seed: u64) -> Self {
        let StrangerConfig { address, addresses, gap, start: next, end, .. } = config;
        let timetable = Timetable { address, addresses, gap, next, end, sent: 0 };
        Self { config, random: Rng::with_seed(seed), timetable }
    }

    fn push(&mut self, batch: &mut Batch, source: MacAddr) {
        const BATCH: u64 = wire::BATCH as u64;
        let StrangerConfig { server, ref reads, ref kinds, .. } = self.config;
        match self.random.choice(kinds) {
            None => {}
            Some(FrameType::Hello) => push_hello(batch, source),
            Some(FrameType::Read) => {
                let least = reads.start / BATCH;
                let number = self.random.u64(least..(reads.end / BATCH).max(least + 1));
                push_read(batch, server, source, number * BATCH);
            }
            Some(&kind) => batch.push_body(Head::new(server, source, kind, 0), b""),
        }
    }
}

impl Station for Stranger {
    fn handle_frame(&mut self, _: Instant, _: &[u8]) {}

    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch) {
        while let Some((source, _)) = self.timetable.take_due(now, batch) {
            self.push(batch, source);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.timetable.timeout()
    }
}
