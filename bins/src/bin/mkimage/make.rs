//! From the raw image to the finished files.

use std::fs::File;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use boot_format::boot_source::{BootSource, Facts};
use boot_format::{Checksum, Header};
use boot_image::ImageFile;
use boot_image::pack::{PackError, PackOptions, Packed, pack};
use boot_tools::exit::Exit;
use boot_tools::output::{Output, ensure_distinct, finish_all};
use boot_tools::patient::Patient;
use boot_tools::say;
use boot_tools::signals::Signals;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};

use crate::args::Args;
use crate::jobs::Jobs;
use crate::report;

/// Makes what the command line asks for.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    // First of all, and held until the end.
    let jobs = if args.compress { Jobs::take(args.jobs) } else { Jobs::default() };
    let signals = Signals::install()?;
    let options = PackOptions {
        image_name: args.name,
        dataset: args.dataset,
        target_size: args.target_mib << 20,
        level: args.compress.then_some(args.level),
        threads: jobs.threads(),
        pad: args.pad,
    };
    let csum = args.csum.as_deref();
    let outputs: Vec<&Path> = [Some(args.output.as_path()), csum].into_iter().flatten().collect();
    ensure_distinct(&args.input, &outputs)?;
    let last = report::last_payload(&args.output);
    let image = Output::begin(&args.output)?;
    let csum = csum.map(Output::begin).transpose()?;
    check_reports(args, &image, csum.as_ref())?;
    let raw = Raw::open(args, &image.folder(), &signals)?;
    let bar = progress_bar(args, raw.size);
    let mut progress = |read: u64| {
        bar.set_position(read.min(raw.size));
        !signals.stopped()
    };
    let packed = pack(&raw.file, raw.size, image.file(), &options, &mut progress);
    bar.finish_and_clear();
    let packed = packed.map_err(|error| match error {
        PackError::Interrupted => error.into(),
        PackError::Write(_) => anyhow::Error::new(error).context(image.shown()),
        error => anyhow::Error::new(error).context(shown(&args.input)),
    })?;
    check_verdicts(args, &packed)?;
    let verified = args.verify.then(|| verify(&image, args, &signals)).transpose()?;
    if let Some(csum) = &csum {
        write_checksum(csum, packed.header.checksum).with_context(|| csum.shown())?;
    }
    let saved = report::saved(&packed, last);
    let threads = args.compress.then(|| jobs.count());
    let report =
        args.json.then(|| report::json(&image, &args.output, &packed, threads, verified, saved));
    let report = report.transpose()?;
    signals.check()?;
    let has_csum = csum.is_some();
    let is_data = image.is_stdout() || csum.as_ref().is_some_and(Output::is_stdout);
    finish_all([Some(image), csum].into_iter().flatten().collect(), || print(report))?;
    if !args.quiet && !args.json {
        say_done(has_csum, is_data);
        if let Some(saved) = saved {
            say!("mkimage: {}", report::gain(&packed, saved));
        }
    }
    Ok(Exit::Success)
}

/// Refuses to mix a report with an image on standard output, and to read back from an output that
/// keeps nothing.
fn check_reports(args: &Args, image: &Output, csum: Option<&Output>) -> anyhow::Result<()> {
    let is_data = image.is_stdout() || csum.is_some_and(Output::is_stdout);
    ensure!(
        !is_data || !args.json,
        "standard output cannot take both an image and the report of --json"
    );
    ensure!(
        image.can_be_read_back() || !(args.verify || args.json),
        "{}: cannot be read back, which --verify and --json need",
        image.shown()
    );
    Ok(())
}

/// Prints the report; that its reader is gone does not matter.
fn print(report: Option<String>) -> anyhow::Result<()> {
    let Some(report) = report else {
        return Ok(());
    };
    let mut out = Patient(io::stdout().lock());
    match writeln!(out, "{report}").and_then(|()| out.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        result => result.context("standard output"),
    }
}

/// The lines that the OS build expects; on stderr if standard output has the image. If they can't
/// be written, the files stay in place all the same.
fn say_done(has_csum: bool, is_data: bool) {
    let mut text = "ok, image written!\n".to_owned();
    if has_csum {
        text += "ok, boot_image_csum file written!\n";
    }
    let _ = if is_data {
        Patient(io::stderr().lock()).write_all(text.as_bytes())
    } else {
        Patient(io::stdout().lock()).write_all(text.as_bytes())
    };
}

/// The raw image, opened, and its size in bytes.
struct Raw {
    file: File,
    size: u64,
}

impl Raw {
    fn open(args: &Args, room: &Path, signals: &Signals) -> anyhow::Result<Self> {
        let path = &args.input;
        let shown = || shown(path);
        if path == Path::new("-") {
            let stdin = io::stdin().as_fd().try_clone_to_owned().map(File::from);
            return Self::spool(stdin.context("standard input")?, room, signals)
                .context("standard input");
        }
        let mut file = File::open(path).with_context(shown)?;
        let kind = file.metadata().with_context(shown)?.file_type();
        ensure!(!kind.is_dir(), "{}: is a folder", shown());
        if !kind.is_file() && !kind.is_block_device() {
            return Self::spool(file, room, signals).with_context(shown);
        }
        // The size of a device is where it ends.
        let size = file.seek(SeekFrom::End(0)).with_context(shown)?;
        Ok(Self { file, size })
    }

    /// The contents of a pipe as an unnamed file, in the folder of the image, which needs the space
    /// anyway.
    fn spool(mut pipe: File, folder: &Path, signals: &Signals) -> anyhow::Result<Self> {
        const BLOCK: usize = 256 << 10;
        /// How soon a signal is noticed while the pipe is idle.
        const PATIENCE: u16 = 100;
        let writing = || format!("spooling it in {}", folder.display());
        let mut file = tempfile::tempfile_in(folder).with_context(writing)?;
        let mut block = vec![0; BLOCK];
        let mut size = 0;
        loop {
            signals.check()?;
            let mut waits = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
            match poll(&mut waits, PATIENCE) {
                Ok(0) | Err(Errno::EINTR) => continue,
                other => other?,
            };
            let more = pipe.read(&mut block)?;
            if more == 0 {
                return Ok(Self { file, size });
            }
            file.write_all(&block[..more]).with_context(writing)?;
            size += more as u64;
        }
    }
}

fn shown(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
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

/// Warns about boot sources that would refuse the image although it is meant for them; with
/// `--strict`, fails.
fn check_verdicts(args: &Args, packed: &Packed) -> anyhow::Result<()> {
    let header = &packed.header;
    if packed.incompressible {
        say!("mkimage: the contents do not shrink, so they are stored uncompressed");
    }
    let length = header.data_size + Header::LEN as u64;
    let facts = Facts::new(header, length);
    let mut refused = 0;
    for source in BootSource::ALL.into_iter().filter(|s| s.is_meant_for(header.compressed)) {
        let verdict = source.verdict(&facts);
        if !verdict.is_accepted() {
            refused += 1;
            say!("mkimage: {source} would refuse this image: {verdict}");
        }
    }
    ensure!(refused == 0 || !args.strict, "{}: not written (--strict)", args.output.display());
    Ok(())
}

/// Reads the image back, and returns how long that took.
fn verify(image: &Output, args: &Args, signals: &Signals) -> anyhow::Result<Duration> {
    let started = Instant::now();
    let stop = || if signals.stopped() { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) };
    let result = ImageFile::open(image.path()).and_then(|file| file.unpack(&mut |_| stop()));
    signals.check()?;
    result
        .map_err(|error| error.kind)
        .with_context(|| format!("{}: read back", args.output.display()))?;
    Ok(started.elapsed())
}

fn write_checksum(csum: &Output, checksum: Checksum) -> io::Result<()> {
    let mut file = csum.file();
    file.write_all(checksum.as_bytes())?;
    file.flush()
}
