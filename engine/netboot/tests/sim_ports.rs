//! Racks behind a port that is far slower than the server: 10 Gbit/s into 33 to 500 Mbit/s.
//!
//! The limits are far below the means, because a few lost frames more or less at the start change the
//! whole boot, and far above what boots came to when a guess about the rate had the last word: 4% to
//! 45% of what the port carries.

use std::time::Duration;

use boot_image::Contents;
use boot_netboot::sim::{PortConfig, Scenario};

const MEGABIT: u64 = 1_000_000;

fn image(mebibytes: usize) -> Contents {
    Contents::build(mebibytes << 20, 128 << 20, "", "rpool/ROOT/ramdisk", |bytes| {
        fastrand::Rng::with_seed(1).fill(bytes);
    })
    .expect("there is memory for an image")
}

/// What boots with six kinds of queues and delays come to, of what the port carries.
fn efficiencies(sleds: u16, megabits: u64, console: u64) -> Vec<f64> {
    let image = image(16);
    let each = |(queue, micros): (usize, u64)| {
        let scenario = Scenario {
            server_port: PortConfig::new(10_000 * MEGABIT, 64),
            trunk: PortConfig::new(megabits * MEGABIT, queue),
            sled_port: PortConfig::new(10_000 * MEGABIT, 1024),
            delay: Duration::from_micros(micros),
            console: Duration::from_micros(console),
            limit: Duration::from_mins(10),
            ..Scenario::new(sleds, image.clone(), 1000 * MEGABIT)
        };
        let outcome = scenario.run();
        assert_eq!(outcome.booted, sleds, "{megabits} Mbit/s, {queue}, {micros}");
        outcome.efficiency()
    };
    [(62, 5), (62, 23), (62, 47), (256, 11), (24, 8), (24, 30)].into_iter().map(each).collect()
}

fn assert_speed(sleds: u16, megabits: u64, console: u64, least: f64, mean: f64) {
    let speeds = efficiencies(sleds, megabits, console);
    let found = speeds.iter().sum::<f64>() / speeds.len() as f64;
    let what = format!("{sleds} sleds, {megabits} Mbit/s, {console} us: {speeds:.2?}");
    assert!(found >= mean && speeds.iter().all(|&speed| speed >= least), "{what}");
}

/// Each batch of a sled alone overflows a queue of 24 frames.
#[test]
fn a_sled_alone_gets_a_good_part_of_a_slow_port() {
    assert_speed(1, 500, 0, 0.3, 0.6);
    assert_speed(1, 200, 0, 0.2, 0.5);
    assert_speed(1, 100, 300, 0.2, 0.5);
}

#[test]
fn a_few_sleds_get_more_of_it() {
    assert_speed(2, 100, 300, 0.4, 0.65);
    assert_speed(8, 100, 300, 0.6, 0.75);
    assert_speed(8, 33, 150, 0.5, 0.65);
}

#[test]
fn a_rack_gets_most_of_it() {
    assert_speed(32, 100, 300, 0.75, 0.85);
}

/// A batch of each of 32 sleds takes longer than their own timer, so most frames are asked for again.
#[test]
fn a_rack_gets_most_of_a_port_that_can_only_be_too_slow() {
    assert_speed(32, 33, 0, 0.7, 0.8);
}
