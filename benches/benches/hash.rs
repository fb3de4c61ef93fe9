//! SHA-256, which everything that makes or checks images computes, beside what reading the same
//! memory takes.

use std::hint::black_box;
use std::time::Duration;

use boot_benches::images::text;
use boot_image::Contents;
use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use libdeflater::adler32;
use sha2::{Digest, Sha256};

/// Bytes that are hashed: more than caches hold.
const SIZE: usize = 16 << 20;

fn hash(c: &mut Criterion) {
    let bytes = text(SIZE);
    let mut group = c.benchmark_group("hash");
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Bytes(SIZE as u64));
    group.bench_function("floor: sum of all words", |b| {
        b.iter(|| {
            let words = black_box(&bytes).chunks_exact(8);
            let word = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("8 bytes"));
            words.fold(0_u64, |sum, bytes| sum.wrapping_add(word(bytes)))
        });
    });
    group.bench_function("Adler-32", |b| b.iter(|| adler32(black_box(&bytes))));
    group.bench_function("SHA-256", |b| b.iter(|| Sha256::digest(black_box(&bytes))));
    group.bench_function("contents in memory, with their SHA-256", |b| {
        b.iter(|| {
            let fill = |room: &mut [u8]| room.copy_from_slice(&bytes);
            Contents::build(SIZE, SIZE as u64, "", "rpool", fill).expect("there is memory")
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = hash
}
criterion_main!(benches);
