//! What the server adds to a frame: READs in, frame descriptors out, no link; beside a model of
//! the replaced tool, which serves one sled and does nothing but answer.

use std::hint::black_box;
use std::time::Duration;

use boot_benches::served::ServedSleds;
use boot_format::wire::{BLOCK, FrameType, Head, SLOTS, emit_read};
use boot_image::Contents;
use boot_netboot::batch::Batch;
use boot_netboot::sim::Naive;
use boot_netboot::station::Station;
use boot_netboot::time::Instant;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

/// Frames that leave the server in one iteration.
const FRAMES: u64 = 64 * 1024;

fn frames(c: &mut Criterion) {
    let mut group = c.benchmark_group("server");
    group.throughput(Throughput::Elements(FRAMES));
    group.bench_function("peer/1", |b| {
        let (mut server, read) = replaced();
        let mut batch = Batch::with_capacity(SLOTS);
        b.iter(|| {
            for _ in 0..FRAMES / SLOTS as u64 {
                server.handle_frame(Instant::ZERO, black_box(&read));
                server.poll_transmit(Instant::ZERO, &mut batch);
                assert_eq!(black_box(&batch).len(), SLOTS);
                batch.clear();
            }
        });
    });
    for sleds in [1, 8, 64, 512] {
        let mut rack = ServedSleds::new(sleds);
        // Until the server has found how fast the link is.
        rack.serve(2 * FRAMES);
        group.bench_function(BenchmarkId::new("frame", sleds), |b| {
            b.iter(|| black_box(rack.serve(FRAMES)));
        });
    }
    group.finish();
}

/// The replaced tool's model once it has a sled, and that sled's READ.
fn replaced() -> (Naive, Vec<u8>) {
    let size = SLOTS * BLOCK;
    let image = Contents::build(size, 1 << 20, "", "rpool", |bytes| bytes.fill(1));
    let mut server = Naive::new(ServedSleds::SERVER, image.expect("there is memory"));
    let sled = ServedSleds::address(1, 0);
    server.handle_frame(Instant::ZERO, &boot_benches::served::hello(sled));
    let mut batch = Batch::with_capacity(SLOTS);
    server.poll_transmit(Instant::ZERO, &mut batch);
    let body = emit_read(SLOTS as u64, &std::array::from_fn(|slot| (slot * BLOCK) as u64));
    let head = Head::new(ServedSleds::SERVER, sled, FrameType::Read, body.len());
    (server, [head.as_bytes(), &body].concat())
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(30)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = frames
}
criterion_main!(benches);
