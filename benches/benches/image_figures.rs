//! What images cost, against a bare SHA-256 and a plain peer: every variant in turn, some rounds
//! of that, and the medians as a table.
//!
//!     cargo bench -p boot-benches --bench image_figures -- [MIB] [ROUNDS]
//!
//! makes an ext4 image of MIB MiB (256) of files of /usr, in memory, and measures for ROUNDS
//! rounds (3). The first takes the peer and all on one thread too, about 150 s for each GiB.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use boot_benches::images::{Images, pack_file, warm};
use boot_benches::peer;
use boot_engine::image::ImageFile;
use boot_engine::image::pack::PackOptions;

/// The variants, in the order in which they take turns.
const VARIANTS: [&str; 14] = [
    "sha of mapping",
    "pack raw",
    "verify raw",
    "pack level 6",
    "verify level 6",
    "pack default",
    "verify default",
    "peer verify",
    "pack level 6, 1 thread",
    "pack default, 1 thread",
    "peer pack",
    "pack content",
    "pack content, zeros",
    "sha of zeros",
];

struct Bench {
    images: Images,
    raw: PathBuf,
    content: PathBuf,
    with_zeros: PathBuf,
    zeros: PathBuf,
}

impl Bench {
    fn new(mib: u64) -> Self {
        let images = Images::new().expect("there is a folder");
        let raw = images.ext4(mib).expect("an ext4 image can be made");
        let part = mib / 4;
        let part_of = |content, zeros| {
            let made = images.with_zeros(&raw, content, zeros);
            made.expect("the raw image can be written")
        };
        let (content, with_zeros) = (part_of(part, 0), part_of(part, part));
        let zeros = part_of(0, part);
        for path in [&raw, &content, &with_zeros, &zeros] {
            warm(path);
        }
        Self { images, raw, content, with_zeros, zeros }
    }

    fn image(&self, name: &str) -> PathBuf {
        self.images.path(&format!("{name}.img"))
    }

    /// Makes an image anew, and returns its payload's size.
    fn pack(&self, raw: &Path, name: &str, level: Option<u8>, threads: Option<usize>) -> u64 {
        pack_file(raw, &self.image(name), level, threads).header.data_size
    }

    fn verify(&self, name: &str) -> u64 {
        let image = ImageFile::open(&self.image(name)).expect("it has a header");
        image.unpack(&mut |_| Ok(())).expect("it is good");
        image.header().data_size
    }

    fn run(&self, variant: &str) -> u64 {
        let default = Some(PackOptions::LEVEL);
        match variant {
            "sha of mapping" => drop(peer::sha_of_mapping(&self.raw)),
            "pack raw" => return self.pack(&self.raw, "raw", None, None),
            "verify raw" => return self.verify("raw"),
            "pack level 6" => return self.pack(&self.raw, "level-6", Some(6), None),
            "verify level 6" => return self.verify("level-6"),
            "pack default" => return self.pack(&self.raw, "default", default, None),
            "verify default" => return self.verify("default"),
            "pack level 6, 1 thread" => return self.pack(&self.raw, "one", Some(6), Some(1)),
            "pack default, 1 thread" => return self.pack(&self.raw, "one", default, Some(1)),
            "peer pack" => return peer::pack(&self.raw, &self.image("peer")),
            "peer verify" => peer::verify(&self.image("default")),
            "pack content" => return self.pack(&self.content, "content", default, None),
            "pack content, zeros" => return self.pack(&self.with_zeros, "zeros", default, None),
            "sha of zeros" => drop(peer::sha_of_mapping(&self.zeros)),
            _ => unreachable!("{variant} is not among the variants"),
        }
        0
    }
}

/// The medians of all rounds, and the sizes of what was made.
struct Figures {
    seconds: HashMap<&'static str, f64>,
    bytes: HashMap<&'static str, f64>,
}

impl Figures {
    fn measure(bench: &Bench, rounds: usize) -> Self {
        let mut times: HashMap<_, Vec<f64>> = HashMap::new();
        let mut bytes = HashMap::new();
        for round in 1..=rounds {
            for variant in VARIANTS {
                // Both take long, and what is compared with them is far from the limit.
                let is_long = variant.starts_with("peer pack") || variant.ends_with("1 thread");
                if round > 1 && is_long {
                    continue;
                }
                if variant.starts_with("pack") {
                    // Letting go of the old file is no part of making a new one.
                    let _ = std::fs::remove_file(bench.image("raw"));
                }
                let started = Instant::now();
                let made = bench.run(variant);
                times.entry(variant).or_default().push(started.elapsed().as_secs_f64());
                bytes.insert(variant, made as f64);
            }
            eprintln!("round {round} of {rounds}");
        }
        let median = |mut times: Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let seconds = times.into_iter().map(|(variant, times)| (variant, median(times)));
        Self { seconds: seconds.collect(), bytes }
    }

    fn print(&self, mib: u64) {
        println!("{:<24} {:>8} {:>7} {:>12}", "", "seconds", "MiB/s", "payload");
        for variant in VARIANTS {
            let (seconds, bytes) = (self.seconds[variant], self.bytes[variant]);
            let part =
                if variant.contains("content") || variant.contains("zeros") { 4.0 } else { 1.0 };
            println!(
                "{variant:<24} {seconds:>8.3} {:>7.0} {bytes:>12}",
                mib as f64 / part / seconds
            );
        }
        println!();
        let seconds = |variant| self.seconds[variant];
        let sha = seconds("sha of mapping");
        let smaller = |variant| 100.0 * (1.0 - self.bytes[variant] / self.bytes["peer pack"]);
        let zeros = seconds("pack content") + seconds("sha of zeros") / 2.0;
        let rows = [
            ("pack raw, by sha", seconds("pack raw") / sha, "at most 1.10"),
            ("verify raw, by sha", seconds("verify raw") / sha, "at most 1.10"),
            ("verify default, by sha", seconds("verify default") / sha, "at most 1.70"),
            (
                "verify, times the peer",
                seconds("peer verify") / seconds("verify default"),
                "at least 3.3",
            ),
            (
                "level 6, times the peer",
                seconds("peer pack") / seconds("pack level 6"),
                "at least 13",
            ),
            ("level 6, % smaller", smaller("pack level 6"), "at least 0.6"),
            (
                "default, times the peer",
                seconds("peer pack") / seconds("pack default"),
                "at least 2.5",
            ),
            ("default, % smaller", smaller("pack default"), "at least 3.8"),
            (
                "default, 2 threads by 1",
                seconds("pack default, 1 thread") / seconds("pack default"),
                "at least 1.9",
            ),
            (
                "level 6, 2 threads by 1",
                seconds("pack level 6, 1 thread") / seconds("pack level 6"),
                "",
            ),
            ("zeros, by their half hash", seconds("pack content, zeros") / zeros, "at most 1.15"),
        ];
        for (name, ratio, bar) in rows {
            println!("{name:<26} {ratio:>6.2}  {bar}");
        }
    }
}

fn main() {
    // Cargo adds `--bench` when it is to be measured.
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let mut numbers = arguments.iter().filter_map(|argument| argument.parse().ok());
    let mib = numbers.next().unwrap_or(256);
    let rounds = numbers.next().unwrap_or(3);
    let bench = Bench::new(mib);
    Figures::measure(&bench, rounds as usize).print(mib);
}
