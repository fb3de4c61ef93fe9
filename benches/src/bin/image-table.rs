//! What images of a corpus take, in bytes and in time, beside the replaced tool's way and pigz.
//!
//!     cargo run --release -p boot-benches --bin image-table -- [MEMBER|WAY ...]
//!
//! A WAY is `peer` (one thread, level 9, as the replaced tool compresses), `pigz-9`, `pigz-11`,
//! `zopfli` (the crate's 15 iterations, one thread), or a level of ours: `1` to `12`, or `max`. Every image of ours is inflated again, and searched for
//! slices at which a sled would give up. Without names, it takes all ways over all members that
//! take seconds: those of 1 GiB and more have to be named, and so has zopfli, which takes minutes.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use boot_benches::corpus::{Member, corpus, names};
use boot_benches::images::{MIB, pack_file, warm};
use boot_benches::peer;
use boot_format::boot_source::SliceTraps;
use boot_image::ImageFile;
use boot_image::pack::PackOptions;

const WAYS: [&str; 11] =
    ["peer", "pigz-9", "pigz-11", "1", "6", "9", "10", "11", "12", "max", "zopfli"];

/// Payload bytes, and seconds.
type Cell = Option<(u64, f64)>;

fn main() {
    let mut members = Vec::new();
    let mut ways = Vec::new();
    for argument in std::env::args().skip(1) {
        match WAYS.iter().find(|way| **way == argument) {
            Some(way) => ways.push(*way),
            None if names().any(|name| name == argument) => members.push(argument),
            None => {
                let members: Vec<_> = names().collect();
                eprintln!("{argument}: neither a way ({WAYS:?}) nor a member ({members:?})");
                std::process::exit(2);
            }
        }
    }
    if ways.is_empty() {
        ways.extend(WAYS.iter().filter(|way| **way != "zopfli"));
    }
    let mut left_out = |name: &str, why: &std::io::Error| eprintln!("{name} is left out: {why}");
    let members = corpus(&members, &mut left_out).expect("the corpus can be kept");
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = folder.expect("there is a folder");
    let image = folder.path().join("image");
    let mut rows = Vec::new();
    for member in &members {
        warm(&member.path);
        let cell = |way: &&str| {
            let cell = measure(member, way, &image);
            if let Some((bytes, seconds)) = cell {
                eprintln!("{:<12} {way:>8} {bytes:>12} {seconds:>8.2} s", member.name);
            }
            cell
        };
        rows.push(ways.iter().map(cell).collect::<Vec<_>>());
    }
    print(&members, &ways, &rows);
}

fn measure(member: &Member, way: &str, image: &Path) -> Cell {
    let raw = &member.path;
    let started = Instant::now();
    let seconds = || started.elapsed().as_secs_f64();
    match way {
        "peer" => Some((peer::pack(raw, image), seconds())),
        "pigz-9" | "pigz-11" => {
            let mut pigz = Command::new("pigz");
            pigz.arg(&way[4..]).args(["-z", "-c"]).arg(raw);
            let out = File::create(image).expect("the image can be written");
            let status = pigz.stdout(out).stderr(Stdio::null()).status().ok()?;
            let seconds = seconds();
            let bytes = fs::metadata(image).expect("it is there").len();
            status.success().then_some((bytes, seconds))
        }
        "zopfli" => {
            let out = File::create(image).expect("the image can be written");
            let contents = File::open(raw).expect("it is there");
            // Its options are 15 iterations unless told otherwise.
            zopfli::compress(zopfli::Options::default(), zopfli::Format::Zlib, contents, out)
                .expect("the image can be written");
            Some((fs::metadata(image).expect("it is there").len(), seconds()))
        }
        level => {
            let level = level.parse().unwrap_or(PackOptions::MOST);
            let packed = pack_file(raw, image, Some(level), None);
            let cell = (packed.header.data_size, seconds());
            let made = ImageFile::open(image).expect("it has a header");
            made.unpack(&mut |_| Ok(())).expect("it is good");
            if packed.header.compressed {
                let traps = made.slice_traps().expect("it is good");
                assert_eq!(traps, SliceTraps::default(), "{} at level {level}", member.name);
            }
            Some(cell)
        }
    }
}

fn print(members: &[Member], ways: &[&str], rows: &[Vec<Cell>]) {
    let head = |first: &str| {
        println!("\n| {first} | {} |", ways.join(" | "));
        println!("| --- |{}", " ---: |".repeat(ways.len()));
    };
    // Where a way is missing for one member, its total would say nothing.
    let total = |column: usize| {
        let cells = rows.iter().map(|row| row[column]);
        cells
            .reduce(|all, cell| all.zip(cell).map(|((b, s), (more, t))| (b + more, s + t)))
            .flatten()
    };
    let totals: Vec<_> = (0..ways.len()).map(total).collect();
    let all: Vec<_> = rows.iter().chain(std::iter::once(&totals)).collect();
    let size = members.iter().map(|member| member.size).sum();
    let named = members.iter().map(|member| (member.name, member.size));
    let named: Vec<_> = named.chain(std::iter::once(("all", size))).collect();
    head("bytes");
    for ((name, size), row) in named.iter().zip(&all) {
        print!("| {name}, {:.0} MiB |", *size as f64 / MIB as f64);
        row.iter()
            .for_each(|cell| print!(" {} |", cell.map_or("-".into(), |(b, _)| b.to_string())));
        println!();
    }
    head("seconds");
    for ((name, _), row) in named.iter().zip(&all) {
        print!("| {name} |");
        row.iter()
            .for_each(|cell| print!(" {} |", cell.map_or("-".into(), |(_, s)| format!("{s:.2}"))));
        println!();
    }
}
