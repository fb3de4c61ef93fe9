//! Each of the things that go wrong in a rack, one at a time.

use std::ops::ControlFlow;
use std::time::Duration;

use boot_format::Checksum;
use boot_format::wire::MacAddr;
use boot_image::Contents;
use boot_netboot::server::{Config, Event, EventKind, Serve, Server};
use boot_netboot::sim::{
    Actor, Faults, Flood, FloodConfig, Line, Link, PlugId, PortConfig, Segment,
};
use boot_netboot::sled::{Panic, Sled, SledConfig};
use boot_netboot::time::Instant;

const GIGABIT: u64 = 1_000_000_000;
const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 0]);
const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 2, 0]);
const FLOOD: MacAddr = MacAddr::new([2, 0, 0, 0, 3, 0]);

fn image(seed: u64) -> Contents {
    let mut random = fastrand::Rng::with_seed(seed);
    Contents::build(4 << 20, 16 << 20, "", "rpool/ROOT/ramdisk", |bytes| random.fill(bytes))
        .expect("there is memory for an image")
}

fn server(address: MacAddr, image: &Contents) -> Actor {
    let mut server = Server::new(Config::new(address, Serve::All));
    server.set_images(vec![image.clone()]);
    Actor::Server(server)
}

fn sled(number: u16, wanted: Checksum) -> Actor {
    let config = SledConfig { wanted: Some(wanted), ..SledConfig::new(SLED.nth_after(number)) };
    Actor::Sled(Sled::new(config))
}

/// A cable of 10 us to the switch.
fn link() -> Link {
    let port = PortConfig::new(GIGABIT, 256);
    let line = Line { delay: Duration::from_micros(10), ..Line::new(port) };
    Link { up: line, trunk: None, down: line }
}

struct Lab {
    segment: Segment<Actor>,
    server: PlugId,
    sleds: Vec<PlugId>,
}

impl Lab {
    fn new(image: &Contents, sleds: Vec<Actor>) -> Self {
        let mut segment = Segment::new(1);
        let server = segment.plug(server(SERVER, image), link());
        let sleds = sleds.into_iter().map(|sled| segment.plug(sled, link())).collect();
        Self { segment, server, sleds }
    }

    fn sled(&self, index: usize) -> &Sled {
        self.segment.station(self.sleds[index]).sled().expect("a sled stands there")
    }

    fn wait(&mut self, time: Duration) {
        self.segment.run_until(self.segment.now() + time);
    }

    /// Waits until every sled has booted, and returns the time.
    fn boot(&mut self) -> Duration {
        let sleds = self.sleds.clone();
        let booted = self.segment.run(self.segment.now() + Duration::from_mins(2), |segment, _| {
            let booted = |&sled: &PlugId| segment.station(sled).sled().is_some_and(Sled::is_booted);
            if sleds.iter().all(booted) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert_eq!(booted, Some(()), "not all boot");
        self.segment.now().since(Instant::ZERO)
    }

    fn events(&mut self) -> Vec<Event> {
        let server = self.segment.station_mut(self.server).server_mut();
        let server = server.expect("a server stands there");
        std::iter::from_fn(|| server.poll_event()).collect()
    }

    fn finished(&mut self) -> Vec<boot_netboot::server::Summary> {
        let finished = |event: Event| match event.kind {
            EventKind::Finished(summary) => Some(summary),
            _ => None,
        };
        self.events().into_iter().filter_map(finished).collect()
    }
}

#[test]
fn a_sled_that_loses_power_in_the_middle_starts_over_and_boots() {
    let image = image(1);
    let mut lab = Lab::new(&image, vec![sled(0, image.checksum())]);
    lab.wait(Duration::from_millis(20));
    assert!((1 << 20..3 << 20).contains(&lab.sled(0).report().bytes), "in the middle");
    let on = lab.segment.now() + Duration::from_secs(1);
    lab.segment.station_mut(lab.sleds[0]).sled_mut().expect("a sled").power_cycle(on);
    lab.segment.attend(lab.sleds[0]);
    let time = lab.boot();
    assert!(time < Duration::from_millis(1200), "{time:?}");
    assert_eq!(lab.sled(0).report().timeouts, 0);
}

#[test]
fn a_sled_whose_finished_is_lost_counts_as_finished_after_a_while() {
    let image = image(1);
    let mut lab = Lab::new(&image, vec![sled(0, image.checksum())]);
    lab.wait(Duration::from_millis(20));
    while lab.sled(0).report().bytes < 4 << 20 {
        lab.wait(Duration::from_micros(5));
    }
    lab.segment.link_mut(lab.sleds[0]).up.faults = Faults::loss(1.0);
    lab.boot();
    lab.wait(Duration::from_secs(10));
    let finished = lab.finished();
    assert_eq!(finished.len(), 1);
    assert!(finished[0].assumed);
}

#[test]
fn sleds_of_a_server_that_is_started_anew_are_told_to_start_over_and_boot() {
    let image = image(1);
    let sleds = (0..4).map(|number| sled(number, image.checksum())).collect();
    let mut lab = Lab::new(&image, sleds);
    lab.wait(Duration::from_millis(40));
    lab.segment.replace(lab.server, server(SERVER, &image));
    let time = lab.boot();
    // A second until it asks again for what it lacks, and two until it has restarted.
    assert!(time < Duration::from_millis(3500), "{time:?}");
    for index in 0..4 {
        assert_eq!(lab.sled(index).report().panics, 1);
    }
    let resets = lab.events().into_iter().filter(|event| event.kind == EventKind::Reset).count();
    assert!((4..=8).contains(&resets), "{resets}");
}

#[test]
fn of_two_servers_on_a_segment_each_sled_takes_the_one_that_has_its_image() {
    let (one, other) = (image(1), image(2));
    let sleds = vec![sled(0, one.checksum()), sled(1, other.checksum())];
    let mut lab = Lab::new(&one, sleds);
    let second = server(SERVER.nth_after(1), &other);
    let second = lab.segment.plug(second, link());
    let time = lab.boot();
    assert!(time < Duration::from_millis(200), "{time:?}");
    for place in [lab.server, second] {
        let server = lab.segment.station(place).server().expect("a server stands there");
        let data = server.counters().data;
        assert!((4096..4400).contains(&data), "{data}");
    }
}

#[test]
fn two_sleds_with_one_address_both_boot() {
    let image = image(1);
    let twins = vec![sled(0, image.checksum()), sled(0, image.checksum())];
    let mut lab = Lab::new(&image, twins);
    lab.wait(Duration::from_millis(3));
    let time = lab.boot();
    assert!(time < Duration::from_mins(1), "{time:?}");
}

#[test]
fn a_sled_that_dies_costs_next_to_nothing() {
    let image = image(1);
    let mut lab = Lab::new(&image, vec![sled(0, image.checksum())]);
    lab.wait(Duration::from_millis(20));
    let before = lab.segment.traffic(lab.server).sent;
    lab.segment.station_mut(lab.sleds[0]).sled_mut().expect("a sled").power_cycle(Instant::NEVER);
    lab.wait(Duration::from_mins(1));
    let after = lab.segment.traffic(lab.server).sent;
    // The rest of its batch, and a few rounds of repair.
    assert!(after - before < 6 * 128, "{}", after - before);
    assert!(lab.events().iter().any(|event| matches!(event.kind, EventKind::Lost { .. })));
}

#[test]
fn a_thousand_spoofed_addresses_that_read_get_no_data_and_take_no_memory() {
    let image = image(1);
    let mut lab = Lab::new(&image, vec![sled(0, image.checksum())]);
    let flood = FloodConfig {
        server: SERVER,
        address: FLOOD,
        addresses: 1000,
        hello: false,
        gap: Duration::from_micros(50),
        size: 4 << 20,
        start: Instant::ZERO,
        end: Instant::ZERO + Duration::from_secs(2),
    };
    lab.segment.plug(Actor::Flood(Flood::new(flood, 1)), link());
    let time = lab.boot();
    assert!(time < Duration::from_millis(200), "{time:?}");
    lab.wait(Duration::from_secs(2));
    let server = lab.segment.station(lab.server).server().expect("a server stands there");
    assert_eq!(server.sessions(), 1);
    let counters = server.counters();
    assert!(counters.data < 4400, "{counters:?}");
    assert!(counters.resets_withheld > 30_000, "{counters:?}");
}

#[test]
fn a_thousand_spoofed_addresses_that_say_hello_take_bounded_memory_and_keep_no_sled_off() {
    let image = image(1);
    let late = SledConfig {
        wanted: Some(image.checksum()),
        power_on: Instant::ZERO + Duration::from_secs(1),
        ..SledConfig::new(SLED)
    };
    let mut lab = Lab::new(&image, vec![Actor::Sled(Sled::new(late))]);
    let flood = FloodConfig {
        server: SERVER,
        address: FLOOD,
        addresses: 1000,
        hello: true,
        gap: Duration::from_micros(50),
        size: 4 << 20,
        start: Instant::ZERO,
        end: Instant::ZERO + Duration::from_secs(5),
    };
    lab.segment.plug(Actor::Flood(Flood::new(flood, 1)), link());
    let time = lab.boot();
    assert!(time < Duration::from_secs(15), "{time:?}");
    let server = lab.segment.station(lab.server).server().expect("a server stands there");
    assert_eq!(server.sessions(), 1001);
}

#[test]
fn a_switch_that_lets_flipped_bits_through_makes_no_sled_boot_a_wrong_image() {
    let image = image(1);
    let sleds = (0..4).map(|number| sled(number, image.checksum())).collect();
    let mut lab = Lab::new(&image, sleds);
    let faults = Faults { flip: 0.001, unnoticed: 0.1, ..Faults::NONE };
    for &sled in &lab.sleds.clone() {
        lab.segment.link_mut(sled).down.faults = faults;
        lab.segment.link_mut(sled).up.faults = faults;
    }
    lab.boot();
    let events = lab.sleds.iter().flat_map(|&sled| {
        let sled = lab.segment.station_mut(sled).sled_mut().expect("a sled stands there");
        std::iter::from_fn(|| sled.poll_event()).collect::<Vec<_>>()
    });
    let wrong = boot_netboot::sled::Event::Panicked(Panic::Checksum);
    assert!(events.filter(|event| *event == wrong).count() > 0, "no bit was flipped");
}
