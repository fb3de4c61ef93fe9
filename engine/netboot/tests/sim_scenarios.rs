//! Whole racks in virtual time: how close they come to what the wire carries.

use std::sync::LazyLock;
use std::time::Duration;

use boot_image::Contents;
use boot_netboot::sim::{Faults, PortConfig, Scenario, judged};
use boot_netboot::sled::AnswerTimes;

const GIGABIT: u64 = 1_000_000_000;
const SLEDS: u16 = 32;

/// Contents of which no two blocks are alike.
fn image(mebibytes: usize) -> Contents {
    let mut random = fastrand::Rng::with_seed(1);
    Contents::build(mebibytes << 20, 128 << 20, "", "rpool/ROOT/ramdisk", |bytes| {
        for block in bytes.chunks_exact_mut(1024) {
            block.fill(random.u8(..));
            block[..8].copy_from_slice(&random.u64(..).to_le_bytes());
        }
    })
    .expect("there is memory for an image")
}

/// 32 sleds, and all of their network at one rate.
fn rack(rate: u64) -> Scenario {
    static IMAGE: LazyLock<Contents> = LazyLock::new(|| image(32));
    let limit = Duration::from_mins(10);
    Scenario { limit, ..Scenario::new(SLEDS, IMAGE.clone(), rate) }
}

#[test]
fn without_loss_the_wire_is_full_and_shared_fairly() {
    for rate in [GIGABIT, 10 * GIGABIT] {
        let outcome = rack(rate).run();
        assert_eq!(outcome.booted, SLEDS);
        assert!(outcome.efficiency() >= 0.95, "{rate}: {}", outcome.efficiency());
        assert!(outcome.fairness >= 0.99, "{rate}: {}", outcome.fairness);
        assert_eq!(outcome.timeouts(), 0, "{rate}");
    }
}

#[test]
fn queues_of_64_frames_behind_an_equally_fast_server_are_enough() {
    let port = PortConfig::new(GIGABIT, 64);
    let scenario = Scenario { server_port: port, trunk: port, sled_port: port, ..rack(GIGABIT) };
    let outcome = scenario.run();
    assert_eq!(outcome.booted, SLEDS);
    assert!(outcome.efficiency() >= 0.9, "{}", outcome.efficiency());
    assert_eq!(outcome.timeouts(), 0);
}

#[test]
fn bursts_of_a_fast_server_into_small_queues_cost_a_few_percent() {
    for (queue, speed) in [(64, 0.91), (256, 0.94), (1024, 0.93)] {
        let port = PortConfig::new(GIGABIT, queue);
        let scenario = Scenario {
            // Losses before the rate is known weigh less in a long boot.
            image: image(128),
            server_port: PortConfig::new(10 * GIGABIT, queue),
            trunk: port,
            sled_port: port,
            ..rack(GIGABIT)
        };
        let outcome = scenario.run();
        assert_eq!(outcome.booted, SLEDS, "{queue}");
        assert_eq!(outcome.timeouts(), 0, "{queue}");
        assert!(outcome.efficiency() >= speed, "{queue}: {}", outcome.efficiency());
        assert!(outcome.fairness >= 0.99, "{queue}: {}", outcome.fairness);
    }
}

#[test]
fn hardly_a_sled_waits_for_its_own_timer_twice_behind_a_port_of_a_fraction_of_the_speed() {
    let image = image(16);
    let (mut speeds, mut twice) = (Vec::new(), 0);
    let rates = [(GIGABIT / 5, 0), (GIGABIT / 10, 150)];
    let each = rates.iter().flat_map(|rate| (5..70).step_by(3).map(move |micros| (rate, micros)));
    for (&(rate, console), micros) in each {
        let scenario = Scenario {
            sleds: 8,
            image: image.clone(),
            server_port: PortConfig::new(10 * GIGABIT, 64),
            trunk: PortConfig::new(rate, 62),
            sled_port: PortConfig::new(10 * GIGABIT, 1024),
            delay: Duration::from_micros(micros),
            console: Duration::from_micros(console),
            ..rack(GIGABIT)
        };
        let outcome = scenario.run();
        assert_eq!(outcome.booted, 8, "{rate}, {micros}");
        twice += outcome.sleds.iter().filter(|report| report.timeouts > 1).count();
        speeds.push(outcome.efficiency());
    }
    // At the start, while the link's losses may still be those of one sled's port.
    assert!(twice * 16 <= 8 * speeds.len(), "{twice} sleds of {} boots", speeds.len());
    // Most frames are lost before the rate is known, and this boot is short.
    speeds.sort_by(f64::total_cmp);
    assert!(speeds[0] > 0.75 && speeds[speeds.len() / 2] > 0.82, "{speeds:?}");
}

#[test]
fn a_port_that_a_single_sled_overruns_is_found_without_slowing_down_the_rest() {
    let fast = PortConfig::new(10 * GIGABIT, 64);
    let slow = PortConfig::new(GIGABIT, 64);
    let scenario = Scenario {
        sleds: 8,
        image: image(128),
        server_port: fast,
        trunk: fast,
        sled_port: slow,
        ..rack(GIGABIT)
    };
    let outcome = scenario.run();
    assert_eq!((outcome.booted, outcome.timeouts()), (8, 0));
    let alone = Scenario { sleds: 1, ..scenario }.wire_time();
    assert!(outcome.time < 3 * alone, "{:?}, {alone:?} for each alone", outcome.time);
}

#[test]
fn loss_costs_a_share_of_the_speed_and_no_seconds() {
    let rows = [(0.0001, 0.95, 0.01), (0.001, 0.8, 0.1), (0.003, 0.7, 0.3), (0.01, 0.5, 0.55)];
    for (loss, speed, unwanted) in rows {
        let outcome = Scenario { faults: Faults::loss(loss), ..rack(GIGABIT) }.run();
        assert_eq!(outcome.booted, SLEDS, "{loss}");
        assert!(outcome.efficiency() >= speed, "{loss}: {}", outcome.efficiency());
        assert!(outcome.unwanted_share() <= unwanted, "{loss}: {}", outcome.unwanted_share());
    }
}

#[test]
fn at_a_loss_of_5_percent_every_sled_boots() {
    for seed in 0..4 {
        let faults = Faults::loss(0.05);
        let scenario = Scenario { seed, faults, faults_to_server: faults, ..rack(GIGABIT) };
        assert_eq!(scenario.run().booted, SLEDS, "{seed}");
    }
}

#[test]
fn one_that_is_dead_slow_or_hostile_does_not_hold_up_the_others() {
    let rack = rack(GIGABIT);
    for (what, scenario, speed) in [
        ("dead", Scenario { dead: 1, ..rack.clone() }, 0.95),
        ("slow", Scenario { slow: 1, ..rack.clone() }, 0.9),
        ("flooding", Scenario { flooding: 1, ..rack.clone() }, 0.9),
        ("flooding as 1000", Scenario { flooding: 1, claimed: 1000, ..rack.clone() }, 0.85),
    ] {
        let outcome = scenario.run();
        assert_eq!(outcome.booted, SLEDS - scenario.dead, "{what}");
        assert!(outcome.efficiency() >= speed, "{what}: {}", outcome.efficiency());
        assert!(outcome.fairness >= 0.99, "{what}: {}", outcome.fairness);
    }
}

#[test]
fn sleds_that_come_up_at_once_are_treated_alike_from_the_start() {
    let image = image(4);
    let outcome = Scenario { sleds: 64, image, ..rack(GIGABIT) }.run();
    assert_eq!(outcome.booted, 64);
    assert!(outcome.fairness >= 0.99, "{}", outcome.fairness);
}

#[test]
fn sleds_that_come_up_one_after_another_each_have_the_wire_to_themselves() {
    let scenario = Scenario { stagger: Duration::from_secs(1), ..rack(GIGABIT) };
    let outcome = scenario.run();
    assert_eq!(outcome.booted, SLEDS);
    let alone = Scenario { sleds: 1, ..scenario }.wire_time();
    for report in &outcome.sleds {
        let time = report.time().expect("it has booted");
        // Between two batches the wire is idle for as long as a READ and an answer take.
        assert!(time < alone.mul_f64(1.25), "{time:?}, the wire takes {alone:?}");
    }
}

#[test]
fn the_server_that_is_replaced_boots_one_sled_and_none_if_a_frame_is_lost() {
    let limit = Duration::from_secs(20);
    let scenario = Scenario { sleds: 8, limit, ..rack(GIGABIT) };
    assert_eq!(scenario.run_naive().booted, 1);
    let scenario = Scenario { faults: Faults::loss(0.001), ..scenario };
    assert_eq!(scenario.run_naive().booted, 0);
    assert_eq!(scenario.run().booted, 8);
}

#[test]
fn a_scenario_goes_the_same_way_each_time() {
    let faults = Faults { reorder: 0.01, jitter: Duration::from_millis(1), ..Faults::loss(0.01) };
    let scenario = Scenario { sleds: 4, faults, faults_to_server: faults, ..rack(GIGABIT) };
    assert_eq!(scenario.run(), scenario.run());
    let other = Scenario { seed: 2, ..scenario.clone() };
    assert_ne!(scenario.run(), other.run());
}

#[test]
fn in_every_scenario_every_sled_boots_that_can() {
    let image = Contents::build(2 << 20, 8 << 20, "", "rpool/ROOT/ramdisk", |bytes| {
        fastrand::Rng::with_seed(3).fill(bytes);
    })
    .expect("there is memory for an image");
    for rate in [GIGABIT, 10 * GIGABIT] {
        for (what, scenario) in judged(SLEDS, &image, rate) {
            let outcome = scenario.run();
            let wanted = scenario.sleds - scenario.dead;
            assert_eq!(outcome.booted, wanted, "{rate}, {what}: {outcome:?}");
        }
    }
}

/// The mean time of boots of one sled at 1 Gbit/s.
fn alone(image: &Contents, console: Duration, loss: f64) -> Duration {
    const SEEDS: u32 = 12;
    let boot = |seed: u32| {
        let faults = Faults::loss(loss);
        let alone = Scenario::new(1, image.clone(), GIGABIT);
        let outcome = Scenario { seed: seed.into(), faults, console, ..alone }.run();
        assert_eq!(outcome.booted, 1, "{seed}");
        outcome.time
    };
    (1..=SEEDS).map(boot).sum::<Duration>() / SEEDS
}

#[test]
fn what_losses_cost_a_lone_sled_is_bounded() {
    let image = image(64);
    let lossless = alone(&image, Duration::ZERO, 0.0);
    for (console, times) in [(0, 1.6), (150, 2.6)] {
        let time = alone(&image, Duration::from_micros(console), 0.001);
        assert!(time < lossless.mul_f64(times), "{console}: {time:?} of {lossless:?}");
    }
}

#[test]
fn a_sled_that_loses_nothing_is_as_fast_as_without_retransmission() {
    let image = image(16);
    for (sleds, answers) in [
        (1, AnswerTimes::Quiet),
        (1, AnswerTimes::Busy),
        (1, AnswerTimes::TwiceBusy),
        (8, AnswerTimes::Busy),
        (32, AnswerTimes::TwiceBusy),
    ] {
        for (console, rate) in [(0, 1), (50, 10), (150, 1), (300, 10), (1000, 10)] {
            for seed in 1..=3 {
                let console = Duration::from_micros(console);
                let rack = Scenario::new(sleds, image.clone(), rate * GIGABIT);
                let scenario = Scenario { seed, answers, console, ..rack };
                let quiet = Scenario { retransmit: false, ..scenario.clone() }.run();
                let outcome = scenario.run();
                let what = format!("{sleds} sleds, {answers}, {console:?}, seed {seed}");
                assert_eq!((outcome.booted, outcome.early), (sleds, 0), "{what}");
                let most = quiet.time.mul_f64(1.01);
                assert!(outcome.time <= most, "{what}: {:?}, {most:?}", outcome.time);
            }
        }
    }
}

/// If the server takes a dropped frame for slightly cheaper than it is, every retransmit delays the
/// next answer, and each late answer draws retransmits.
#[test]
fn no_boot_is_caught_between_late_answers_and_retransmits() {
    let image = image(16);
    let lossy_batches = 128.0 * (1.0 - 0.99_f64.powi(128));
    for (answers, seed) in [(AnswerTimes::Quiet, 104), (AnswerTimes::Busy, 34)] {
        for seed in [seed, 52, 98] {
            let alone = Scenario::new(1, image.clone(), 10 * GIGABIT);
            let (faults, console) = (Faults::loss(0.01), Duration::from_micros(210));
            let outcome = Scenario { seed, answers, faults, console, ..alone }.run();
            assert_eq!(outcome.booted, 1, "{seed}");
            let each = outcome.early as f64 / lossy_batches;
            assert!(each < 128.0, "{answers}, seed {seed}: {each} for each lossy batch");
        }
    }
}

/// A receive ring that overflows loses frames that cost the sled nothing, so that it answers before it
/// could have dropped all that it was sent.
#[test]
fn no_boot_is_caught_between_a_full_ring_and_retransmits() {
    let image = image(16);
    let lossy_batches = 128.0 * (1.0 - 0.99_f64.powi(128));
    for (us, seed) in [(150, 819), (300, 153)] {
        let alone = Scenario::new(1, image.clone(), GIGABIT);
        let (faults, console) = (Faults::loss(0.01), Duration::from_micros(us));
        let outcome = Scenario { seed, faults, console, ..alone }.run();
        assert_eq!(outcome.booted, 1, "{us} us");
        let each = outcome.early as f64 / lossy_batches;
        assert!(each < 128.0, "{us} us: {each} for each lossy batch");
    }
}

#[test]
fn a_sled_that_stands_still_draws_no_more_than_a_batch_unless_a_frame_was_lost() {
    let image = image(16);
    for seed in 1..=20 {
        let pause = Some((Duration::from_millis(200), Duration::from_millis(100)));
        let rack = Scenario::new(1, image.clone(), GIGABIT);
        let outcome = Scenario { seed, pause, ..rack }.run();
        assert_eq!(outcome.booted, 1, "{seed}");
        // Two such pauses in a row look like losses for a while.
        assert!(outcome.early <= 3 * 128, "{seed}: {}", outcome.early);
    }
}
