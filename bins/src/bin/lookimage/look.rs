//! Looking at images.

use std::io::{self, Write};
use std::path::Path;

use anyhow::ensure;
use boot_engine::image::boot_source::BootSource;
use boot_engine::image::{Header, ImageFile, SliceTraps};
use boot_tools::csum;
use boot_tools::describe::{Description, StoredHashes, boot_times, ratio, verdicts};
use boot_tools::exit::Exit;
use boot_tools::output::{Output, is_same};
use boot_tools::units::Bytes;
use serde::Serialize;

use crate::args::Args;

/// Looks at all that the command line names; fails in the end if one of them is not good.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let mut out = io::stdout().lock();
    if args.json {
        return json(args, &mut out);
    }
    if let [path] = args.images.as_slice() {
        return one(args, path, &mut out);
    }
    ensure!(args.extract.is_none(), "--extract takes one image");
    table(args, &mut out)
}

fn one(args: &Args, path: &Path, out: &mut impl Write) -> anyhow::Result<Exit> {
    let image = ImageFile::open(path)?;
    write_header(out, image.header())?;
    out.flush()?;
    let found = examine(args, path, &image)?;
    if let Some(wanted) = &args.check {
        write_verdicts(out, &image, &found, wanted)?;
        out.flush()?;
    }
    found.conclude(args, &image, path)?;
    Ok(Exit::Success)
}

/// The lines that scripts know.
fn write_header(out: &mut impl Write, header: &Header) -> io::Result<()> {
    let flags = if header.compressed { "0x1 (COMPRESSED)" } else { "0x0 ((empty))" };
    writeln!(out, "image name = {}", header.image_name)?;
    writeln!(out, "flags = {flags}")?;
    writeln!(out, "data size = {}", header.data_size)?;
    writeln!(out, "image size = {}", header.image_size)?;
    writeln!(out, "target size = {}", header.target_size)?;
    writeln!(out, "image sum = {}", header.checksum)?;
    writeln!(out, "dataset name = {}", header.dataset)?;
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
        let verdict_word = if verdict.accepted { "takes it" } else { "refuses it" };
        write!(out, "{source:<10} {verdict_word}{meant}")?;
        if !verdict.reason.is_empty() {
            write!(out, ": {}", verdict.reason)?;
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

/// What looking beyond the header found.
struct Found {
    hashes: Option<StoredHashes>,
    traps: SliceTraps,
    /// What is wrong with the contents, if they were looked at.
    wrong: Option<anyhow::Error>,
}

/// Reads as much of the image as the command line asks for.
fn examine(args: &Args, path: &Path, image: &ImageFile) -> anyhow::Result<Found> {
    let mut found = Found { hashes: None, traps: SliceTraps::default(), wrong: None };
    if args.skip_checksum {
        found.wrong = image.check_sizes().err().map(Into::into);
        return Ok(found);
    }
    found.wrong = match &args.extract {
        Some(raw) => {
            extract(path, image, raw)?;
            None
        }
        None => image.unpack(&mut |_| Ok(())).err().map(Into::into),
    };
    if found.wrong.is_none() && (args.check.is_some() || args.json) {
        let (payload, whole) = image.stored_hashes()?;
        found.hashes = Some(StoredHashes { payload, whole });
        found.traps = image.slice_traps()?;
    }
    Ok(found)
}

impl Found {
    /// Ends in an error if something is wrong with the image, or with what it is wanted for.
    fn conclude(self, args: &Args, image: &ImageFile, path: &Path) -> anyhow::Result<()> {
        if let Some(wrong) = self.wrong {
            return Err(wrong);
        }
        if let Some(path_of_csum) = &args.csum {
            let wanted = csum::read(path_of_csum)?;
            let found = image.header().checksum;
            ensure!(
                found == wanted,
                "{}: its sum is {found}, and {} wants {wanted}",
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
            .filter(|(source, verdict)| counts(*source) && !verdict.accepted)
            .map(|(source, _)| source.to_string())
            .collect();
        ensure!(refusing.is_empty(), "{}: refused by {}", path.display(), refusing.join(", "));
        Ok(())
    }
}

fn extract(path: &Path, image: &ImageFile, raw: &Path) -> anyhow::Result<()> {
    ensure!(!is_same(path, raw), "{}: it is the image: it can't be the output too", raw.display());
    let output = Output::begin(raw)?;
    let mut file = output.file();
    image.unpack(&mut |bytes| file.write_all(bytes))?;
    output.finish()
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

fn json(args: &Args, out: &mut impl Write) -> anyhow::Result<Exit> {
    let entries: Vec<_> = args.images.iter().map(|path| entry(args, path)).collect();
    let good = entries.iter().all(|entry| entry.error.is_none());
    let text = match entries.as_slice() {
        [entry] => serde_json::to_string_pretty(entry)?,
        entries => serde_json::to_string_pretty(entries)?,
    };
    writeln!(out, "{text}")?;
    for Entry { error, .. } in &entries {
        if let Some(error) = error {
            eprintln!("lookimage: {error}");
        }
    }
    Ok(if good { Exit::Success } else { Exit::Failure })
}

fn entry(args: &Args, path: &Path) -> Entry {
    let mut entry =
        Entry { path: path.display().to_string(), error: None, verified: false, image: None };
    let result = ImageFile::open(path).map_err(anyhow::Error::from).and_then(|image| {
        let found = examine(args, path, &image)?;
        entry.image = Some(Description::new(&image, found.hashes, found.traps));
        found.conclude(args, &image, path)
    });
    entry.verified = result.is_ok() && !args.skip_checksum;
    entry.error = result.err().map(|error| format!("{error:#}"));
    entry
}

fn table(args: &Args, out: &mut impl Write) -> anyhow::Result<Exit> {
    writeln!(out, "kind           contents    payload  ratio  image sum        image")?;
    let mut good = true;
    for path in &args.images {
        let opened = ImageFile::open(path).map_err(anyhow::Error::from);
        let result = opened.and_then(|image| {
            let header = image.header();
            let kind = if header.compressed { "compressed" } else { "plain" };
            let sum = header.checksum.to_string();
            writeln!(
                out,
                "{kind:<12} {:>10} {:>10} {:>5.2}x  {:<16} {} {:?}",
                Bytes(header.image_size).to_string(),
                Bytes(header.data_size).to_string(),
                ratio(header),
                &sum[..16],
                path.display(),
                header.image_name,
            )?;
            out.flush()?;
            examine(args, path, &image)?.conclude(args, &image, path)
        });
        if let Err(error) = result {
            good = false;
            eprintln!("lookimage: {error:#}");
        }
    }
    Ok(if good { Exit::Success } else { Exit::Failure })
}
