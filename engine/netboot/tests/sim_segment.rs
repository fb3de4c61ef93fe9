//! The simulated segment: what its switch and links do to frames.

use std::time::Duration;

use boot_format::wire::{FrameType, Head, MacAddr};
use boot_netboot::batch::Batch;
use boot_netboot::sim::{Faults, Line, Link, PlugId, PortConfig, Segment};
use boot_netboot::station::Station;
use boot_netboot::time::Instant;

/// Sends frames as fast as it may, and records what it receives.
#[derive(Debug)]
struct Host {
    address: MacAddr,
    /// Where to, how many image bytes, and how often.
    send: Option<(MacAddr, usize)>,
    left: usize,
    got: Vec<(Instant, Vec<u8>)>,
}

impl Station for Host {
    fn handle_frame(&mut self, now: Instant, frame: &[u8]) {
        self.got.push((now, frame.to_vec()));
    }

    fn poll_transmit(&mut self, _: Instant, batch: &mut Batch) {
        while let Some((to, bytes)) = self.send
            && self.left > 0
            && batch.room() > 0
        {
            self.left -= 1;
            let number = (self.left as u64).to_be_bytes();
            let body = [&number[..], &vec![0; bytes]].concat();
            batch.push_body(Head::new(to, self.address, FrameType::Data, body.len()), &body);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (self.left > 0).then_some(Instant::ZERO)
    }
}

const GIGABIT: u64 = 1_000_000_000;
/// A frame with 1024 image bytes takes 1082 bytes of the wire.
const FRAME: Duration = Duration::from_nanos(8656);

fn address(number: u16) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 0, 0]).nth_after(number)
}

fn idle(number: u16) -> Host {
    Host { address: address(number), send: None, left: 0, got: Vec::new() }
}

fn sender(number: u16, to: MacAddr, bytes: usize, count: usize) -> Host {
    Host { send: Some((to, bytes)), left: count, ..idle(number) }
}

fn link(rate: u64, queue: usize) -> Link {
    let line = Line::new(PortConfig::new(rate, queue));
    Link { up: line, trunk: None, down: line }
}

fn run(hosts: Vec<(Host, Link)>) -> (Segment<Host>, Vec<PlugId>) {
    let mut segment = Segment::new(1);
    let plugs = hosts.into_iter().map(|(host, link)| segment.plug(host, link)).collect();
    segment.run_until(Instant::ZERO + Duration::from_secs(1));
    (segment, plugs)
}

#[test]
fn frames_take_their_time_on_the_wire_and_none_is_dropped_by_the_own_port() {
    let (segment, plugs) = run(vec![
        (sender(0, address(1), 1024, 1000), link(GIGABIT, 4)),
        (idle(1), link(GIGABIT, 64)),
    ]);
    let got = &segment.station(plugs[1]).got;
    assert_eq!(got.len(), 1000);
    // Once on the way to the switch, and once on the way from it.
    assert_eq!(got[999].0, Instant::ZERO + 1001 * FRAME);
    assert_eq!(segment.traffic(plugs[0]).sent, 1000);
    assert_eq!(segment.in_flight(), 0);
}

#[test]
fn short_frames_arrive_padded() {
    let (segment, plugs) =
        run(vec![(sender(0, address(1), 0, 1), link(GIGABIT, 64)), (idle(1), link(GIGABIT, 64))]);
    assert_eq!(segment.station(plugs[1]).got[0].1.len(), 60);
}

#[test]
fn a_slower_port_drops_what_its_queue_can_not_hold() {
    let trunk = Some(Line::new(PortConfig::new(GIGABIT / 10, 8)));
    for (sending, receiving, trunk_drops, port_drops) in [
        (Link { trunk, ..link(GIGABIT, 64) }, link(GIGABIT, 64), true, false),
        (link(GIGABIT, 64), link(GIGABIT / 10, 8), false, true),
    ] {
        let (segment, plugs) =
            run(vec![(sender(0, address(1), 1024, 100), sending), (idle(1), receiving)]);
        let (up, down) = (segment.traffic(plugs[0]), segment.traffic(plugs[1]));
        assert_eq!((up.trunk_drops > 0, down.port_drops > 0), (trunk_drops, port_drops));
        let got = segment.station(plugs[1]).got.len() as u64;
        assert_eq!(got + up.trunk_drops + down.port_drops, 100);
        assert!((10..30).contains(&got), "{got}");
    }
}

#[test]
fn a_switch_learns_where_an_address_is() {
    let hosts = |third| {
        vec![
            (sender(0, address(1), 0, 10), link(GIGABIT, 64)),
            (sender(1, MacAddr::BROADCAST, 0, 1), link(GIGABIT, 64)),
            (third, link(GIGABIT, 64)),
        ]
    };
    let (segment, plugs) = run(hosts(idle(2)));
    let got = |plug: PlugId| segment.station(plug).got.len();
    // The broadcast; what came for an address that had not been seen yet; and no more.
    assert_eq!((got(plugs[0]), got(plugs[1])), (1, 10));
    assert!((1..4).contains(&got(plugs[2])), "{}", got(plugs[2]));
    // Another station with the same address sends last, and receives the frames from then on.
    let mut twin = hosts(idle(1));
    twin[0].0.left = 1000;
    let mut segment = Segment::new(1);
    let plugs: Vec<_> = twin.into_iter().map(|(host, link)| segment.plug(host, link)).collect();
    segment.run_until(Instant::ZERO + 20 * FRAME);
    let before = segment.station(plugs[2]).got.len();
    *segment.station_mut(plugs[2]) = sender(1, address(0), 0, 1);
    segment.attend(plugs[2]);
    segment.run_until(Instant::ZERO + Duration::from_secs(1));
    assert!(before < 10, "{before}");
    assert!(segment.station(plugs[2]).got.len() > 500);
}

#[test]
fn faults_happen_as_often_as_they_should() {
    let hit = |faults| {
        let down = Line { faults, ..Line::new(PortConfig::FREE) };
        let (segment, plugs) = run(vec![
            (sender(0, address(1), 0, 10_000), link(GIGABIT, 64)),
            (idle(1), Link { down, ..link(GIGABIT, 64) }),
        ]);
        let got = segment.station(plugs[1]).got.clone();
        (segment.traffic(plugs[1]), got)
    };
    let in_order =
        |got: &[(Instant, Vec<u8>)]| got.is_sorted_by(|(_, a), (_, b)| a[26..] > b[26..]);
    let (traffic, got) = hit(Faults::loss(0.1));
    assert!((900..1100).contains(&traffic.lost), "{traffic:?}");
    assert_eq!(got.len() as u64 + traffic.lost, 10_000);
    assert!(in_order(&got));
    let (_, got) = hit(Faults { duplicate: 0.1, ..Faults::NONE });
    assert!((10_900..11_100).contains(&got.len()), "{}", got.len());
    let (traffic, got) = hit(Faults { flip: 0.1, unnoticed: 0.5, ..Faults::NONE });
    assert!((400..600).contains(&traffic.bad_fcs), "{traffic:?}");
    assert!((400..600).contains(&traffic.flipped), "{traffic:?}");
    assert_eq!(got.len() as u64 + traffic.bad_fcs, 10_000);
    let (_, got) = hit(Faults { reorder: 0.1, jitter: 10 * FRAME, ..Faults::NONE });
    assert_eq!(got.len(), 10_000);
    assert!(!in_order(&got));
}
