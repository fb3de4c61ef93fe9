//! What fuzzing asks of stations: any frames at any times, and what must hold of what they send.
//!
//! Shared by the fuzz targets and by the test that replays their corpora.
#![allow(dead_code, reason = "each target is a crate of its own, and uses one of these")]

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use boot_format::wire::{BLOCK, Frame, FrameType, Head, MacAddr, Message, Read, SLOTS, emit_read};
use boot_image::Contents;
use boot_netboot::batch::Batch;
use boot_netboot::server::{Config, Serve, Server, Together};
use boot_netboot::sled::{Sled, SledConfig};
use boot_netboot::station::Station;
use boot_netboot::time::Instant;

const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 0]);

/// Any bytes as a frame: parsing ends, and says the same of the same bytes.
pub(crate) fn wire(bytes: &[u8]) {
    let Ok(frame) = Frame::parse(bytes) else {
        return;
    };
    assert_eq!(Frame::parse(bytes), Ok(frame));
    match frame.message {
        Message::Read(read) => {
            let wanted = read.offsets().count();
            assert!(wanted <= Read::MAX_ENTRIES, "{wanted} offsets in a READ");
            let entries: [u64; SLOTS] = std::array::from_fn(|slot| read.entry(slot).unwrap_or(0));
            let again = emit_read(read.count(), &entries);
            let head = Head::new(frame.destination, frame.source, FrameType::Read, again.len());
            let again = [head.as_bytes(), &again].concat();
            // What stands in more slots than a sled has is read, but nobody emits it.
            if read.entry(SLOTS).is_some() {
                return;
            }
            let Ok(Frame { message: Message::Read(again), .. }) = Frame::parse(&again) else {
                panic!("what was emitted is a READ");
            };
            assert!(again.offsets().eq(read.offsets()));
        }
        Message::Data(data) => assert!(data.bytes.len() + data.trailing < bytes.len()),
        Message::Offer(offer) => {
            let body = offer.emit();
            assert_eq!(bytes[HEAD..HEAD + body.len()], body);
        }
        _ => {}
    }
}

const HEAD: usize = boot_format::wire::HEAD_LEN;

/// What is left of the input.
struct Input<'a>(&'a [u8]);

impl Input<'_> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn word(&mut self) -> u16 {
        u16::from_be_bytes([self.byte().unwrap_or(0), self.byte().unwrap_or(0)])
    }

    fn bytes(&mut self, count: usize) -> &[u8] {
        let (first, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        first
    }

    /// A frame as somebody could send it to `to`.
    fn frame(&mut self, to: MacAddr, from: MacAddr) -> Vec<u8> {
        let kinds = [
            FrameType::Hello,
            FrameType::Offer,
            FrameType::Read,
            FrameType::Data,
            FrameType::Finished,
            FrameType::Reset,
        ];
        let kind = kinds[usize::from(self.byte().unwrap_or(0)) % kinds.len()];
        let to = if kind == FrameType::Hello { MacAddr::BROADCAST } else { to };
        if kind == FrameType::Read {
            // As sleds ask, from some block on; or for one block twice, past the end, anything.
            let (first, step, count) = (self.word(), self.byte().unwrap_or(1), self.byte());
            let count = usize::from(count.unwrap_or(0)) % (SLOTS + 1);
            let offset = |slot| u64::from(first) + u64::from(step) * slot as u64;
            let offsets =
                std::array::from_fn(
                    |slot| {
                        if slot < count { offset(slot) * BLOCK as u64 / 4 } else { 0 }
                    },
                );
            let body = emit_read(count as u64, &offsets);
            return [Head::new(to, from, kind, body.len()).as_bytes(), &body].concat();
        }
        let length = usize::from(self.byte().unwrap_or(0));
        let body = self.bytes(length).to_vec();
        [Head::new(to, from, kind, body.len()).as_bytes(), &body].concat()
    }
}

fn image() -> &'static Contents {
    static IMAGE: OnceLock<Contents> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let fill = |bytes: &mut [u8]| {
            for (index, byte) in bytes.iter_mut().enumerate() {
                *byte = (index / 7) as u8;
            }
        };
        Contents::build((1 << 20) + 700, 2 << 20, "", "rpool", fill).expect("there is memory")
    })
}

/// Any frames from 16 stations, at any times, to a server.
pub(crate) fn server(bytes: &[u8]) {
    let mut input = Input(bytes);
    let flags = input.byte().unwrap_or(0);
    let config = Config::new(SERVER, [Serve::All, Serve::First][usize::from(flags & 1)].clone());
    let mut server = Server::new(Config {
        max_sessions: if flags & 2 == 0 { 3 } else { 1024 },
        together: (flags & 4 != 0).then(Together::default),
        ..config
    });
    server.set_images(vec![image().clone()]);
    let mut held = Held::default();
    let mut now = Instant::ZERO;
    while let Some(step) = input.byte() {
        let station = SLED.nth_after(u16::from(step & 15));
        match step >> 4 {
            0..=7 => {
                let frame = input.frame(SERVER, station);
                held.heard(&frame);
                server.handle_frame(now, &frame);
            }
            8 => {
                let count = usize::from(input.byte().unwrap_or(0));
                let frame = input.bytes(count).to_vec();
                held.heard(&frame);
                server.handle_frame(now, &frame);
            }
            9 => now += Duration::from_micros(input.word().into()),
            10 => now += Duration::from_millis(input.word().into()),
            11 => now = server.poll_timeout().map_or(now, |due| due.max(now)),
            12 => server.handle_unreadable(station),
            13 => server.disregard_boot(station, None),
            _ => {}
        }
        held.drain(&mut server, now);
    }
}

/// What must hold of a server's frames.
#[derive(Default)]
struct Held {
    /// What each station's READs have asked for, in frames.
    asked: HashMap<MacAddr, u64>,
    /// DATA frames that each was sent alone.
    sent: HashMap<MacAddr, u64>,
    hellos: u64,
}

impl Held {
    /// A frame for a batch that was asked for may go out again: as proof of loss explains, twice,
    /// and a batch for each boot without proof (docs/recovery.md).
    const TIMES: u64 = 4;

    fn heard(&mut self, frame: &[u8]) {
        let Ok(frame) = Frame::parse(frame) else { return };
        match frame.message {
            Message::Read(read) => {
                let asked = read.offsets().count().max(SLOTS);
                *self.asked.entry(frame.source).or_default() += asked as u64;
            }
            Message::Hello(_) => self.hellos += 1,
            _ => {}
        }
    }

    /// Takes all that the server sends now.
    fn drain(&mut self, server: &mut Server, now: Instant) {
        let mut batch = Batch::with_capacity(SLOTS);
        // At most what all stations have asked for, again and again.
        for turn in 0.. {
            assert!(turn < 4096, "the server never stops sending");
            server.poll_transmit(now, &mut batch);
            for frame in batch.iter() {
                self.check(&frame.to_vec());
            }
            if batch.is_empty() {
                break;
            }
            batch.clear();
        }
        let mut events = 0;
        while server.poll_event().is_some() || server.poll_group_event().is_some() {
            events += 1;
            assert!(events < 100_000, "events never end");
        }
    }

    fn check(&mut self, bytes: &[u8]) {
        let frame = Frame::parse(bytes).expect("a server sends frames of the protocol");
        assert_eq!(frame.source, SERVER);
        match frame.message {
            Message::Offer(offer) => assert_eq!(offer.checksum, image().checksum()),
            Message::Reset => {}
            Message::Data(data) => {
                let contents = image().held().expect("it is in memory");
                let start = (data.offset as usize).min(contents.len());
                let end = (start + BLOCK).min(contents.len());
                assert_eq!(data.bytes, &contents[start..end], "at {}", data.offset);
                assert_eq!(data.trailing, 0);
                self.count(frame.destination);
            }
            message => panic!("a server never sends {message:?}"),
        }
    }

    fn count(&mut self, to: MacAddr) {
        if to == MacAddr::BROADCAST {
            return;
        }
        let sent = self.sent.entry(to).or_default();
        *sent += 1;
        let asked = self.asked.get(&to).copied().unwrap_or(0);
        assert!(*sent <= asked * Self::TIMES, "{sent} frames to {to}, which asked for {asked}");
    }
}

/// Any frames from a server, or from somebody else, to a sled.
pub(crate) fn sled(bytes: &[u8]) {
    let mut input = Input(bytes);
    let mut sled = Sled::new(SledConfig::new(SLED));
    let mut now = Instant::ZERO;
    let mut batch = Batch::with_capacity(SLOTS);
    while let Some(step) = input.byte() {
        match step >> 4 {
            0..=7 => {
                let to = if step & 1 == 0 { SLED } else { MacAddr::BROADCAST };
                let frame = input.frame(to, SERVER.nth_after(u16::from(step & 2)));
                sled.handle_frame(now, &frame);
            }
            8 => {
                let count = usize::from(input.byte().unwrap_or(0));
                let frame = input.bytes(count).to_vec();
                sled.handle_frame(now, &frame);
            }
            9 => now += Duration::from_micros(input.word().into()),
            10 => now += Duration::from_millis(input.word().into()),
            11 => now = sled.poll_timeout().map_or(now, |due| due.max(now)),
            // The offer that it is after, and bytes of that image.
            12 => {
                let body = image().offer().expect("the name fits").emit();
                let head = Head::new(SLED, SERVER, FrameType::Offer, body.len());
                sled.handle_frame(now, &[head.as_bytes(), &body].concat());
            }
            _ => {
                let contents = image().held().expect("it is in memory");
                let start = usize::from(input.word()) % 1025 * BLOCK;
                let end = (start + BLOCK).min(contents.len());
                let head = Head::data(SLED, SERVER, start as u64, end - start);
                sled.handle_frame(now, &[head.as_bytes(), &contents[start..end]].concat());
            }
        }
        for turn in 0.. {
            assert!(turn < 64, "a sled never stops sending");
            sled.poll_transmit(now, &mut batch);
            for frame in batch.iter() {
                let bytes = frame.to_vec();
                let frame = Frame::parse(&bytes).expect("a sled sends frames of the protocol");
                assert_eq!(frame.source, SLED);
                assert!(
                    matches!(
                        frame.message,
                        Message::Hello(_) | Message::Read(_) | Message::Finished
                    ),
                    "a sled never sends {:?}",
                    frame.message
                );
            }
            if batch.is_empty() {
                break;
            }
            batch.clear();
        }
        while sled.poll_event().is_some() {}
    }
}
