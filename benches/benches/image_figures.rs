//! What images cost, against a bare SHA-256 and a plain peer: every variant in turn, some rounds
//! of that, and the medians as a table.
//!
//!     cargo bench -p boot-benches --bench image_figures -- [KIND] [MIB] [ROUNDS] [PART ...]
//!
//! makes a raw image of MIB MiB (64) of files of /usr, in memory, and measures for ROUNDS rounds
//! (3). Its KIND is `ext4`, a file system that is three fifths full, as a recovery image is, or
//! `tar`, nothing but files. A PART is `raw`, `verify`, `level6`, `default`, `threads`, `zeros` or
//! `peer`; all of them if none is named, about 200 s for each GiB in the first round.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use boot_benches::called::{Called, is_number};
use boot_benches::images::{Images, pack_file, warm};
use boot_benches::peer;
use boot_image::ImageFile;
use boot_image::pack::PackOptions;

/// The variants, in the order in which they take turns, and the parts that need them.
const VARIANTS: [(&str, &[&str]); 15] = [
    ("sha of mapping", &["raw", "verify"]),
    ("pack raw", &["raw"]),
    ("verify raw", &["raw"]),
    ("pack level 6", &["verify", "level6", "threads"]),
    ("verify level 6", &["verify"]),
    ("pack default", &["verify", "default", "threads"]),
    ("verify default", &["verify"]),
    ("peer verify", &["verify"]),
    ("peer verify raw", &["raw"]),
    ("pack level 6, 1 thread", &["threads"]),
    ("pack default, 1 thread", &["threads"]),
    ("peer pack", &["peer"]),
    ("pack content", &["zeros"]),
    ("pack content, zeros", &["zeros"]),
    ("sha of zeros", &["zeros"]),
];

const KINDS: [&str; 2] = ["ext4", "tar"];

fn is_part(word: &str) -> bool {
    VARIANTS.iter().any(|(_, parts)| parts.contains(&word))
}

/// What is to be measured.
struct Plan {
    kind: &'static str,
    mib: u64,
    rounds: usize,
    parts: Vec<String>,
}

impl Plan {
    /// What the command line says; nothing if it does not ask for the table.
    fn from_env() -> Option<Self> {
        let called = Called::from_env("image_figures", |word| {
            is_number(word) || KINDS.contains(&word) || is_part(word)
        });
        let kind = KINDS.into_iter().find(|kind| called.words.iter().any(|word| word == kind));
        let mut numbers = called.numbers();
        called.table.then(|| Self {
            kind: kind.unwrap_or(KINDS[0]),
            mib: numbers.next().unwrap_or(64),
            rounds: numbers.next().map_or(3, |rounds| rounds as usize),
            parts: called.words.iter().filter(|word| is_part(word)).cloned().collect(),
        })
    }

    /// Whether `variant` makes an image that is verified, and how long that takes does not matter:
    /// then once is enough, and what is measured after it finds rested processors.
    fn only_verifies(&self, variant: &str) -> bool {
        let is_other = |part: &&str| *part != "verify" && self.parts.iter().any(|p| p == part);
        let of = VARIANTS.iter().find(|(name, _)| *name == variant).map_or(&[][..], |(_, of)| of);
        variant.starts_with("pack") && !self.parts.is_empty() && !of.iter().any(is_other)
    }

    fn variants(&self) -> impl Iterator<Item = &'static str> + '_ {
        let wants = |of: &[&str]| of.iter().any(|part| self.parts.iter().any(|p| p == part));
        let wanted = VARIANTS.iter().filter(move |(_, of)| self.parts.is_empty() || wants(of));
        wanted.map(|&(variant, _)| variant)
    }
}

struct Bench {
    images: Images,
    raw: PathBuf,
    content: PathBuf,
    with_zeros: PathBuf,
    zeros: PathBuf,
}

impl Bench {
    fn new(plan: &Plan) -> Self {
        let images = Images::new().expect("there is a folder");
        let raw = match plan.kind {
            "tar" => images.tar(plan.mib),
            _ => images.ext4(plan.mib),
        };
        let raw = raw.expect("the raw image can be made");
        let part = plan.mib / 4;
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

    /// Makes a new image, and returns its payload's size.
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
            "peer verify raw" => peer::verify(&self.image("raw")),
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
    fn measure(bench: &Bench, plan: &Plan) -> Self {
        let mut times: HashMap<_, Vec<f64>> = HashMap::new();
        let mut bytes = HashMap::new();
        for round in 1..=plan.rounds {
            for variant in plan.variants() {
                // Both take long, and what is compared with them is far from the limit.
                let is_long = variant.starts_with("peer pack") || variant.ends_with("1 thread");
                if round > 1 && (is_long || plan.only_verifies(variant)) {
                    continue;
                }
                if variant.starts_with("pack raw") {
                    // Removing the old file is not part of making a new one.
                    let _ = std::fs::remove_file(bench.image("raw"));
                }
                let started = Instant::now();
                let made = bench.run(variant);
                times.entry(variant).or_default().push(started.elapsed().as_secs_f64());
                bytes.insert(variant, made as f64);
            }
            eprintln!("round {round} of {}", plan.rounds);
        }
        let median = |mut times: Vec<f64>| {
            times.sort_by(f64::total_cmp);
            times[times.len() / 2]
        };
        let seconds = times.into_iter().map(|(variant, times)| (variant, median(times)));
        Self { seconds: seconds.collect(), bytes }
    }

    fn print(&self, plan: &Plan) {
        println!("{:<24} {:>8} {:>7} {:>12}", "", "seconds", "MiB/s", "payload");
        for variant in plan.variants() {
            let (seconds, bytes) = (self.seconds[variant], self.bytes[variant]);
            let part = match variant {
                "pack content, zeros" => 2.0,
                "pack content" | "sha of zeros" => 4.0,
                _ => 1.0,
            };
            println!(
                "{variant:<24} {seconds:>8.3} {:>7.0} {bytes:>12}",
                plan.mib as f64 / part / seconds
            );
        }
        println!();
        let by = |one, other| Some(self.seconds.get(one)? / self.seconds.get(other)?);
        let smaller =
            |variant| Some(100.0 * (1.0 - self.bytes.get(variant)? / self.bytes.get("peer pack")?));
        let sha = "sha of mapping";
        let zeros = || {
            let [content, both, zeros] = ["pack content", "pack content, zeros", "sha of zeros"]
                .map(|variant| self.seconds.get(variant));
            Some(both? / (content? + zeros? / 2.0))
        };
        let rows = [
            ("pack raw, by sha", by("pack raw", sha), "at most 1.10"),
            ("verify raw, by sha", by("verify raw", sha), "at most 1.10"),
            ("peer verify raw, by sha", by("peer verify raw", sha), ""),
            ("verify level 6, by sha", by("verify level 6", sha), "at most 1.70"),
            ("verify default, by sha", by("verify default", sha), "at most 1.70"),
            ("verify, times the peer", by("peer verify", "verify default"), "at least 3.3"),
            ("level 6, times the peer", by("peer pack", "pack level 6"), "at least 13"),
            ("level 6, % smaller", smaller("pack level 6"), "at least 0.6"),
            ("default, times the peer", by("peer pack", "pack default"), "at least 2.5"),
            ("default, % smaller", smaller("pack default"), "at least 3.8"),
            (
                "default, 2 threads by 1",
                by("pack default, 1 thread", "pack default"),
                "at least 1.9",
            ),
            ("level 6, 2 threads by 1", by("pack level 6, 1 thread", "pack level 6"), ""),
            ("zeros, by their half hash", zeros(), "at most 1.15"),
        ];
        for (name, ratio, bar) in rows {
            if let Some(ratio) = ratio {
                println!("{name:<26} {ratio:>6.2}  {bar}");
            }
        }
    }
}

fn main() {
    if let Some(plan) = Plan::from_env() {
        let bench = Bench::new(&plan);
        Figures::measure(&bench, &plan).print(&plan);
    }
}
