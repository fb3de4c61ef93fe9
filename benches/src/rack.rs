//! Sleds that cost nothing: every batch is asked for, and nothing is done with the frames.

use std::time::Duration;

use boot_format::wire::{BLOCK, FrameType, Head, MacAddr, SLOTS, emit_read};
use boot_image::Contents;
use boot_netboot::batch::Batch;
use boot_netboot::server::{Config, Serve, Server};
use boot_netboot::station::Station;
use boot_netboot::time::Instant;

/// A server, and sleds that all read the same image in step, for ever.
pub struct Rack {
    server: Server,
    now: Instant,
    batch: Batch,
    reads: Vec<Vec<u8>>,
    /// The batch of the image that is asked for next.
    next: usize,
    batches: usize,
}

impl Rack {
    const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
    const SIZE: usize = 64 << 20;

    /// Sleds that have been offered an image of 64 MiB.
    ///
    /// # Panics
    ///
    /// If there is no memory for the image.
    pub fn new(sleds: u8) -> Self {
        let fill = |bytes: &mut [u8]| bytes.fill(1);
        let image = Contents::build(Self::SIZE, Self::SIZE as u64, "", "rpool", fill)
            .expect("there is memory for 64 MiB");
        let mut rack = Self {
            server: Server::new(Config::new(Self::SERVER, Serve::All)),
            now: Instant::ZERO,
            batch: Batch::with_capacity(SLOTS),
            reads: Vec::new(),
            next: 0,
            batches: Self::SIZE / BLOCK / SLOTS,
        };
        rack.server.set_images(vec![image]);
        for sled in 0..sleds {
            let address = MacAddr::new([2, 0, 0, 0, 1, sled]);
            let hello = Head::new(MacAddr::BROADCAST, address, FrameType::Hello, 0);
            rack.server.handle_frame(rack.now, hello.as_bytes());
            let body = emit_read(0, &[0; SLOTS]);
            let head = Head::new(Self::SERVER, address, FrameType::Read, body.len());
            rack.reads.push([head.as_bytes(), &body].concat());
        }
        rack.drain();
        rack
    }

    /// Frames that one round sends.
    pub fn frames_per_round(&self) -> u64 {
        (self.reads.len() * SLOTS) as u64
    }

    /// Lets time pass, has every sled ask for its next batch, and the server answer. Returns
    /// the bytes of the frames that would go out.
    pub fn round(&mut self, time: Duration) -> usize {
        self.now += time;
        let first = self.next * SLOTS;
        self.next = (self.next + 1) % self.batches;
        let offsets = std::array::from_fn(|slot| ((first + slot) * BLOCK) as u64);
        let body = emit_read(SLOTS as u64, &offsets);
        for read in &mut self.reads {
            let head = read.len() - body.len();
            read[head..].copy_from_slice(&body);
            self.server.handle_frame(self.now, read);
        }
        self.drain()
    }

    fn drain(&mut self) -> usize {
        let mut bytes = 0;
        loop {
            self.server.poll_transmit(self.now, &mut self.batch);
            if self.batch.is_empty() {
                while self.server.poll_event().is_some() {}
                return bytes;
            }
            bytes += self.batch.iter().map(|frame| frame.len()).sum::<usize>();
            self.batch.clear();
        }
    }
}
