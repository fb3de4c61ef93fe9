//! Retransmits are bounded by losses: by what the simulation dropped, not by what the server
//! believes.

use std::time::Duration;

use boot_image::Contents;
use boot_netboot::sim::{Faults, Outcome, PortConfig, Scenario};
use boot_netboot::sled::AnswerTimes;

const GIGABIT: u64 = 1_000_000_000;
/// Frames of a batch.
const BATCH: u64 = 128;

fn image(mebibytes: usize) -> Contents {
    Contents::build(mebibytes << 20, 128 << 20, "", "rpool/ROOT/ramdisk", |bytes| {
        fastrand::Rng::with_seed(1).fill(bytes);
    })
    .expect("there is memory for an image")
}

/// Frames that the network lost, to the sleds and from them. What overflows a sled's receive ring is
/// no loss: it would be the server's own doing.
fn lost(outcome: &Outcome) -> u64 {
    let drops = |t: boot_netboot::sim::Traffic| t.trunk_drops + t.port_drops + t.lost + t.bad_fcs;
    drops(outcome.server) + drops(outcome.ports)
}

/// A batch for each boot or a thousandth of its frames, and two batches for each lost frame; twice
/// that, because once losses are likely a late answer may pass for one, and earn as much.
fn assert_bound(what: &str, scenario: &Scenario) {
    let outcome = scenario.run();
    assert_eq!(outcome.booted, scenario.sleds, "{what}");
    let frames = scenario.image.size() as u64 / 1024;
    let free = u64::from(scenario.sleds) * BATCH.max(frames / 1000);
    let bound = 2 * (free + 2 * BATCH * lost(&outcome));
    let sent = outcome.early;
    assert!(sent <= bound, "{what}: {sent} retransmits, {bound} at most: {scenario:?}");
}

#[test]
fn no_more_is_sent_again_than_losses_explain() {
    let image = image(8);
    for (number, answers) in [AnswerTimes::Quiet, AnswerTimes::Busy].into_iter().enumerate() {
        for loss in [0.0, 0.0001, 0.001, 0.01, 0.05] {
            for (sleds, console) in [(1, 0), (1, 150), (1, 1000), (8, 150)] {
                for seed in 1..=6 {
                    let seed = seed + 6 * number as u64;
                    let rack = Scenario::new(sleds, image.clone(), GIGABIT);
                    let console = Duration::from_micros(console);
                    let faults = Faults::loss(loss);
                    let (faults_to_server, pause) = (faults, None);
                    let scenario = Scenario {
                        seed,
                        faults,
                        faults_to_server,
                        answers,
                        console,
                        pause,
                        ..rack
                    };
                    assert_bound(&format!("{loss} lost, {answers}, {console:?}"), &scenario);
                }
            }
        }
    }
}

#[test]
fn no_more_is_sent_again_than_small_queues_drop() {
    let image = image(8);
    for queue in [32, 64, 256] {
        for seed in 1..=6 {
            let port = PortConfig::new(GIGABIT, queue);
            let server_port = PortConfig::new(10 * GIGABIT, queue);
            let rack = Scenario { seed, server_port, ..Scenario::new(8, image.clone(), GIGABIT) };
            let trunk = Scenario { trunk: port, sled_port: port, ..rack.clone() };
            assert_bound(&format!("trunk, queue of {queue}"), &trunk);
            let ports = Scenario { trunk: server_port, sled_port: port, ..rack };
            assert_bound(&format!("ports, queue of {queue}"), &ports);
        }
    }
}

#[test]
fn sleds_that_stand_still_are_sent_two_batches_again_at_most() {
    let image = image(8);
    for seed in 1..=20 {
        let pause = Some((Duration::from_millis(300), Duration::from_millis(200)));
        let rack = Scenario::new(4, image.clone(), GIGABIT);
        assert_bound("pauses", &Scenario { seed, pause, ..rack });
    }
}

/// Ten such boots took up to 6.6 s, when one lost frame was enough to have each batch of a sled sent
/// twice that was still dropping the one before.
#[test]
fn a_sled_with_a_slow_console_is_not_outrun_for_long() {
    let image = image(8);
    for seed in 1..=10 {
        let rack = Scenario::new(1, image.clone(), GIGABIT);
        let console = Duration::from_millis(1);
        let faults = Faults::loss(0.0001);
        let outcome = Scenario { seed, console, faults, pause: None, ..rack }.run();
        assert_eq!(outcome.booted, 1, "seed {seed}");
        assert!(outcome.early <= 1024, "seed {seed}: {} retransmits", outcome.early);
        assert!(outcome.time < Duration::from_secs(2), "seed {seed}: {:?}", outcome.time);
    }
}

/// These boots took 8 and 11 s when a sled whose ring overflowed passed for a fast one on a link that
/// loses almost every batch, and 5 s when late answers were likelier of fast sleds than of slow ones.
#[test]
fn a_sled_that_is_outrun_does_not_pass_for_a_fast_one() {
    let image = image(16);
    let busy = AnswerTimes::Busy;
    for (console, seed, answers) in
        [(200, 187, busy), (300, 181, busy), (100, 108, AnswerTimes::TwiceBusy)]
    {
        let rack = Scenario::new(1, image.clone(), GIGABIT);
        let console = Duration::from_micros(console);
        let outcome = Scenario { seed, console, answers, faults: Faults::loss(0.01), ..rack }.run();
        assert_eq!(outcome.booted, 1, "{console:?}");
        assert!(outcome.time < Duration::from_secs(4), "{console:?}: {:?}", outcome.time);
    }
}
