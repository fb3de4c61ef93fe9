//! Frames and headers, in and out, beside the least that touches the same bytes.

use std::hint::black_box;
use std::time::Duration;

use boot_benches::images::header_of_an_image;
use boot_format::Header;
use boot_format::wire::{BLOCK, Frame, FrameType, Head, MacAddr, Message, SLOTS, emit_read};
use boot_image::Contents;
use boot_netboot::batch::Batch;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 0]);
const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);

fn offsets() -> [u64; SLOTS] {
    std::array::from_fn(|slot| (slot * BLOCK) as u64)
}

fn read(c: &mut Criterion) {
    let body = emit_read(SLOTS as u64, &offsets());
    let head = Head::new(SERVER, SLED, FrameType::Read, body.len());
    let bytes = [head.as_bytes(), &body].concat();
    let mut group = c.benchmark_group("READ");
    group.throughput(Throughput::Bytes(bytes.len() as u64));
    group.bench_function("decode/floor: sum of its words", |b| {
        b.iter(|| {
            let words = black_box(&body).chunks_exact(8);
            words.map(|word| u64::from_le_bytes(word.try_into().expect("8 bytes"))).sum::<u64>()
        });
    });
    group.bench_function("decode/ours", |b| {
        b.iter(|| {
            let frame = Frame::parse(black_box(&bytes)).expect("it is a frame");
            let Message::Read(read) = frame.message else { unreachable!("it is a READ") };
            read.offsets().sum::<u64>()
        });
    });
    group.bench_function("emit/floor: copy of its words", |b| {
        let offsets = offsets();
        b.iter(|| black_box(&offsets).to_vec());
    });
    group.bench_function("emit/ours", |b| {
        let offsets = offsets();
        b.iter(|| emit_read(SLOTS as u64, black_box(&offsets)));
    });
    group.finish();
}

fn data(c: &mut Criterion) {
    let head = Head::data(SLED, SERVER, 7 << 10, BLOCK);
    let bytes = [head.as_bytes(), &[1; BLOCK]].concat();
    let image = Contents::build(SLOTS * BLOCK, 1 << 20, "", "rpool", |bytes| bytes.fill(1));
    let image = image.expect("there is memory");
    let mut group = c.benchmark_group("DATA");
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode/ours", |b| b.iter(|| Frame::parse(black_box(&bytes)).is_ok()));
    group.throughput(Throughput::Elements(SLOTS as u64));
    group.bench_function("batch/floor: copy of the frames", |b| {
        let mut frames = vec![0; SLOTS * bytes.len()];
        b.iter(|| {
            for frame in frames.chunks_exact_mut(bytes.len()) {
                frame.copy_from_slice(black_box(&bytes));
            }
        });
    });
    group.bench_function("batch/ours", |b| {
        let mut batch = Batch::with_capacity(SLOTS);
        b.iter(|| {
            batch.clear();
            for start in (0..SLOTS).map(|block| block * BLOCK) {
                let head = Head::data(black_box(SLED), SERVER, start as u64, BLOCK);
                batch.push_contents(head, &image, start, BLOCK);
            }
        });
    });
    group.finish();
}

fn header(c: &mut Criterion) {
    let header = header_of_an_image();
    let bytes = header.emit();
    let mut group = c.benchmark_group("header");
    group.throughput(Throughput::Bytes(Header::LEN as u64));
    group.bench_function("floor: copy", |b| b.iter(|| black_box(&bytes).to_vec()));
    group.bench_function("emit", |b| b.iter(|| black_box(&header).emit()));
    group.bench_function("parse", |b| b.iter(|| Header::parse(black_box(&bytes))));
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1));
    targets = read, data, header
}
criterion_main!(benches);
