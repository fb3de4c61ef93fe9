//! What the server adds to a frame: READs in, frame descriptors out, no link.

use std::hint::black_box;

use boot_benches::rack::Rack;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

const FRAMES: u64 = 64 * 1024;

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("server");
    for sleds in [1, 8, 64, 512] {
        let mut rack = Rack::new(sleds);
        // Until the server has found how fast the link is.
        rack.serve(2 * FRAMES);
        group.throughput(Throughput::Elements(FRAMES));
        group.bench_function(BenchmarkId::new("frame", sleds), |b| {
            b.iter(|| black_box(rack.serve(FRAMES)));
        });
    }
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
