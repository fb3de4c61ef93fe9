//! How costs grow: with the sleds of a rack, and with the size of an image.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, bail, ensure};
use boot_benches::cores::thread_time;
use boot_benches::corpus;
use boot_benches::images::{Images, MIB, pack_file, peak_memory};
use boot_benches::peer;
use boot_benches::served::ServedSleds;
use boot_benches::stats::median;
use boot_image::pack::PackOptions;

use crate::cli::chart::{self, Chart, Line, Scales};
use crate::cli::machine::repository;

/// Runs of each piece of work, of which the median is drawn; what takes long has one.
const RUNS: usize = 3;
const SLEDS: [u32; 11] = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024];
const MEBIBYTES: [u32; 7] = [64, 128, 256, 512, 1024, 2048, 4096];

/// Measures all of it, and draws it for the documents.
pub(crate) fn draw() -> anyhow::Result<()> {
    let docs = repository().join("docs");
    let racks = curves(&[("one by one", "rack"), ("in step", "group")], &SLEDS)?;
    let across = "sleds";
    let rates = racks.iter().map(|curve| curve.line(|sample| 1.0 / sample.cost));
    let memory = racks.iter().map(|curve| curve.line(|sample| sample.mebibytes));
    let charts = [
        chart("Frames per CPU second", across, Scales::LogarithmicAcross, rates.collect()),
        chart(
            "Peak memory of the process, MiB (16 of it are the image)",
            across,
            Scales::LogarithmicAcross,
            memory.collect(),
        ),
    ];
    draw_to(&docs.join("complexity-server.svg"), &charts)?;
    let images = [
        ("SHA-256 alone", "hash"),
        ("mkimage", "raw"),
        ("mkimage -z --level 6", "fast"),
        ("mkimage -z", "default"),
    ];
    let images = curves(&images, &MEBIBYTES)?;
    let across = "MiB of raw image, a sixteenth of it files, the rest holes";
    let times = images.iter().map(|curve| curve.line(|sample| sample.cost));
    // A mapping's pages are the file's.
    let own = images.iter().filter(|curve| curve.name != "SHA-256 alone");
    let memory = own.map(|curve| curve.line(|sample| sample.mebibytes));
    let charts = [
        chart("Seconds", across, Scales::Logarithmic, times.collect()),
        chart(
            "Peak memory of the process, MiB",
            across,
            Scales::LogarithmicAcross,
            memory.collect(),
        ),
    ];
    draw_to(&docs.join("complexity-images.svg"), &charts)
}

fn draw_to(path: &Path, charts: &[Chart]) -> anyhow::Result<()> {
    chart::draw(path, charts)?;
    println!("drew {}", path.display());
    Ok(())
}

fn chart(title: &str, across: &'static str, scales: Scales, lines: Vec<Line>) -> Chart {
    Chart { title: title.to_owned(), across, lines, scales }
}

/// How one kind of work grows.
struct Curve {
    name: &'static str,
    samples: Vec<(u32, Sample)>,
}

/// What one run took: seconds for all of an image, or for each frame.
#[derive(Clone, Copy)]
struct Sample {
    cost: f64,
    mebibytes: f64,
}

impl Curve {
    fn line(&self, figure: impl Fn(&Sample) -> f64) -> Line {
        let points =
            self.samples.iter().map(|(amount, sample)| (f64::from(*amount), figure(sample)));
        Line { name: self.name.to_owned(), points: points.collect() }
    }
}

fn curves(works: &[(&'static str, &str)], amounts: &[u32]) -> anyhow::Result<Vec<Curve>> {
    let curve = |&(name, work): &(&'static str, &str)| {
        let samples = amounts.iter().map(|&amount| Ok((amount, sample(work, amount)?)));
        let samples = samples.collect::<anyhow::Result<Vec<_>>>()?;
        for (amount, Sample { cost, mebibytes }) in &samples {
            println!("{name:<24} {amount:>5} {cost:>14.9} s {mebibytes:>8.1} MiB");
        }
        Ok(Curve { name, samples })
    };
    works.iter().map(curve).collect()
}

/// Each run is a process of its own, whose peak is nobody else's.
fn sample(work: &str, amount: u32) -> anyhow::Result<Sample> {
    let run = || {
        let mut own = Command::new(std::env::current_exe()?);
        let output = own.args(["--peak", work, &amount.to_string()]).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{work}, {amount}: {said}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (kibibytes, cost) = text.trim().split_once(' ').context("two figures")?;
        Ok(Sample { cost: cost.parse()?, mebibytes: kibibytes.parse::<f64>()? / 1024.0 })
    };
    let runs = if amount > 1024 { 1 } else { RUNS };
    let runs = (0..runs).map(|_| run()).collect::<anyhow::Result<Vec<_>>>()?;
    Ok(Sample {
        cost: median(runs.iter().map(|run| run.cost)),
        mebibytes: median(runs.iter().map(|run| run.mebibytes)),
    })
}

/// Does one piece of work, and prints this process's peak memory in KiB, and the seconds.
pub(crate) fn peak(work: &str, amount: u32) -> anyhow::Result<()> {
    let cost = match work {
        "rack" => frame_time(ServedSleds::new(amount as u16)),
        "group" => frame_time(ServedSleds::together(amount as u16)),
        _ => image_time(work, amount)?,
    };
    let peak = peak_memory().context("Linux says what memory this took")?;
    println!("{peak} {cost:.12}");
    Ok(())
}

/// CPU seconds per frame.
fn frame_time(mut rack: ServedSleds) -> f64 {
    /// Some milliseconds, beside which reading the clock is nothing.
    const FRAMES: u64 = 512 * 1024;
    rack.serve(FRAMES);
    let start = thread_time();
    rack.serve(FRAMES);
    thread_time().saturating_sub(start).as_secs_f64() / FRAMES as f64
}

/// Seconds to hash or pack a raw image of `mebibytes` MiB.
fn image_time(work: &str, mebibytes: u32) -> anyhow::Result<f64> {
    let raw = corpus::kept(&format!("mostly-holes-{mebibytes}"), |path| sparse(path, mebibytes))?;
    let images = Images::new()?;
    let image = images.path("image");
    let start = Instant::now();
    match work {
        "hash" => _ = peer::sha_of_mapping(&raw),
        "raw" => _ = pack_file(&raw, &image, None, None),
        "fast" => _ = pack_file(&raw, &image, Some(6), None),
        "default" => _ = pack_file(&raw, &image, Some(PackOptions::LEVEL), None),
        other => bail!("{other} is no work"),
    }
    Ok(start.elapsed().as_secs_f64())
}

/// Each 64 MiB begin with 4 MiB of files, and the rest is a hole.
fn sparse(path: &Path, mebibytes: u32) -> io::Result<()> {
    let files = corpus::one("tar-16").ok_or_else(|| io::Error::other("no files"))?;
    let mut raw = File::create(path)?;
    for start in (0..u64::from(mebibytes)).step_by(64) {
        raw.seek(SeekFrom::Start(start * MIB))?;
        io::copy(&mut File::open(&files.path)?.take(4 * MIB), &mut raw)?;
    }
    raw.set_len(u64::from(mebibytes) * MIB)
}
