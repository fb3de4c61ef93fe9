//! Racks that boot in step, in virtual time: the gain, and what must not suffer.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use boot_format::wire::{FrameType, Head, MacAddr, emit_read};
use boot_image::Contents;
use boot_netboot::batch::Batch;
use boot_netboot::server::{Config, GroupEvent, Leaving, OneByOne, Serve, Server, Together};
use boot_netboot::sim::{Faults, Outcome, PortConfig, Scenario};
use boot_netboot::sled::AnswerTimes;
use boot_netboot::station::Station;
use boot_netboot::time::Instant;

const GIGABIT: u64 = 1_000_000_000;
/// Batches of the image that most racks boot.
const BATCHES: u32 = 32 * 8;

fn image(mebibytes: usize) -> Contents {
    let fill = |bytes: &mut [u8]| {
        for (block, number) in bytes.chunks_exact_mut(1024).zip(1_u64..) {
            block[..8].copy_from_slice(&number.to_le_bytes());
        }
    };
    Contents::build(mebibytes << 20, 256 << 20, "", "rpool/ROOT/ramdisk", fill)
        .expect("there is memory for an image")
}

/// Sleds that begin as soon as all have said HELLO.
fn rack(sleds: u16) -> Scenario {
    static IMAGE: LazyLock<Contents> = LazyLock::new(|| image(32));
    let together = Some(Together { expect: Some(sleds.into()), ..Together::default() });
    let limit = Duration::from_mins(10);
    Scenario { together, limit, ..Scenario::new(sleds, IMAGE.clone(), GIGABIT) }
}

fn one_by_one(scenario: &Scenario) -> Outcome {
    Scenario { together: None, ..scenario.clone() }.run()
}

fn unwanted(outcome: &Outcome) -> u64 {
    outcome.sleds.iter().map(|report| report.unwanted).sum()
}

fn happened(outcome: &Outcome, what: impl Fn(&GroupEvent) -> bool) -> usize {
    outcome.groups.iter().filter(|(_, event)| what(event)).count()
}

fn left(event: &GroupEvent) -> bool {
    matches!(event, GroupEvent::Left { why: Leaving::Silent(_) | Leaving::Slow(_), .. })
}

#[test]
fn where_nothing_is_lost_each_frame_goes_out_once_at_the_barriers_pace() {
    // The READs of all sleds take 8.7 us each on the server's port.
    for (sleds, answers, slowest) in [
        (2, AnswerTimes::Quiet, 300),
        (8, AnswerTimes::Quiet, 500),
        (32, AnswerTimes::Quiet, 1000),
        (128, AnswerTimes::Quiet, 2600),
        (32, AnswerTimes::Busy, 5400),
    ] {
        let outcome = Scenario { answers, ..rack(sleds) }.run();
        assert_eq!(outcome.booted, sleds);
        assert_eq!((unwanted(&outcome), outcome.timeouts(), outcome.early), (0, 0, 0), "{sleds}");
        let frames = outcome.server.sent - u64::from(sleds) * 6;
        assert!(frames <= u64::from(BATCHES) * 128, "{frames} for {sleds}");
        let floor = Duration::from_micros(1108 + slowest) * BATCHES;
        assert!(outcome.time < floor.mul_f64(1.1), "{:?} for {sleds}: {floor:?}", outcome.time);
    }
}

#[test]
fn with_losses_it_is_faster_in_step_where_it_is_served_in_step() {
    for (sleds, loss, most) in
        [(8, 1e-5, 0.3), (32, 1e-5, 0.15), (32, 1e-4, 0.3), (32, 1e-3, 0.6), (64, 1e-3, 0.45)]
    {
        let scenario = Scenario { faults: Faults::loss(loss), ..rack(sleds) };
        let (in_step, apart) = (scenario.run(), one_by_one(&scenario));
        assert_eq!((in_step.booted, in_step.timeouts()), (sleds, 0), "{sleds}, {loss}");
        let ratio = in_step.time.as_secs_f64() / apart.time.as_secs_f64();
        assert!(ratio < most, "{sleds}, {loss}: {ratio}");
    }
}

#[test]
fn waiting_for_others_says_nothing_of_what_a_retransmit_costs() {
    // Sleds that drop frames at no cost are noticed, though each waits for the slowest.
    let faults = Faults::loss(1e-3);
    let scenario = Scenario { faults, console: Duration::ZERO, ..rack(32) };
    let (in_step, apart) = (scenario.run(), one_by_one(&scenario));
    let ratio = in_step.time.as_secs_f64() / apart.time.as_secs_f64();
    assert!(ratio < 0.35, "{ratio}");
}

#[test]
fn what_the_trunk_loses_is_repaired_for_each_member() {
    let scenario = Scenario { trunk_faults: Faults::loss(1e-3), ..rack(32) };
    let (in_step, apart) = (scenario.run(), one_by_one(&scenario));
    assert_eq!((in_step.booted, in_step.timeouts()), (32, 0));
    assert!(in_step.time < apart.time.mul_f64(0.6), "{:?}, {:?}", in_step.time, apart.time);
}

#[test]
fn where_one_by_one_is_faster_sleds_are_served_so_after_a_few_batches() {
    let port = PortConfig::new(10 * GIGABIT, 256);
    let scenario = Scenario {
        image: image(192),
        server_port: port,
        trunk: port,
        sled_port: port,
        faults: Faults::loss(1e-3),
        ..rack(32)
    };
    let (in_step, apart) = (scenario.run(), one_by_one(&scenario));
    let chose = |event: &GroupEvent| {
        matches!(event, GroupEvent::OneByOne { why: OneByOne::Faster, sleds: 32, .. })
    };
    assert_eq!((in_step.booted, happened(&in_step, chose)), (32, 1), "{:?}", in_step.groups);
    assert!(in_step.time < apart.time.mul_f64(1.1), "{:?}, {:?}", in_step.time, apart.time);
}

#[test]
fn a_dead_member_costs_the_others_250_ms_once() {
    for sleds in [2, 8, 32] {
        let none = rack(sleds + 1).run();
        let scenario = Scenario { dead: 1, ..rack(sleds + 1) };
        let outcome = scenario.run();
        assert_eq!(outcome.booted, sleds);
        assert_eq!(happened(&outcome, left), 1, "{:?}", outcome.groups);
        let most = none.time + Duration::from_millis(250);
        assert!(outcome.time < most, "{sleds}: {:?} of {most:?}", outcome.time);
    }
}

#[test]
fn a_slow_member_leaves_and_boots_when_the_others_are_done() {
    let quick = rack(8).run();
    let outcome = Scenario { slow: 1, ..rack(9) }.run();
    assert_eq!(outcome.booted, 9);
    assert_eq!(happened(&outcome, left), 1, "{:?}", outcome.groups);
    // The others wait for it as long as it takes to be sure.
    assert!(outcome.time < 3 * quick.time, "{:?}, {:?}", outcome.time, outcome.groups);
}

#[test]
fn who_comes_late_waits_for_its_offer_and_drops_nothing() {
    let stagger = Duration::from_millis(60);
    let scenario = Scenario { stagger, ..rack(8) };
    let together = Some(Together { expect: Some(7), ..Together::default() });
    let outcome = Scenario { together, ..scenario }.run();
    assert_eq!((outcome.booted, unwanted(&outcome)), (8, 0), "{:?}", outcome.groups);
    let done = |event: &GroupEvent| matches!(event, GroupEvent::Done { members: 7, .. });
    assert_eq!(happened(&outcome, done), 1);
}

#[test]
fn sleds_are_gathered_for_a_time_when_nobody_says_how_many_there_are() {
    let gather = Duration::from_secs(2);
    let together = Some(Together { gather, expect: None });
    let stagger = Duration::from_millis(250);
    let outcome = Scenario { together, stagger, ..rack(8) }.run();
    assert_eq!((outcome.booted, unwanted(&outcome)), (8, 0));
    let done = |event: &GroupEvent| matches!(event, GroupEvent::Done { members: 8, .. });
    assert_eq!(happened(&outcome, done), 1, "{:?}", outcome.groups);
}

#[test]
fn storm_control_is_noticed_and_named_and_costs_little() {
    let scenario = Scenario { storm_control: Some(10_000), image: image(64), ..rack(8) };
    let (in_step, apart) = (scenario.run(), one_by_one(&scenario));
    let noticed =
        |event: &GroupEvent| matches!(event, GroupEvent::OneByOne { why: OneByOne::AllLose, .. });
    assert_eq!(in_step.booted, 8);
    // Once more after some seconds, since the path may only have been too slow at first.
    assert!((1..=2).contains(&happened(&in_step, noticed)), "{:?}", in_step.groups);
    assert!(in_step.time < apart.time.mul_f64(1.25), "{:?}, {:?}", in_step.time, apart.time);
}

/// A server alone, to which frames are handed.
struct Bench {
    server: Server,
    now: Instant,
}

const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
const OTHER_SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 2]);

fn sled(number: u16) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 1, 0]).nth_after(number)
}

impl Bench {
    fn new(expect: usize) -> Self {
        let together = Some(Together { expect: Some(expect), ..Together::default() });
        let config = Config { together, ..Config::new(SERVER, Serve::All) };
        let mut server = Server::new(config);
        server.set_images(vec![image(1)]);
        Self { server, now: Instant::ZERO + Duration::from_secs(1) }
    }

    fn say(&mut self, head: &Head, body: &[u8]) {
        self.server.handle_frame(self.now, &[head.as_bytes(), body].concat());
    }

    fn hello(&mut self, number: u16) {
        self.say(&Head::new(MacAddr::BROADCAST, sled(number), FrameType::Hello, 0), &[]);
    }

    fn read_first_batch(&mut self, number: u16) {
        let body = emit_read(128, &std::array::from_fn(|slot| slot as u64 * 1024));
        self.say(&Head::new(SERVER, sled(number), FrameType::Read, body.len()), &body);
    }

    /// The destinations of frames sent within the next millisecond, and their number.
    fn sent(&mut self) -> BTreeMap<MacAddr, usize> {
        let mut sent = BTreeMap::new();
        for _ in 0..100 {
            self.now += Duration::from_micros(50);
            let mut batch = Batch::with_capacity(128);
            self.server.poll_transmit(self.now, &mut batch);
            for frame in batch.iter() {
                *sent.entry(frame.destination()).or_default() += 1;
            }
        }
        sent
    }
}

#[test]
fn sleds_are_offered_an_image_at_once_where_another_server_serves() {
    let mut bench = Bench::new(2);
    bench.hello(0);
    assert!(bench.sent().is_empty());
    bench.say(&Head::data(MacAddr::BROADCAST, OTHER_SERVER, 0, 0), &[]);
    assert!(bench.sent().contains_key(&sled(0)));
    bench.hello(1);
    assert!(bench.sent().contains_key(&sled(1)));
    let events: Vec<_> = std::iter::from_fn(|| bench.server.poll_group_event()).collect();
    assert!(events.contains(&GroupEvent::OtherServer { server: OTHER_SERVER }), "{events:?}");
}

#[test]
fn an_invitation_is_open_until_the_offers_have_gone_out() {
    let mut bench = Bench::new(2);
    for number in [0, 1, 0, 1] {
        bench.hello(number);
        bench.sent();
    }
    // Both were power-cycled: their next OFFERs come a second after the first ones.
    let again = bench.now + Duration::from_secs(1);
    while bench.now < again {
        bench.sent();
    }
    bench.read_first_batch(0);
    assert_eq!(bench.sent(), BTreeMap::new());
    bench.read_first_batch(1);
    assert_eq!(bench.sent(), BTreeMap::from([(MacAddr::BROADCAST, 128)]));
}

#[test]
fn all_members_start_over_whose_image_can_not_be_read_any_more() {
    let mut bench = Bench::new(2);
    bench.hello(0);
    bench.hello(1);
    bench.sent();
    bench.read_first_batch(0);
    assert_eq!(bench.sent(), BTreeMap::new());
    bench.read_first_batch(1);
    assert_eq!(bench.sent(), BTreeMap::from([(MacAddr::BROADCAST, 128)]));
    bench.server.handle_unreadable(MacAddr::BROADCAST);
    assert_eq!(bench.sent(), BTreeMap::from([(sled(0), 1), (sled(1), 1)]));
    assert_eq!(bench.server.counters().broadcast, 128);
}
