//! A rack of 32 sleds in virtual time, in all the situations by which the server is judged, and
//! beside them the tool that this project replaces. The figures are exact: the same on every
//! machine, and the same each time. How long simulating takes is criterion's to measure.
//!
//! `cargo bench --bench rack -- MIB GBIT` simulates another image than one of 64 MiB, or another
//! rate than 1 Gbit/s.

use std::time::Duration;

use boot_benches::called::{Called, is_number};
use boot_image::Contents;
use boot_netboot::sim::{Faults, Outcome, Scenario, judged};
use criterion::{BenchmarkId, Criterion, Throughput};

const SLEDS: u16 = 32;

fn main() {
    let called = Called::from_env("rack", is_number);
    if called.criterion {
        simulated();
    }
    if called.table {
        let mut numbers = called.numbers();
        let mebibytes = numbers.next().unwrap_or(64).max(1) as usize;
        table(mebibytes, numbers.next().unwrap_or(1).max(1));
    }
}

/// The simulator itself, with this project's server and with the replaced tool's model.
fn simulated() {
    let image = image(4);
    let mut criterion = Criterion::default()
        .configure_from_args()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    let mut group = criterion.benchmark_group("rack in virtual time");
    let alone = Scenario::new(1, image.clone(), 1_000_000_000);
    group.throughput(Throughput::Bytes(image.size() as u64));
    group.bench_function("peer/1", |b| b.iter(|| alone.run_naive().booted));
    for (name, sleds, faults) in [
        ("clean", 1, Faults::NONE),
        ("clean", 32, Faults::NONE),
        ("1% lost", 32, Faults::loss(0.01)),
    ] {
        let rack = Scenario { faults, ..Scenario::new(sleds, image.clone(), 1_000_000_000) };
        group.throughput(Throughput::Bytes((image.size() * usize::from(sleds)) as u64));
        group.bench_function(BenchmarkId::new(name, sleds), |b| b.iter(|| rack.run().booted));
    }
    group.finish();
    criterion.final_summary();
}

fn image(mebibytes: usize) -> Contents {
    Contents::build(mebibytes << 20, 4 << 30, "", "rpool/ROOT/ramdisk", |bytes| {
        for (block, number) in bytes.chunks_exact_mut(1024).zip(0_u64..) {
            block[..8].copy_from_slice(&number.to_le_bytes());
        }
    })
    .expect("there is memory for the image")
}

fn table(mebibytes: usize, gigabits: u64) {
    let image = image(mebibytes);
    println!("{SLEDS} sleds, {mebibytes} MiB, {gigabits} Gbit/s");
    println!(
        "{:<47} {:>6} {:>9} {:>7} {:>7} {:>9} {:>8}  {:>13}",
        "", "booted", "seconds", "wire", "Jain", "needless", "timeouts", "replaced tool"
    );
    for (name, mut scenario) in judged(SLEDS, &image, gigabits * 1_000_000_000) {
        let outcome = scenario.run();
        // It never boots more sleds than it does at once: no need to wait for an hour.
        scenario.limit = 2 * outcome.time;
        print_row(&name, &outcome, scenario.run_naive().booted);
    }
}

fn print_row(name: &str, outcome: &Outcome, replaced: u16) {
    println!(
        "{name:<47} {:>6} {:>9.3} {:>6.1}% {:>7.4} {:>8.2}% {:>8}  boots {replaced:>2} of {}",
        outcome.booted,
        outcome.time.as_secs_f64(),
        100.0 * outcome.efficiency(),
        outcome.fairness,
        100.0 * outcome.unwanted_share(),
        outcome.timeouts(),
        outcome.sleds.len(),
    );
}
