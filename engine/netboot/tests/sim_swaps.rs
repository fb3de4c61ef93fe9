//! Racks whose images are replaced all the time, from seeds: no boot mixes two images.

use std::ops::ControlFlow;
use std::time::Duration;

use boot_format::wire::{FrameType, Head, MacAddr};
use boot_image::Contents;
use boot_netboot::server::{Config, EventKind, Serve, Server, Together};
use boot_netboot::sim::{Actor, Faults, Line, Link, PlugId, PortConfig, Segment};
use boot_netboot::sled::{Event, Panic, Sled, SledConfig};
use boot_netboot::station::Station;
use boot_netboot::time::Instant;
use fastrand::Rng;

const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 0]);
const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 2, 0]);
const SIZE: usize = 1 << 20;
const GIGABIT: u64 = 1_000_000_000;
const SEEDS: u64 = 60;
/// From an OFFER to a sled's first READ.
const UNTIL_READ: u64 = 50_000;
const LIMIT: Instant = Instant::from_nanos(90_000_000_000);

fn image(seed: u64) -> Contents {
    let mut random = Rng::with_seed(seed);
    Contents::build(SIZE, SIZE as u64, "", "rpool/ROOT/ramdisk", |bytes| random.fill(bytes))
        .expect("there is memory for an image")
}

fn link(faults: Faults) -> Link {
    let port = PortConfig::new(GIGABIT, 1024);
    let line = Line { delay: Duration::from_micros(10), faults, ..Line::new(port) };
    Link { up: line, trunk: None, down: line }
}

/// A rack whose sleds take the first offer, and check its checksum.
struct Setup {
    segment: Segment<Actor>,
    server: PlugId,
    sleds: Vec<PlugId>,
    random: Rng,
}

impl Setup {
    fn new(seed: u64) -> Self {
        let mut random = Rng::with_seed(seed);
        let mut segment = Segment::new(random.u64(..));
        let gather = Duration::from_secs(1);
        let together = random.bool().then_some(Together { gather, expect: None });
        let mut server = Server::new(Config { together, ..Config::new(SERVER, Serve::All) });
        server.set_images(vec![image(0)]);
        let server = segment.plug(Actor::Server(server), link(Faults::NONE));
        let loss = *random.choice(&[0.0, 0.0, 0.01]).expect("there are some");
        let sleds = (0..random.u16(1..8)).map(|number| {
            let config = SledConfig {
                power_on: Instant::ZERO + Duration::from_millis(random.u64(..3000)),
                ..SledConfig::new(SLED.nth_after(number))
            };
            segment.plug(Actor::Sled(Sled::new(config)), link(Faults::loss(loss)))
        });
        let sleds = sleds.collect();
        Self { segment, server, sleds, random }
    }

    fn all_booted(&self) -> bool {
        let sled = |&sled: &PlugId| self.segment.station(sled).sled();
        self.sleds.iter().filter_map(sled).all(Sled::is_booted)
    }

    /// Replaces the image a random time after each OFFER; now and then a stranger says HELLO in a
    /// sled's name.
    fn run(&mut self, images: &[Contents]) -> usize {
        let mut swaps = 0;
        while self.segment.now() < LIMIT && !self.all_booted() {
            let server = self.server;
            let offered = self.segment.run(LIMIT, |segment, place| {
                let server = segment.station_mut(server).server_mut().filter(|_| place == server);
                let events = server.into_iter().flat_map(|server| {
                    std::iter::from_fn(|| server.poll_event()).collect::<Vec<_>>()
                });
                let mut offers = events.filter_map(|event| {
                    matches!(event.kind, EventKind::Offered { .. }).then_some(event.sled)
                });
                offers.next().map_or(ControlFlow::Continue(()), ControlFlow::Break)
            });
            let Some(sled) = offered else {
                break;
            };
            let wait = Duration::from_micros(self.random.u64(..UNTIL_READ));
            self.segment.run_until(self.segment.now() + wait);
            let now = self.segment.now();
            let image = self.random.choice(images).expect("there are some").clone();
            let hello = self.random.u8(..4) == 0;
            let actor = self.segment.station_mut(self.server);
            actor.server_mut().expect("a server stands there").set_images(vec![image]);
            if hello {
                let head = Head::new(MacAddr::BROADCAST, sled, FrameType::Hello, 2);
                actor.handle_frame(now, &[head.as_bytes(), b"hi"].concat());
            }
            self.segment.attend(self.server);
            swaps += 1;
        }
        swaps
    }

    fn judge(&mut self) -> Result<(), String> {
        for &plug in &self.sleds {
            let sled = self.segment.station_mut(plug).sled_mut().expect("a sled stands there");
            while let Some(event) = sled.poll_event() {
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

#[test]
fn no_boot_mixes_two_images_however_often_they_are_replaced() {
    let images = [image(1), image(2), image(3)];
    for seed in 0..SEEDS {
        let mut setup = Setup::new(seed);
        let swaps = setup.run(&images);
        assert!(swaps > 0, "seed {seed}");
        if let Err(broken) = setup.judge() {
            panic!("seed {seed}: {broken}");
        }
    }
}
