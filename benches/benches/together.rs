//! Sleds that boot in step, each batch sent once for all of them, beside the same sleds served one
//! by one: what the server spends on a frame that arrives, and whole boots in virtual time.

use std::hint::black_box;
use std::time::Duration;

use boot_benches::images::contents;
use boot_benches::served::ServedSleds;
use boot_netboot::server::Together;
use boot_netboot::sim::Scenario;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Frames that leave the server in one iteration.
const FRAMES: u64 = 8 * 1024;
const SLEDS: [u16; 3] = [8, 64, 512];

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("together");
    for sleds in SLEDS {
        let mut apart = ServedSleds::new(sleds);
        apart.serve(2 * FRAMES.max(u64::from(sleds) * 256));
        let arriving = FRAMES * u64::from(sleds);
        // As many frames arrive in both.
        group.throughput(Throughput::Elements(FRAMES));
        group.bench_function(BenchmarkId::new("one by one", sleds), |b| {
            b.iter(|| black_box(apart.serve(FRAMES)));
        });
        let mut together = ServedSleds::together(sleds);
        together.serve(2 * FRAMES);
        group.throughput(Throughput::Elements(arriving));
        group.bench_function(BenchmarkId::new("in step", sleds), |b| {
            b.iter(|| black_box(together.serve(FRAMES)));
        });
    }
    group.finish();
}

/// How long it takes to simulate such a rack, whose results are exact.
fn simulated(c: &mut Criterion) {
    const SLEDS: u16 = 8;
    let image = contents(4 << 20);
    let apart = Scenario::new(SLEDS, image.clone(), 1_000_000_000);
    let together = Some(Together { expect: Some(SLEDS.into()), ..Together::default() });
    let in_step = Scenario { together, ..apart.clone() };
    let mut group = c.benchmark_group("together in virtual time");
    group.throughput(Throughput::Bytes((image.size() * usize::from(SLEDS)) as u64));
    for (name, scenario) in [("one by one", apart), ("in step", in_step)] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let outcome = scenario.run();
                assert_eq!(outcome.booted, SLEDS);
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = frames, simulated
}
criterion_main!(benches);
