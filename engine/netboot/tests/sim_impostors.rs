//! Stations that do everything that a sled does, under invented addresses: real sleds among them
//! still boot, and boots under way continue.

use std::ops::ControlFlow;
use std::time::Duration;

use boot_format::wire::{BLOCK, Frame, FrameType, Head, MacAddr, Message, SLOTS, emit_read};
use boot_image::Contents;
use boot_netboot::batch::Batch;
use boot_netboot::server::{Config, Serve, Server};
use boot_netboot::sim::{Actor, Line, Link, PlugId, PortConfig, Segment};
use boot_netboot::sled::{Sled, SledConfig};
use boot_netboot::station::Station;
use boot_netboot::time::Instant;

const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 0]);
const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 2, 0]);
const INVENTED: MacAddr = MacAddr::new([2, 0, 0, 1, 0, 0]);
const SIZE: usize = 4 << 20;
const SESSIONS: usize = 64;
const GIGABIT: u64 = 1_000_000_000;
/// At this rate a boot takes 3.5 seconds.
const SLOW: u64 = 10_000_000;

/// An invented sled.
#[derive(Clone, Copy, Debug)]
struct Impostor {
    address: MacAddr,
    /// What it asks for next; nothing while it waits for an offer.
    asks: Option<u64>,
    due: Instant,
}

/// A crowd of invented sleds behind one port.
#[derive(Debug)]
struct Crowd {
    impostors: Vec<Impostor>,
    /// From one READ of an impostor to its next.
    gap: Duration,
}

impl Crowd {
    fn new(count: usize, gap: Duration) -> Self {
        let impostor = |number| Impostor {
            address: INVENTED.nth_after(number),
            asks: None,
            due: Instant::ZERO + Duration::from_micros(100) * u32::from(number),
        };
        Self { impostors: (0..count as u16).map(impostor).collect(), gap }
    }
}

impl Station for Crowd {
    fn handle_frame(&mut self, now: Instant, frame: &[u8]) {
        let Ok(Frame { destination, message, .. }) = Frame::parse(frame) else {
            return;
        };
        let mut impostors = self.impostors.iter_mut();
        let Some(impostor) = impostors.find(|impostor| impostor.address == destination) else {
            return;
        };
        match message {
            Message::Offer(_) if impostor.asks.is_none() => {
                (impostor.asks, impostor.due) = (Some(0), now + Duration::from_millis(50));
            }
            Message::Reset => (impostor.asks, impostor.due) = (None, now),
            _ => {}
        }
    }

    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch) {
        for impostor in self.impostors.iter_mut().filter(|impostor| impostor.due <= now) {
            if batch.room() == 0 {
                return;
            }
            let from = impostor.address;
            let Some(asks) = impostor.asks else {
                impostor.due = now + Duration::from_secs(4);
                let head = Head::new(MacAddr::BROADCAST, from, FrameType::Hello, 2);
                batch.push_body(head, b"hi");
                continue;
            };
            let offsets = std::array::from_fn(|slot| asks + (slot * BLOCK) as u64);
            let body = emit_read(SLOTS as u64, &offsets);
            batch.push_body(Head::new(SERVER, from, FrameType::Read, body.len()), &body);
            // At the end it starts over instead of saying FINISHED.
            let next = asks + (SLOTS * BLOCK) as u64;
            impostor.asks = Some(next).filter(|&next| next < SIZE as u64);
            impostor.due = now + self.gap;
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.impostors.iter().map(|impostor| impostor.due).min()
    }
}

/// Whatever is plugged in here.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a segment has few stations, and they stay put")]
enum Party {
    Actor(Actor),
    Crowd(Crowd),
}

impl Party {
    fn sled(&self) -> Option<&Sled> {
        if let Self::Actor(actor) = self { actor.sled() } else { None }
    }
}

impl Station for Party {
    fn handle_frame(&mut self, now: Instant, frame: &[u8]) {
        match self {
            Self::Actor(actor) => actor.handle_frame(now, frame),
            Self::Crowd(crowd) => crowd.handle_frame(now, frame),
        }
    }

    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch) {
        match self {
            Self::Actor(actor) => actor.poll_transmit(now, batch),
            Self::Crowd(crowd) => crowd.poll_transmit(now, batch),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Actor(actor) => actor.poll_timeout(),
            Self::Crowd(crowd) => crowd.poll_timeout(),
        }
    }
}

fn link(rate: u64) -> Link {
    let line = Line { delay: Duration::from_micros(10), ..Line::new(PortConfig::new(rate, 1024)) };
    Link { up: line, trunk: None, down: line }
}

/// When each sled has booted that is switched on at `power_on`, among `impostors` invented ones
/// that read every `gap`. The first sled is behind a slow port.
fn boots(impostors: usize, gap: Duration, power_on: &[u64], known: bool) -> Vec<Option<u128>> {
    let image = Contents::build(SIZE, 16 << 20, "", "rpool/ROOT/ramdisk", |bytes| {
        fastrand::Rng::with_seed(1).fill(bytes);
    })
    .expect("there is memory for an image");
    let mut segment = Segment::new(1);
    let config = Config { max_sessions: SESSIONS, ..Config::new(SERVER, Serve::All) };
    let mut server = Server::new(config);
    server.set_images(vec![image.clone()]);
    if known {
        (0..power_on.len()).for_each(|sled| {
            server.remember(SLED.nth_after(sled as u16), image.checksum());
        });
    }
    let server = segment.plug(Party::Actor(Actor::Server(server)), link(GIGABIT));
    let sleds: Vec<PlugId> = (0..)
        .zip(power_on)
        .map(|(number, &power_on)| {
            let sled = Sled::new(SledConfig {
                wanted: Some(image.checksum()),
                compare: Some(image.clone()),
                power_on: Instant::ZERO + Duration::from_secs(power_on),
                ..SledConfig::new(SLED.nth_after(number))
            });
            let rate = if number == 0 { SLOW } else { GIGABIT };
            segment.plug(Party::Actor(Actor::Sled(sled)), link(rate))
        })
        .collect();
    segment.plug(Party::Crowd(Crowd::new(impostors, gap)), link(GIGABIT));
    let limit = Instant::ZERO + Duration::from_mins(3);
    segment.run(limit, |segment, place| {
        if place == server
            && let Party::Actor(actor) = segment.station_mut(server)
            && let Some(server) = actor.server_mut()
        {
            assert!(server.sessions() <= SESSIONS);
            while server.poll_event().is_some() {}
        }
        let booted = |&sled: &PlugId| segment.station(sled).sled().is_some_and(Sled::is_booted);
        if sleds.iter().all(booted) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    let report = |&sled: &PlugId| segment.station(sled).sled().map(Sled::report).cloned();
    sleds
        .iter()
        .filter_map(report)
        .map(|report| {
            let finished = report.finished?;
            Some(finished.since(report.hello?).as_millis())
        })
        .collect()
}

/// When the sleds are switched on: the first long before the crowd could take its place.
const POWER_ON: [u64; 6] = [0, 8, 8, 9, 20, 30];

#[test]
fn new_sleds_boot_among_invented_ones_that_hold_every_session() {
    // With many more addresses than sessions, all back in time, a new sled is one of many.
    for gap in [100, 300, 1000, 2900] {
        let boots = boots(SESSIONS, Duration::from_millis(gap), &POWER_ON, false);
        assert!(boots.iter().all(Option::is_some), "{gap} ms: {boots:?}");
    }
}

#[test]
fn known_sleds_boot_among_them_and_those_under_way_keep_on() {
    let alone = boots(0, Duration::from_secs(1), &POWER_ON, true);
    for (impostors, gap) in [(SESSIONS, 100), (SESSIONS, 2900), (1000, 2000)] {
        let boots = boots(impostors, Duration::from_millis(gap), &POWER_ON, true);
        assert!(boots.iter().all(Option::is_some), "{impostors} each {gap} ms: {boots:?}");
        assert!(boots[0] < alone[0].map(|time| 2 * time), "{impostors} each {gap} ms: {boots:?}");
    }
}
