//! Looking at images.

use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, anyhow, ensure};
use boot_format::boot_source::{BootSource, SliceTraps};
use boot_format::{Checksum, Header};
use boot_image::{ImageFile, write_sparse};
use boot_tools::csum;
use boot_tools::describe::{
    Description, StoredHashes, boot_times, hashes_of_good, ratio, verdicts,
};
use boot_tools::exit::Exit;
use boot_tools::output::{Output, ensure_distinct};
use boot_tools::patient::Patient;
use boot_tools::say;
use boot_tools::shown::Shown;
use boot_tools::signals::Signals;
use boot_tools::units::Bytes;
use serde::Serialize;

use crate::args::Args;
use crate::reader::{self, Reader};

/// Looks at every image on the command line; fails in the end if one of them is bad.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let look = Look { args, signals: Signals::install()? };
    ensure!(args.extract.is_none() || args.images.len() == 1, "--extract takes one image");
    let mut out = Reader::new(Patient(io::stdout().lock()));
    match args.images.as_slice() {
        _ if args.json => json(&look, &mut out),
        [path] => one(&look, path, &mut out),
        _ => table(&look, &mut out),
    }
}

fn one(look: &Look<'_>, path: &Path, out: &mut impl Write) -> anyhow::Result<Exit> {
    let args = look.args;
    let image = ImageFile::open(path)?;
    write_header(out, image.header())?;
    out.flush()?;
    let found = look.examine(path, &image)?;
    if let Some(wanted) = &args.check {
        write_verdicts(out, &image, &found, wanted)?;
        out.flush()?;
    }
    found.conclude(args, &image, path)?;
    Ok(Exit::Success)
}

/// The lines that scripts parse.
fn write_header(out: &mut impl Write, header: &Header) -> io::Result<()> {
    let flags = if header.compressed { "0x1 (COMPRESSED)" } else { "0x0 ((empty))" };
    writeln!(out, "image name = {}", Shown(header.image_name))?;
    writeln!(out, "flags = {flags}")?;
    writeln!(out, "data size = {}", header.data_size)?;
    writeln!(out, "image size = {}", header.image_size)?;
    writeln!(out, "target size = {}", header.target_size)?;
    writeln!(out, "image sum = {}", header.checksum)?;
    writeln!(out, "dataset name = {}", Shown(header.dataset))?;
    if header.compressed {
        writeln!(out, "ratio = {:.2}x", ratio(header))?;
    }
    Ok(())
}

fn write_verdicts(
    out: &mut impl Write,
    image: &ImageFile,
    found: &Found,
    wanted: &[BootSource],
) -> io::Result<()> {
    for (source, verdict) in verdicts(image, found.hashes, found.traps) {
        if !wanted.is_empty() && !wanted.contains(&source) {
            continue;
        }
        let meant =
            if source.is_meant_for(image.header().compressed) { "" } else { ", not meant for it" };
        let verdict_word = if verdict.is_accepted() { "takes it" } else { "refuses it" };
        write!(out, "{source:<10} {verdict_word}{meant}")?;
        let reason = verdict.to_string();
        if !reason.is_empty() {
            write!(out, ": {}", Shown(reason))?;
        }
        writeln!(out)?;
    }
    for (way, time) in boot_times(image.header()) {
        writeln!(
            out,
            "about {:.1} s to boot over {}",
            time.as_secs_f64(),
            way.replace('_', " at ")
        )?;
    }
    if let Some(StoredHashes { whole, .. }) = found.hashes {
        writeln!(out, "file sum = {whole}")?;
    }
    Ok(())
}

/// What was found beyond the header.
struct Found {
    hashes: Option<StoredHashes>,
    traps: SliceTraps,
    /// What is wrong with the contents, if they were looked at.
    wrong: Option<anyhow::Error>,
}

/// The request, and what may cut it short.
struct Look<'a> {
    args: &'a Args,
    signals: Signals,
}

impl Look<'_> {
    /// Reads as much of the image as the command line asks for.
    fn examine(&self, path: &Path, image: &ImageFile) -> anyhow::Result<Found> {
        let args = self.args;
        let mut found = Found { hashes: None, traps: SliceTraps::default(), wrong: None };
        if image.header().image_size == 0 {
            // The replaced tool can't map it.
            found.wrong = Some(anyhow!("{}: the image size is 0", path.display()));
            return Ok(found);
        }
        if args.skip_checksum {
            found.wrong = image.check_sizes().err().map(Into::into);
            return Ok(found);
        }
        if let Some(raw) = &args.extract {
            self.extract(path, image, raw)?;
        } else {
            found.wrong = image.unpack(&mut |_| self.go_on()).err().map(Into::into);
        }
        self.signals.check()?;
        let wants_hashes = args.check.is_some() || args.json || args.images.len() > 1;
        if found.wrong.is_none() && wants_hashes {
            found.hashes = Some(hashes_of_good(image)?);
            self.signals.check()?;
        }
        if found.wrong.is_none() && (args.check.is_some() || args.json) {
            match image.slice_traps() {
                Ok(traps) => found.traps = traps,
                Err(error) => found.wrong = Some(error.into()),
            }
        }
        Ok(found)
    }

    /// Fails if there is no reason to read on.
    fn go_on(&self) -> io::Result<()> {
        if self.signals.stopped() || self.is_for_nobody() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        Ok(())
    }

    /// Whether no one would read the rest of a table. For a single image, the exit status still
    /// matters.
    fn is_for_nobody(&self) -> bool {
        self.args.images.len() > 1 && reader::has_gone(io::stdout())
    }

    fn extract(&self, path: &Path, image: &ImageFile, raw: &Path) -> anyhow::Result<()> {
        let shown = || raw.display().to_string();
        ensure_distinct(path, &[raw])?;
        let output = Output::begin(raw)?;
        ensure!(!output.is_stdout(), "standard output has the report on the image");
        let file = output.file();
        let is_file = file.metadata().with_context(shown)?.is_file();
        if is_file {
            image.check_sizes()?;
            file.set_len(image.header().image_size).with_context(shown)?;
        }
        let mut at = 0;
        let mut failed = None;
        let mut write = |bytes: &[u8]| {
            self.go_on()?;
            let written =
                if is_file { write_sparse(file, bytes, at) } else { file.write_all_at(bytes, at) };
            at += bytes.len() as u64;
            written.map_err(|error| {
                let kind = error.kind();
                failed = Some(error);
                kind.into()
            })
        };
        let unpacked = image.unpack(&mut write);
        self.signals.check()?;
        if let Some(error) = failed {
            return Err(error).with_context(|| format!("{}: writing", shown()));
        }
        unpacked?;
        output.finish()
    }
}

impl Found {
    /// Fails if something is wrong with the image, or if it does not suit its purpose.
    fn conclude(self, args: &Args, image: &ImageFile, path: &Path) -> anyhow::Result<()> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        if let Some(path_of_csum) = &args.csum {
            let wanted = csum::read(path_of_csum)?;
            let found = image.header().checksum;
            ensure!(
                found == wanted,
                "{}: the image sum is {found}, but {} wants {wanted}",
                path.display(),
                path_of_csum.display()
            );
        }
        let Some(wanted) = &args.check else {
            return Ok(());
        };
        let counts = |source: BootSource| match wanted.as_slice() {
            [] => source.is_meant_for(image.header().compressed),
            wanted => wanted.contains(&source),
        };
        let refusing: Vec<_> = verdicts(image, self.hashes, self.traps)
            .filter(|(source, verdict)| counts(*source) && !verdict.is_accepted())
            .map(|(source, _)| source.to_string())
            .collect();
        ensure!(refusing.is_empty(), "{}: refused by {}", path.display(), refusing.join(", "));
        Ok(())
    }
}

#[derive(Serialize)]
struct Entry {
    path: String,
    /// What is wrong, if anything is.
    error: Option<String>,
    /// Whether the contents were read.
    verified: bool,
    #[serde(flatten)]
    image: Option<Description>,
}

impl Entry {
    fn is_good(&self) -> bool {
        self.error.is_none()
    }
}

fn json(look: &Look<'_>, out: &mut impl Write) -> anyhow::Result<Exit> {
    let mut entries = Vec::new();
    for path in &look.args.images {
        let entry = entry(look, path);
        look.signals.check()?;
        if look.is_for_nobody() {
            return Ok(verdict(entries.iter().all(Entry::is_good)));
        }
        entries.push(entry);
    }
    let good = entries.iter().all(Entry::is_good);
    let text = match entries.as_slice() {
        [entry] => serde_json::to_string_pretty(entry)?,
        entries => serde_json::to_string_pretty(entries)?,
    };
    writeln!(out, "{text}")?;
    for Entry { error, .. } in &entries {
        if let Some(error) = error {
            say!("lookimage: {error}");
        }
    }
    Ok(verdict(good))
}

fn verdict(is_good: bool) -> Exit {
    if is_good { Exit::Success } else { Exit::Failure }
}

fn entry(look: &Look<'_>, path: &Path) -> Entry {
    let args = look.args;
    let mut entry =
        Entry { path: path.display().to_string(), error: None, verified: false, image: None };
    let result = ImageFile::open(path).map_err(anyhow::Error::from).and_then(|image| {
        let found = look.examine(path, &image)?;
        entry.image = Some(Description::new(&image, found.hashes, found.traps));
        found.conclude(args, &image, path)
    });
    entry.verified = result.is_ok() && !args.skip_checksum;
    entry.error = result.err().map(|error| format!("{error:#}"));
    entry
}

fn table(look: &Look<'_>, out: &mut Reader<impl Write>) -> anyhow::Result<Exit> {
    const HEADINGS: [&str; 4] = ["disk", "net 1G", "net 10G", "sp"];
    write!(out, "state  kind         contents    payload  ratio")?;
    for heading in HEADINGS {
        write!(out, " {heading:>8}")?;
    }
    writeln!(out, " image sum        file sum         image")?;
    let mut good = true;
    for path in &look.args.images {
        let opened = ImageFile::open(path).map_err(anyhow::Error::from);
        let result = opened.and_then(|image| {
            let found = look.examine(path, &image)?;
            write_row(out, path, &image, &found)?;
            out.flush()?;
            found.conclude(look.args, &image, path)
        });
        look.signals.check()?;
        if out.has_gone() || look.is_for_nobody() {
            break;
        }
        if let Err(error) = result {
            good = false;
            say!("lookimage: {error:#}");
        }
    }
    Ok(verdict(good))
}

/// One image among others. The seconds are how long a sled takes to get it from each source.
fn write_row(
    out: &mut impl Write,
    path: &Path,
    image: &ImageFile,
    found: &Found,
) -> io::Result<()> {
    let header = image.header();
    let state = match (&found.wrong, found.hashes) {
        (Some(_), _) => "bad",
        (None, Some(_)) => "good",
        (None, None) => "unread",
    };
    let kind = if header.compressed { "compressed" } else { "plain" };
    write!(
        out,
        "{state:<6} {kind:<10} {:>10} {:>10} {:>5.2}x",
        Bytes(header.image_size).to_string(),
        Bytes(header.data_size).to_string(),
        ratio(header),
    )?;
    for (_, time) in boot_times(header) {
        write!(out, " {:>6.1} s", time.as_secs_f64())?;
    }
    let start = |sum: Checksum| sum.to_string()[..16].to_owned();
    let whole = found.hashes.map_or("-".to_owned(), |hashes| start(hashes.whole));
    let sum = start(header.checksum);
    let (path, name) = (Shown(path.display()), Shown(format_args!("{:?}", header.image_name)));
    writeln!(out, " {sum} {whole:<16} {path} {name}")
}
