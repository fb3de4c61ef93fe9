//! From the raw image to the finished files.

use std::fs::File;
use std::io::{self, IsTerminal, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use boot_engine::image::boot_source::{BootSource, Facts};
use boot_engine::image::pack::{PackError, PackOptions, Packed, pack};
use boot_engine::image::{Checksum, Header, ImageFile};
use boot_tools::exit::Exit;
use boot_tools::output::{Output, is_same};
use boot_tools::signals::Signals;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::args::Args;
use crate::report;

/// Makes what the command line asks for.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let signals = Signals::install()?;
    let options = PackOptions {
        image_name: args.name,
        dataset: args.dataset,
        target_size: args.target_mib << 20,
        level: args.compress.then_some(args.level),
        threads: args.threads,
        pad: args.pad,
    };
    check_paths(args)?;
    let raw = Raw::open(&args.input)?;
    let image = Output::begin(&args.output)?;
    let csum = args.csum.as_deref().map(Output::begin).transpose()?;
    let bar = progress_bar(args, raw.size);
    let mut progress = |read: u64| {
        bar.set_position(read.min(raw.size));
        !signals.interrupted()
    };
    let packed = match pack(&raw.file, raw.size, image.file(), &options, &mut progress) {
        Ok(packed) => packed,
        Err(PackError::Interrupted) => return Ok(Exit::Interrupted),
        Err(error @ PackError::Write(_)) => {
            return Err(error).with_context(|| args.output.display().to_string());
        }
        Err(error) => return Err(error).with_context(|| args.input.display().to_string()),
    };
    bar.finish_and_clear();
    check_verdicts(args, &packed)?;
    if args.verify && !verify(&image, args, &signals)? {
        return Ok(Exit::Interrupted);
    }
    if let Some(csum) = &csum {
        write_checksum(csum, packed.header.checksum)
            .with_context(|| csum.path().display().to_string())?;
    }
    let report = args.json.then(|| report::json(image.path(), &packed)).transpose()?;
    if signals.interrupted() {
        return Ok(Exit::Interrupted);
    }
    image.finish()?;
    let mut out = io::stdout().lock();
    if !args.quiet && !args.json {
        writeln!(out, "ok, image written!")?;
    }
    if let Some(csum) = csum {
        csum.finish()?;
        if !args.quiet && !args.json {
            writeln!(out, "ok, boot_image_csum file written!")?;
        }
    }
    if let Some(report) = report {
        writeln!(out, "{report}")?;
    }
    Ok(Exit::Success)
}

/// Refuses to read from, or write twice to, one and the same file.
fn check_paths(args: &Args) -> anyhow::Result<()> {
    let outputs: Vec<&Path> =
        std::iter::once(args.output.as_path()).chain(args.csum.as_deref()).collect();
    for output in &outputs {
        if is_same(&args.input, output) {
            bail!("{}: it is the input: it can't be the output too", output.display());
        }
    }
    if let [image, csum] = outputs.as_slice() {
        ensure!(
            image != csum && !is_same(image, csum),
            "{}: image and checksum can't be one file",
            csum.display()
        );
    }
    Ok(())
}

/// The raw image, opened, and its size in bytes.
struct Raw {
    file: File,
    size: u64,
}

impl Raw {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let shown = || path.display().to_string();
        let mut file = if path == Path::new("-") {
            spool().context("standard input")?
        } else {
            File::open(path).with_context(shown)?
        };
        ensure!(!file.metadata().with_context(shown)?.is_dir(), "{}: it is a folder", shown());
        // Of a device, only its end tells the size.
        let size = file.seek(SeekFrom::End(0)).with_context(shown)?;
        Ok(Self { file, size })
    }
}

/// Standard input as a file that nobody else sees.
fn spool() -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut io::stdin().lock(), &mut file)?;
    Ok(file)
}

fn progress_bar(args: &Args, size: u64) -> ProgressBar {
    if args.quiet || args.json || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = "{wide_bar} {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left";
    let style = ProgressStyle::with_template(style).expect("the template is a constant");
    let bar = ProgressBar::with_draw_target(Some(size), ProgressDrawTarget::stderr_with_hz(5));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar.with_style(style)
}

/// Warns of boot sources that would refuse the image though it is meant for them; with
/// `--strict`, so do we.
fn check_verdicts(args: &Args, packed: &Packed) -> anyhow::Result<()> {
    let header = &packed.header;
    if packed.incompressible {
        eprintln!("mkimage: the contents don't shrink: they are stored uncompressed");
    }
    let length = header.data_size + Header::LEN as u64;
    let facts = Facts { header, length, stored: None, whole: None };
    let mut refused = 0;
    for source in BootSource::ALL.into_iter().filter(|s| s.is_meant_for(header.compressed)) {
        let verdict = source.verdict(&facts);
        if !verdict.accepted {
            refused += 1;
            eprintln!("mkimage: {source} would not take this image: {}", verdict.reason);
        }
    }
    ensure!(
        refused == 0 || !args.strict,
        "{}: not written, because of --strict",
        args.output.display()
    );
    Ok(())
}

/// Reads the image back. Says whether it was not interrupted.
fn verify(image: &Output, args: &Args, signals: &Signals) -> anyhow::Result<bool> {
    let stop =
        || if signals.interrupted() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) };
    let result = ImageFile::open(image.path()).and_then(|file| file.unpack(&mut |_| stop()));
    if signals.interrupted() {
        return Ok(false);
    }
    result
        .map_err(|error| error.kind)
        .with_context(|| format!("{}: read back", args.output.display()))?;
    Ok(true)
}

fn write_checksum(csum: &Output, checksum: Checksum) -> io::Result<()> {
    let mut file = csum.file();
    file.write_all(checksum.as_bytes())?;
    file.flush()
}
