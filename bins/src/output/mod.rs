//! Files that appear complete, or not at all.

mod keep;
mod place;
mod swap;
mod unnamed;

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufReader, Seek, Write};
use std::os::unix::fs::{FileExt, FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};

use self::place::{Place, Target};
use self::swap::{Growing, PREFIX, Placed};
use self::unnamed::Unnamed;

use self::place::Identity;
use crate::patient::Patient;

/// An unfinished file.
#[derive(Debug)]
pub struct Output {
    /// As the user calls it.
    path: PathBuf,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// It grows in its final folder.
    File { growing: Growing, place: Place },
    /// A device is written in place.
    Device { device: File, path: PathBuf },
    /// It grows among the temporary files, since its start is written last.
    Stdout { growing: Growing },
}

impl Output {
    /// Begins the file for `path`, or for where the symlink at `path` leads; `-` is standard
    /// output.
    ///
    /// # Errors
    ///
    /// If nothing can be written there.
    pub fn begin(path: &Path) -> anyhow::Result<Self> {
        let kind = Self::begin_kind(path).with_context(|| shown(path))?;
        Ok(Self { path: path.to_owned(), kind })
    }

    fn begin_kind(path: &Path) -> anyhow::Result<Kind> {
        Ok(match Target::find(path)? {
            Target::File(place) => Kind::File { growing: grow_in(&place.folder)?, place },
            Target::Device(path) => {
                let device = OpenOptions::new().read(true).write(true).open(&path)?;
                Kind::Device { device, path }
            }
            Target::Stdout => Kind::Stdout { growing: grow_in(&std::env::temp_dir())? },
        })
    }

    /// What to write to.
    pub fn file(&self) -> &File {
        match &self.kind {
            Kind::File { growing, .. } | Kind::Stdout { growing } => growing.file(),
            Kind::Device { device, .. } => device,
        }
    }

    /// The path at which what has been written so far can be read.
    pub fn path(&self) -> &Path {
        match &self.kind {
            Kind::File { growing, .. } | Kind::Stdout { growing } => growing.path(),
            Kind::Device { path, .. } => path,
        }
    }

    /// The folder that must have space for it.
    pub fn folder(&self) -> PathBuf {
        match &self.kind {
            Kind::File { place, .. } => place.folder.clone(),
            Kind::Device { .. } | Kind::Stdout { .. } => std::env::temp_dir(),
        }
    }

    /// Whether it goes to standard output, which then is used for nothing else.
    pub fn is_stdout(&self) -> bool {
        matches!(self.kind, Kind::Stdout { .. })
    }

    /// Whether what was written can be read again: a terminal or `/dev/null` does not keep it.
    pub fn can_be_read_back(&self) -> bool {
        !matches!(&self.kind, Kind::Device { device, .. } if !is_block_device(device))
    }

    /// What it is called in messages.
    pub fn shown(&self) -> String {
        shown(&self.path)
    }

    /// Puts the finished file in its place.
    ///
    /// # Errors
    ///
    /// If the system refuses; then the old file is still there.
    pub fn finish(self) -> anyhow::Result<()> {
        finish_all(vec![self], || Ok(()))
    }

    /// Does everything that can fail before the first file is in place.
    fn prepare(&self) -> anyhow::Result<()> {
        match &self.kind {
            Kind::File { growing, place } => {
                if let Some(old) = place.old()? {
                    keep::keep_attributes(growing.file(), &old, &place.path)?;
                }
            }
            // Other devices can't be synchronised.
            Kind::Device { device, .. } if is_block_device(device) => device.sync_all()?,
            Kind::Device { .. } | Kind::Stdout { .. } => {}
        }
        Ok(())
    }

    /// Invalidates a device: its old contents are gone, and the new ones are incomplete.
    fn spoil(&self) {
        if let Kind::Device { device, .. } = &self.kind
            && is_block_device(device)
        {
            // The run has failed already; this may fail too.
            let _ = device.write_all_at(&[0; 4096], 0).and_then(|()| device.sync_all());
        }
    }
}

/// Puts finished files in their places, all or none, and then does `last`, whose failure undoes
/// that. Steps that can't be undone come last: standard output after files.
///
/// # Errors
///
/// If the system refuses, or `last` fails; then the old files are still there.
pub fn finish_all(
    mut outputs: Vec<Output>,
    last: impl FnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    outputs.sort_by_key(Output::is_stdout);
    let mut placed = Vec::new();
    let mut devices = Vec::new();
    let done = outputs
        .iter()
        .try_for_each(|output| output.prepare().with_context(|| output.shown()))
        .and_then(|()| outputs.into_iter().try_for_each(|o| put(o, &mut placed, &mut devices)))
        .and_then(|()| last());
    let Err(mut error) = done else {
        return Ok(());
    };
    devices.iter().for_each(Output::spoil);
    for (name, placed) in placed.into_iter().rev() {
        if let Err(other) = placed.undo() {
            error = error.context(format!("{name}: the old file could not be put back: {other}"));
        }
    }
    Err(error)
}

fn put(
    output: Output,
    placed: &mut Vec<(String, Placed)>,
    devices: &mut Vec<Output>,
) -> anyhow::Result<()> {
    let name = output.shown();
    match output.kind {
        Kind::File { growing, place } => {
            let done = growing.put(&place).with_context(|| name.clone())?;
            placed.push((name, done));
        }
        Kind::Stdout { growing } => copy_to_stdout(growing.file()).context(name)?,
        Kind::Device { .. } => devices.push(output),
    }
    Ok(())
}

fn copy_to_stdout(mut file: &File) -> anyhow::Result<()> {
    /// A few times what a pipe holds.
    const BLOCK: usize = 256 << 10;
    file.rewind()?;
    let mut out = Patient(io::stdout().lock());
    match io::copy(&mut BufReader::with_capacity(BLOCK, file), &mut out).and_then(|_| out.flush()) {
        // The reader has not received the image: that is a failure.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
            Err(anyhow!("the reader has gone"))
        }
        result => Ok(result?),
    }
}

fn grow_in(folder: &Path) -> anyhow::Result<Growing> {
    if let Some(unnamed) = Unnamed::new(folder) {
        return Ok(Growing::Unnamed(unnamed));
    }
    // With the mode of any new file, so that the umask applies.
    let made = tempfile::Builder::new()
        .prefix(PREFIX)
        .permissions(Permissions::from_mode(0o666))
        .tempfile_in(folder)
        .map_err(|error| reason(folder, &error));
    let temporary =
        made.with_context(|| format!("cannot create a file in the folder {}", folder.display()))?;
    Ok(Growing::Named(temporary))
}

fn is_block_device(file: &File) -> bool {
    file.metadata().is_ok_and(|there| there.file_type().is_block_device())
}

fn shown(path: &Path) -> String {
    if place::is_stdout(path) { "standard output".to_owned() } else { path.display().to_string() }
}

/// Why a file can't be created in `folder`, without its temporary name.
fn reason(folder: &Path, error: &io::Error) -> io::Error {
    fs::read_dir(folder).err().unwrap_or_else(|| error.kind().into())
}

/// Refuses one file for two outputs, or for the input and an output.
///
/// # Errors
///
/// If they are the same, existing or not.
pub fn ensure_distinct(input: &Path, outputs: &[&Path]) -> anyhow::Result<()> {
    let read = Identity::of_input(input);
    let mut written = Vec::new();
    for output in outputs {
        let Some(identity) = Identity::of_output(output) else {
            continue;
        };
        ensure!(
            read.as_ref() != Some(&identity),
            "{}: input and output are the same file",
            shown(output)
        );
        ensure!(!written.contains(&identity), "{}: both outputs are the same file", shown(output));
        written.push(identity);
    }
    Ok(())
}
