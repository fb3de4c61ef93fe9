//! Checking images: made here, and made by others, beside a bare SHA-256 over the raw image (the
//! floor) and the replaced tool's way (the peer); and loading them to be served.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use boot_benches::corpus;
use boot_benches::images::{Images, MIB, pack_file, warm};
use boot_benches::peer;
use boot_format::Header;
use boot_image::{Contents, ImageFile};
use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};

const MEMBER: &str = "share";

fn verify(path: &Path) {
    let image = ImageFile::open(path).expect("it has a header");
    image.unpack(&mut |_| Ok(())).expect("it is good");
}

fn unpack(c: &mut Criterion) {
    let Some(raw) = corpus::one(MEMBER) else { return };
    let images = Images::new().expect("there is a folder");
    pack_file(&raw.path, &images.path("raw"), None, None);
    pack_file(&raw.path, &images.path("segments"), Some(6), None);
    let stream = |name: &str, make: &dyn Fn(&Path) -> io::Result<()>| -> PathBuf {
        corpus::kept(&format!("{MEMBER}, {name}.img"), make).expect("there is room")
    };
    let named = [
        ("raw", images.path("raw")),
        // Made here; made by one that never flushes; by one that does, and refers across.
        ("segments", images.path("segments")),
        (
            "one stream",
            stream("one stream", &|image| {
                peer::pack(&raw.path, image);
                Ok(())
            }),
        ),
        ("flushed", stream("flushed", &|image| flushed(&raw.path, &images.path("raw"), image))),
    ];
    let mut group = c.benchmark_group("unpack");
    group.sampling_mode(SamplingMode::Flat).throughput(Throughput::Bytes(raw.size));
    warm(&raw.path);
    group.bench_function("floor", |b| b.iter(|| peer::sha_of_mapping(&raw.path)));
    for (name, path) in &named {
        warm(path);
        group.bench_function(BenchmarkId::new("ours", name), |b| b.iter(|| verify(path)));
        group.bench_function(BenchmarkId::new("peer", name), |b| b.iter(|| peer::verify(path)));
    }
    for (name, path) in &named[..2] {
        group.bench_function(BenchmarkId::new("load", name), |b| {
            b.iter(|| Contents::load(path).expect("it is good"));
        });
    }
    group.finish();
}

/// Makes an image as a maker does who flushes after every MiB, but keeps the window. `plain` is
/// one of the same contents.
fn flushed(raw: &Path, plain: &Path, image: &Path) -> io::Result<()> {
    let header = Header::parse(&fs::read(plain)?).map_err(io::Error::other)?;
    let mut stream = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::new(6));
    for block in fs::read(raw)?.chunks(MIB as usize) {
        stream.write_all(block).and_then(|()| stream.flush())?;
    }
    let payload = stream.finish()?;
    let header = Header { compressed: true, data_size: payload.len() as u64, ..header };
    let mut image = File::create(image)?;
    image.write_all(&header.emit())?;
    image.write_all(&payload)
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = unpack
}
criterion_main!(benches);
