//! Racks among strangers, from seeds: frames in the names of sleds, floods from invented ones,
//! more addresses than sessions, and images that change meanwhile.

use std::ops::ControlFlow;
use std::time::Duration;

use boot_format::wire::{FrameType, MacAddr};
use boot_image::Contents;
use boot_netboot::batch::Batch;
use boot_netboot::server::{Config, EventKind, Serve, Server};
use boot_netboot::sim::{
    Actor, Faults, Line, Link, PlugId, PortConfig, Segment, Stranger, StrangerConfig,
};
use boot_netboot::sled::{Event, Panic, Sled, SledConfig};
use boot_netboot::station::Station;
use boot_netboot::time::Instant;
use fastrand::Rng;

const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 0]);
const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 2, 0]);
const INVENTED: MacAddr = MacAddr::new([2, 0, 0, 1, 0, 0]);
const SIZE: u64 = 4 << 20;
const BATCH: u64 = 128 * 1024;
const SESSIONS: usize = 24;
const GIGABIT: u64 = 1_000_000_000;
/// At this rate a boot takes 2 seconds, and much can happen meanwhile.
const SLOW: u64 = 20_000_000;
/// When all sleds have begun that are not delayed by a flood.
const BEGUN: Duration = Duration::from_millis(700);
const SEEDS: u64 = 60;
/// The floods end here, and the images are back long before.
const LIMIT: Instant = Instant::from_nanos(90_000_000_000);

fn image(seed: u64) -> Contents {
    let mut random = Rng::with_seed(seed);
    Contents::build(SIZE as usize, 16 << 20, "", "rpool/ROOT/ramdisk", |bytes| random.fill(bytes))
        .expect("there is memory for an image")
}

fn link(rate: u64, faults: Faults) -> Link {
    let port = PortConfig::new(rate, 1024);
    let line = Line { delay: Duration::from_micros(10), faults, ..Line::new(port) };
    Link { up: line, trunk: None, down: line }
}

/// A rack with its strangers.
struct Setup {
    segment: Segment<Actor>,
    server: PlugId,
    sleds: Vec<PlugId>,
    /// Its frames bypass the switch, which would learn its port as the sleds'.
    spoofer: Stranger,
}

impl Setup {
    fn new(random: &mut Rng, image: &Contents) -> Self {
        let mut segment = Segment::new(random.u64(..));
        let config = Config { max_sessions: SESSIONS, ..Config::new(SERVER, Serve::All) };
        let mut server = Server::new(config);
        server.set_images(vec![image.clone()]);
        let server = segment.plug(Actor::Server(server), link(GIGABIT, Faults::NONE));
        let loss = *random.choice(&[0.0, 0.0, 0.001]).expect("there are some");
        let count = random.u16(1..8);
        let sleds = (0..count).map(|number| {
            let config = SledConfig {
                wanted: Some(image.checksum()),
                power_on: Instant::ZERO + Duration::from_millis(random.u64(..500)),
                ..SledConfig::new(SLED.nth_after(number))
            };
            segment.plug(Actor::Sled(Sled::new(config)), link(SLOW, Faults::loss(loss)))
        });
        let sleds = sleds.collect();
        let flood = flood(random);
        let mut spoofer = spoofer(random, count);
        if flood.kinds.contains(&FrameType::Hello) {
            // A sled's timing can't be judged if others say HELLO in its name.
            spoofer.kinds.retain(|&kind| kind != FrameType::Hello);
        }
        let spoofer = Stranger::new(spoofer, random.u64(..));
        let flood = Stranger::new(flood, random.u64(..));
        segment.plug(Actor::Stranger(flood), link(GIGABIT, Faults::NONE));
        Self { segment, server, sleds, spoofer }
    }

    /// Runs until `end` or until all have booted, checking each step.
    fn run(&mut self, end: Instant, kept: usize) -> Result<(), String> {
        let mut batch = Batch::with_capacity(1);
        while self.segment.now() < end && !self.all_booted() {
            let next = self.spoofer.poll_timeout().unwrap_or(end).min(end);
            self.run_on(next, kept)?;
            self.spoofer.poll_transmit(self.segment.now(), &mut batch);
            let now = self.segment.now();
            let server = self.segment.station_mut(self.server);
            batch.iter().for_each(|frame| server.handle_frame(now, &frame.to_vec()));
            batch.clear();
            self.segment.attend(self.server);
        }
        Ok(())
    }

    fn all_booted(&self) -> bool {
        let booted =
            |&sled: &PlugId| self.segment.station(sled).sled().is_some_and(Sled::is_booted);
        self.sleds.iter().all(booted)
    }

    fn run_on(&mut self, end: Instant, kept: usize) -> Result<(), String> {
        let Self { segment, server, sleds, .. } = self;
        let broken = segment.run(end, |segment, place| {
            if place == *server
                && let Err(broken) = check(segment, *server, sleds, kept)
            {
                return ControlFlow::Break(Some(broken));
            }
            let booted = |&sled: &PlugId| segment.station(sled).sled().is_some_and(Sled::is_booted);
            if sleds.iter().all(booted) {
                return ControlFlow::Break(None);
            }
            ControlFlow::Continue(())
        });
        broken.flatten().map_or(Ok(()), Err)
    }

    fn set_image(&mut self, image: &Contents) {
        let server = self.segment.station_mut(self.server).server_mut();
        server.expect("a server stands there").set_images(vec![image.clone()]);
        self.segment.attend(self.server);
    }

    fn judge(&mut self) -> Result<(), String> {
        for &plug in &self.sleds {
            let sled = self.segment.station_mut(plug).sled_mut().expect("a sled stands there");
            while let Some(event) = sled.poll_event() {
                // RESETs follow READs in its name, and flooded offers for others.
                if let Event::Panicked(why) = event
                    && why != Panic::Reset
                {
                    return Err(format!("a sled panicked: {why}"));
                }
            }
            if !sled.is_booted() {
                return Err(format!("a sled has not booted: {:#?}", sled.report()));
            }
        }
        Ok(())
    }
}

/// Sends frames in the names of the sleds.
fn spoofer(random: &mut Rng, sleds: u16) -> StrangerConfig {
    // READs draw RESETs to sleds that have not begun, which then restart: so they are rare, or they
    // end.
    let (kinds, gap, end) = match random.u8(..4) {
        0 => (vec![FrameType::Read, FrameType::Hello], random.u64(3000..8000), LIMIT),
        1 => (
            vec![FrameType::Read, FrameType::Hello],
            random.u64(1..50),
            Instant::ZERO + BEGUN + Duration::from_secs(5),
        ),
        _ => {
            let kinds = vec![FrameType::Hello, FrameType::Finished, FrameType::Reset];
            (kinds, random.u64(1..50), LIMIT)
        }
    };
    StrangerConfig {
        server: SERVER,
        address: SLED,
        addresses: sleds,
        kinds,
        reads: 0..SIZE,
        gap: Duration::from_millis(gap),
        start: Instant::ZERO + BEGUN,
        end,
    }
}

/// Sends frames in the names of sleds that do not exist.
fn flood(random: &mut Rng) -> StrangerConfig {
    let kinds = match random.u8(..3) {
        0 => vec![FrameType::Hello],
        1 => vec![FrameType::Read],
        _ => vec![FrameType::Hello, FrameType::Read, FrameType::Finished],
    };
    StrangerConfig {
        address: INVENTED,
        // No more than a switch can learn, or it would flood their offers to all sleds.
        addresses: *random.choice(&[100, 1000]).expect("there are some"),
        kinds,
        // Their boots never begin.
        reads: BATCH..SIZE,
        start: Instant::ZERO,
        end: LIMIT,
        gap: Duration::from_micros(*random.choice(&[100, 1000, 10_000]).expect("there are some")),
        ..spoofer(random, 1)
    }
}

/// Invariants after each of the server's actions.
fn check(
    segment: &mut Segment<Actor>,
    server: PlugId,
    sleds: &[PlugId],
    kept: usize,
) -> Result<(), String> {
    let station = segment.station_mut(server).server_mut().expect("a server stands there");
    if station.sessions() > SESSIONS {
        return Err(format!("{} sessions", station.sessions()));
    }
    let mut images: Vec<_> = station.kept_images().collect();
    images.sort_unstable_by_key(|checksum| *checksum.as_bytes());
    images.dedup();
    if images.len() > kept {
        return Err(format!("{} images are kept", images.len()));
    }
    let events: Vec<_> = std::iter::from_fn(|| station.poll_event()).collect();
    for event in events.iter().filter(|event| matches!(event.kind, EventKind::Finished(_))) {
        let sled = sleds.iter().filter_map(|&sled| segment.station(sled).sled());
        let sled = sled.into_iter().find(|sled| sled.address() == event.sled);
        // The last batch is known only to have been sent.
        let had = sled.map_or(0, |sled| sled.report().bytes);
        if had < SIZE - BATCH {
            return Err(format!("{} has had {had} bytes and counts as booted", event.sled));
        }
    }
    Ok(())
}

fn boot(seed: u64) -> Result<(), String> {
    let mut random = Rng::with_seed(seed);
    let (old, new) = (image(1), image(2));
    let mut setup = Setup::new(&mut random, &old);
    let swapped = Instant::ZERO + BEGUN + Duration::from_millis(random.u64(..1500));
    setup.run(swapped, 1)?;
    setup.set_image(&new);
    setup.run(swapped + Duration::from_millis(random.u64(10..4000)), 2)?;
    setup.set_image(&old);
    setup.run(LIMIT, 2)?;
    setup.judge()
}

#[test]
fn every_sled_boots_its_image_whatever_strangers_say() {
    for seed in 0..SEEDS {
        if let Err(broken) = boot(seed) {
            panic!("seed {seed}: {broken}");
        }
    }
}
