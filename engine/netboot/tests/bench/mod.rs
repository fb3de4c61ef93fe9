//! A server on a bench, handed single frames.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::time::Duration;

use boot_format::wire::{Frame, FrameType, Head, MacAddr, Message, SLOTS, emit_read};
use boot_image::Contents;
use boot_netboot::batch::Batch;
use boot_netboot::server::{Config, Event, EventKind, Pace, Serve, Server};
use boot_netboot::station::Station;
use boot_netboot::time::Instant;

pub(crate) const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
pub(crate) const SIZE: usize = 1 << 20;
/// READs for an image of that size.
pub(crate) const BATCHES: usize = SIZE / 1024 / SLOTS;

pub(crate) fn sled(number: u8) -> MacAddr {
    MacAddr::new([0xa8, 0x40, 0x25, 0, 0, number])
}

pub(crate) fn contents(size: usize, seed: u8) -> Contents {
    let fill = |bytes: &mut [u8]| {
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = (index / 1024) as u8 ^ (index as u8) ^ seed;
        }
    };
    Contents::build(size, size as u64, "test", "rpool/ROOT/ramdisk", fill).unwrap()
}

/// A server, its clock, and what it has sent.
pub(crate) struct Bench {
    pub(crate) server: Server,
    pub(crate) now: Instant,
}

impl Bench {
    pub(crate) fn new(serve: Serve) -> Self {
        Self::with(Config::new(SERVER, serve), vec![contents(SIZE, 0)])
    }

    pub(crate) fn with(config: Config, images: Vec<Contents>) -> Self {
        let mut server = Server::new(Config { pace: Pace::Unlimited, ..config });
        server.set_images(images);
        Self { server, now: Instant::ZERO + Duration::from_secs(1) }
    }

    pub(crate) fn wait(&mut self, time: Duration) -> Vec<Vec<u8>> {
        self.now += time;
        self.sent()
    }

    /// Everything that the server sends now.
    pub(crate) fn sent(&mut self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        let mut batch = Batch::with_capacity(64);
        loop {
            self.server.poll_transmit(self.now, &mut batch);
            if batch.is_empty() {
                return frames;
            }
            frames.extend(batch.iter().map(|frame| frame.to_vec()));
            batch.clear();
        }
    }

    pub(crate) fn give(
        &mut self,
        from: MacAddr,
        to: MacAddr,
        kind: FrameType,
        body: &[u8],
    ) -> Vec<Vec<u8>> {
        let mut frame = [Head::new(to, from, kind, body.len()).as_bytes(), body].concat();
        frame.resize(frame.len().max(60), 0);
        self.server.handle_frame(self.now, &frame);
        self.sent()
    }

    pub(crate) fn hello(&mut self, from: MacAddr) -> Vec<Vec<u8>> {
        self.give(from, MacAddr::BROADCAST, FrameType::Hello, b"hello")
    }

    pub(crate) fn read(&mut self, from: MacAddr, offsets: &[u64]) -> Vec<Vec<u8>> {
        self.read_at(SERVER, from, offsets)
    }

    pub(crate) fn read_at(
        &mut self,
        server: MacAddr,
        from: MacAddr,
        offsets: &[u64],
    ) -> Vec<Vec<u8>> {
        let mut entries = [0; SLOTS];
        entries[..offsets.len()].copy_from_slice(offsets);
        self.give(from, server, FrameType::Read, &emit_read(offsets.len() as u64, &entries))
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.server.poll_event()).collect()
    }

    /// Has a sled ask for the whole of its batch with this number.
    pub(crate) fn read_batch(&mut self, from: MacAddr, number: usize) -> Vec<Vec<u8>> {
        let first = number * SLOTS;
        let offsets: Vec<_> = (first..first + SLOTS).map(|block| block as u64 * 1024).collect();
        self.now += Duration::from_millis(1);
        self.read(from, &offsets)
    }

    pub(crate) fn finished(&mut self, from: MacAddr) {
        self.give(from, SERVER, FrameType::Finished, &[]);
    }

    /// Boots a sled up to its last batch, inclusively.
    pub(crate) fn read_all(&mut self, from: MacAddr) {
        self.hello(from);
        for batch in 0..BATCHES {
            self.read_batch(from, batch);
        }
    }
}

/// Offset and length of each DATA frame.
pub(crate) fn data(frames: &[Vec<u8>]) -> Vec<(u64, usize)> {
    let parse = |frame: &Vec<u8>| match Frame::parse(frame).unwrap().message {
        Message::Data(data) => Some((data.offset, data.bytes.len())),
        _ => None,
    };
    frames.iter().filter_map(parse).collect()
}

pub(crate) fn count(frames: &[Vec<u8>], wanted: FrameType) -> usize {
    let kind = |frame: &Vec<u8>| frame[18..22] == (wanted as u32).to_be_bytes();
    frames.iter().filter(|frame| kind(frame)).count()
}

/// How many boots the server has called finished since it was last asked.
pub(crate) fn finished(bench: &mut Bench) -> usize {
    let finished = |event: &Event| matches!(event.kind, EventKind::Finished(_));
    bench.events().into_iter().filter(finished).count()
}

/// The bytes of each DATA frame are those that `image` has there.
pub(crate) fn are_of(frames: &[Vec<u8>], image: &Contents) -> bool {
    let mut data = frames.iter().filter_map(|frame| match Frame::parse(frame).unwrap().message {
        Message::Data(data) => Some(data),
        _ => None,
    });
    data.all(|data| image.held().unwrap()[data.offset as usize..].starts_with(data.bytes))
}
