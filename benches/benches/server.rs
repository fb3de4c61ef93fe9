//! What the server adds to a frame: READs in, frame descriptors out, no link.

use std::hint::black_box;
use std::time::Duration;

use boot_benches::rack::Rack;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("server");
    for sleds in [1, 8, 64] {
        let mut rack = Rack::new(sleds);
        group.throughput(Throughput::Elements(rack.frames_per_round()));
        group.bench_function(BenchmarkId::new("frame", sleds), |b| {
            b.iter(|| black_box(rack.round(Duration::from_micros(200))));
        });
    }
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
