//! What retransmission costs where nothing is lost: boots in virtual time against the same server
//! with retransmission switched off, for what a console line costs, how late answers are, how many
//! sleds there are and how fast the link is. The figures are the same on every machine.
//!
//! `cargo bench --bench lossless -- SEEDS MIB` takes other than 10 seeds, or another image than
//! one of 4 MiB. Racks of n sleds run for an n-th of the seeds, so that each row costs the same.

use std::time::Duration;

use boot_benches::called::{Called, is_number};
use boot_image::Contents;
use boot_netboot::sim::Scenario;
use boot_netboot::sled::AnswerTimes;

/// Boots of one row, with retransmission and without.
#[derive(Default)]
struct Row {
    /// Each pair of times, in seconds.
    times: Vec<(f64, f64)>,
    retransmits: u64,
    frames: u64,
}

impl Row {
    fn add(&mut self, scenario: &Scenario) {
        let quiet = Scenario { retransmit: false, ..scenario.clone() }.run();
        let outcome = scenario.run();
        assert_eq!(outcome.booted, scenario.sleds, "seed {}", scenario.seed);
        self.times.push((outcome.time.as_secs_f64(), quiet.time.as_secs_f64()));
        self.retransmits += outcome.early;
        let frames = scenario.image.size() as u64 / 1024;
        self.frames += frames * u64::from(scenario.sleds);
    }

    /// How much longer retransmission makes the mean, the 99th percentile and the worst boot.
    fn costs(&self) -> [f64; 3] {
        let (mut with, mut without): (Vec<_>, Vec<_>) = self.times.iter().copied().unzip();
        let mean = with.iter().sum::<f64>() / without.iter().sum::<f64>();
        with.sort_by(f64::total_cmp);
        without.sort_by(f64::total_cmp);
        let index = with.len() * 99 / 100;
        let worst = self.times.iter().map(|(with, without)| with / without).fold(0.0, f64::max);
        [mean, with[index] / without[index], worst].map(|ratio| 100.0 * (ratio - 1.0))
    }
}

fn main() {
    let called = Called::from_env("lossless", is_number);
    if !called.table {
        return;
    }
    let mut numbers = called.numbers();
    let seeds = numbers.next().unwrap_or(10).max(1);
    let mebibytes = numbers.next().unwrap_or(4).max(1) as usize;
    let fill = |bytes: &mut [u8]| fastrand::Rng::with_seed(1).fill(bytes);
    let image = Contents::build(mebibytes << 20, 4 << 30, "", "rpool/ROOT/ramdisk", fill)
        .expect("there is memory for the image");
    println!("{mebibytes} MiB, nothing lost; each row: consoles of 0, 50, 150, 300 and 1000 us");
    println!("answers     sleds  Gbit/s  boots     mean      p99    worst  retransmits");
    for answers in [AnswerTimes::Quiet, AnswerTimes::Busy, AnswerTimes::TwiceBusy] {
        for sleds in [1, 8, 32] {
            for rate in [1, 10] {
                let mut row = Row::default();
                for console in [0, 50, 150, 300, 1000].map(Duration::from_micros) {
                    for seed in 1..=(seeds / u64::from(sleds)).max(1) {
                        let rack = Scenario::new(sleds, image.clone(), rate * 1_000_000_000);
                        row.add(&Scenario { seed, answers, console, ..rack });
                    }
                }
                let [mean, p99, worst] = row.costs();
                let share = 100.0 * row.retransmits as f64 / row.frames as f64;
                let (answers, boots) = (answers.to_string(), row.times.len());
                println!(
                    "{answers:<10} {sleds:>6} {rate:>7} {boots:>6} {mean:>7.2}% {p99:>7.2}% \
                     {worst:>7.2}% {share:>11.4}%"
                );
            }
        }
    }
}
