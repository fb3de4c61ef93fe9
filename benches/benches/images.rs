//! The parts of making and checking images, beside the floor and the plain peer: header, hash,
//! packing, unpacking, zero runs. `image_figures` holds the whole against its limits.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};

use boot_benches::images::{Images, MIB, pack_file};
use boot_benches::peer;
use boot_format::Header;
use boot_image::ImageFile;
use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};

/// MiB in each raw image.
const SIZE: u64 = 16;

/// Raw images of each kind, and their names; those that can be made here.
fn raw_images(images: &Images) -> Vec<(&'static str, PathBuf)> {
    let ext4 = ext4(images, SIZE);
    let zeros = |ext4: &PathBuf| {
        let made = images.with_zeros(ext4, SIZE / 8, SIZE - SIZE / 8);
        ("zeros", made.expect("the raw image can be made"))
    };
    let zeros = ext4.as_ref().map(zeros);
    let made = "the raw image can be made";
    let others =
        [("tar", images.tar(SIZE).expect(made)), ("random", images.random(SIZE).expect(made))];
    ext4.map(|ext4| ("ext4", ext4)).into_iter().chain(zeros).chain(others).collect()
}

/// A file system with files in it; says so if there can't be one.
fn ext4(images: &Images, mib: u64) -> Option<PathBuf> {
    let made = images.ext4(mib);
    made.inspect_err(|error| eprintln!("images: left out what takes a file system: {error}")).ok()
}

fn verify(path: &Path) {
    let image = ImageFile::open(path).expect("it has a header");
    image.unpack(&mut |_| Ok(())).expect("it is good");
}

fn header(c: &mut Criterion) {
    let images = Images::new().expect("there is a folder");
    let raw = images.random(1).expect("the raw image can be made");
    let header = pack_file(&raw, &images.path("image"), None, None).header;
    let bytes = header.emit();
    let mut group = c.benchmark_group("header");
    group.bench_function("emit", |b| b.iter(|| black_box(&header).emit()));
    group.bench_function("parse", |b| b.iter(|| Header::parse(black_box(&bytes))));
    group.finish();
}

fn pack(c: &mut Criterion) {
    let images = Images::new().expect("there is a folder");
    let image = images.path("image");
    let mut group = c.benchmark_group("pack");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    for (kind, raw) in raw_images(&images) {
        group.throughput(Throughput::Bytes(fs::metadata(&raw).expect("it is there").len()));
        group.bench_function(BenchmarkId::new("floor", kind), |b| {
            b.iter(|| peer::sha_of_mapping(&raw));
        });
        for level in [None, Some(1), Some(6), Some(10), Some(12)] {
            let name = level.map_or("raw".to_owned(), |level| format!("level {level}"));
            group.bench_function(BenchmarkId::new(name, kind), |b| {
                b.iter(|| pack_file(&raw, &image, level, None));
            });
        }
        group.bench_function(BenchmarkId::new("peer", kind), |b| {
            b.iter(|| peer::pack(&raw, &image));
        });
    }
    group.finish();
}

fn unpack(c: &mut Criterion) {
    let images = Images::new().expect("there is a folder");
    let Some(raw) = ext4(&images, 4 * SIZE) else {
        return;
    };
    let path = |name: &str| images.path(name);
    pack_file(&raw, &path("raw"), None, None);
    pack_file(&raw, &path("segments"), Some(6), None);
    peer::pack(&raw, &path("one stream"));
    flushed(&raw, &path("flushed"));
    let mut group = c.benchmark_group("unpack");
    group.sample_size(10).throughput(Throughput::Bytes(4 * SIZE * MIB));
    group.bench_function("floor", |b| b.iter(|| peer::sha_of_mapping(&raw)));
    // Made here; made by one that never flushes; by one that does, and refers across its flushes.
    for name in ["raw", "segments", "one stream", "flushed"] {
        group.bench_function(BenchmarkId::new("ours", name), |b| b.iter(|| verify(&path(name))));
        if name != "raw" {
            let verify = || peer::verify(&path(name));
            group.bench_function(BenchmarkId::new("peer", name), |b| b.iter(verify));
        }
    }
    group.finish();
}

/// Makes an image as a packer does that flushes after every MiB, but keeps the window.
fn flushed(raw: &Path, image: &Path) {
    let raw = fs::read(raw).expect("the raw image is there");
    let plain = fs::read(image.with_file_name("raw")).expect("the plain image is there");
    let header = Header::parse(&plain).expect("it has a header");
    let mut stream = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
    for block in raw.chunks(MIB as usize) {
        stream.write_all(block).and_then(|()| stream.flush()).expect("memory takes it");
    }
    let payload = stream.finish().expect("memory takes it");
    let header = Header { compressed: true, data_size: payload.len() as u64, ..header };
    let mut image = File::create(image).expect("the image can be written");
    image.write_all(&header.emit()).expect("the image can be written");
    image.write_all(&payload).expect("the image can be written");
}

fn zero_runs(c: &mut Criterion) {
    let images = Images::new().expect("there is a folder");
    let Some(ext4) = ext4(&images, SIZE) else {
        return;
    };
    let mut group = c.benchmark_group("zeros");
    group.sample_size(10);
    for zeros in [0, 4 * SIZE] {
        let raw = images.with_zeros(&ext4, SIZE, zeros).expect("the raw image can be made");
        group.bench_function(BenchmarkId::new("sha", zeros), |b| {
            b.iter(|| peer::sha_of_mapping(&raw));
        });
        for level in [6, 10] {
            let name = format!("level {level} behind {SIZE} MiB");
            group.bench_function(BenchmarkId::new(name, zeros), |b| {
                b.iter(|| pack_file(&raw, &images.path("image"), Some(level), None));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, header, pack, unpack, zero_runs);
criterion_main!(benches);
