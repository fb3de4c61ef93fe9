//! Making images: by level, by kind of contents and by size, beside a bare SHA-256 over the raw
//! image (the floor) and the replaced tool's way (the peer).

use std::time::Duration;

use boot_benches::corpus::{self, Member};
use boot_benches::images::{Images, pack_file, warm};
use boot_benches::peer;
use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};

/// What is made of a raw image.
#[derive(Clone, Copy)]
enum Way {
    Floor,
    Raw,
    Level(u8),
    Peer,
}

impl Way {
    fn name(self) -> String {
        match self {
            Self::Floor => "floor".to_owned(),
            Self::Raw => "raw".to_owned(),
            Self::Level(level) => format!("level {level}"),
            Self::Peer => "peer".to_owned(),
        }
    }

    fn run(self, raw: &Member, images: &Images) {
        let (raw, image) = (&raw.path, images.path("image"));
        match self {
            Self::Floor => _ = peer::sha_of_mapping(raw),
            Self::Raw => _ = pack_file(raw, &image, None, None),
            Self::Level(level) => _ = pack_file(raw, &image, Some(level), None),
            Self::Peer => _ = peer::pack(raw, &image),
        }
    }
}

/// Members of the corpus and what is made of each: every level of one, sizes at the levels that
/// matter, and contents that are packed already or mostly zeros.
const PLAN: [(&str, &[Way]); 5] = {
    use Way::{Floor, Level, Peer, Raw};
    [
        ("tar-1", &[Floor, Raw, Level(6), Level(10)]),
        ("tar-16", &[Floor, Raw, Level(1), Level(6), Level(10), Level(12), Peer]),
        ("zfs-like", &[Floor, Raw, Level(6)]),
        ("packed", &[Floor, Level(10)]),
        ("zero-runs", &[Floor, Level(6), Level(10)]),
    ]
};

fn pack(c: &mut Criterion) {
    let images = Images::new().expect("there is a folder");
    let mut group = c.benchmark_group("pack");
    group.sampling_mode(SamplingMode::Flat);
    for (member, raw) in PLAN.iter().filter_map(|plan| Some((plan, corpus::one(plan.0)?))) {
        warm(&raw.path);
        group.throughput(Throughput::Bytes(raw.size));
        for way in member.1 {
            group.bench_function(BenchmarkId::new(way.name(), raw.name), |b| {
                b.iter(|| way.run(&raw, &images));
            });
        }
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = pack
}
criterion_main!(benches);
