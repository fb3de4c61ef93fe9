//! Where an output goes, and whether it can be written: checked before the work, not after it.

use std::fs::{self, File, Metadata};
use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

/// The target of an output path.
#[derive(Debug)]
pub(super) enum Target {
    /// A name in a folder.
    File(Place),
    /// A block or character device.
    Device(PathBuf),
    /// The process's own standard output.
    Stdout,
}

/// A name in a folder, with or without a file under it.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    /// Folder and name.
    pub(super) path: PathBuf,
}

/// The paths that mean standard output.
const STDOUT: [&str; 4] = ["-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"];
const STDIN: [&str; 4] = ["-", "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0"];

impl Target {
    /// Finds out where `path` leads, and refuses what is known to fail in the end.
    pub(super) fn find(path: &Path) -> anyhow::Result<Self> {
        if is_stdout(path) {
            ensure!(!io::stdout().is_terminal(), "it is a terminal, and an image is binary");
            return Ok(Self::Stdout);
        }
        match fs::metadata(path) {
            Ok(there) if there.is_dir() => bail!("is a folder"),
            Ok(there) if is_device(&there) => return Ok(Self::Device(follow(path)?)),
            Ok(there) if there.file_type().is_fifo() => {
                bail!("is a pipe; to write to a pipe, use `-` for standard output")
            }
            Ok(there) => ensure!(there.is_file(), "is neither a file nor a device"),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
        let place = Place::new(follow(path)?)?;
        place.check()?;
        Ok(Self::File(place))
    }
}

impl Place {
    fn new(path: PathBuf) -> anyhow::Result<Self> {
        // `Path` drops these, and the system does not.
        let names_a_folder = [&b"/"[..], b"/."].iter().any(|end| bytes(&path).ends_with(end));
        ensure!(path.file_name().is_some() && !names_a_folder, "does not name a file");
        let folder = folder_of(&path).to_owned();
        fs::metadata(&folder)
            .and_then(|there| if there.is_dir() { Ok(()) } else { Err(not_a_folder()) })
            .with_context(|| format!("the folder {}", folder.display()))?;
        Ok(Self { folder, path })
    }

    /// The file that is there now.
    pub(super) fn old(&self) -> io::Result<Option<Metadata>> {
        match fs::symlink_metadata(&self.path) {
            Ok(old) => Ok(Some(old)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Refuses an old file that can't be replaced, though its folder can be written to.
    fn check(&self) -> anyhow::Result<()> {
        let Some(old) = self.old()? else {
            return Ok(());
        };
        let folder = || self.folder.display();
        let of_folder = fs::metadata(&self.folder)?;
        let me = rustix::process::geteuid().as_raw();
        ensure!(
            !is_sticky(&of_folder) || [0, old.uid(), of_folder.uid()].contains(&me),
            "it belongs to another user, and the folder {} is sticky: only its owner can \
             replace it",
            folder()
        );
        let traits = Traits::of(&self.path);
        ensure!(
            !traits.is_mounted,
            "is a mount point, which cannot be replaced: mount the folder {} instead",
            folder()
        );
        ensure!(!traits.is_fixed, "is immutable or append-only (chattr) and cannot be replaced");
        ensure!(
            !Traits::of(&self.folder).is_fixed,
            "the folder {} is immutable or append-only (chattr): files in it cannot be replaced",
            folder()
        );
        Ok(())
    }
}

fn is_device(there: &Metadata) -> bool {
    there.file_type().is_block_device() || there.file_type().is_char_device()
}

fn is_sticky(folder: &Metadata) -> bool {
    const STICKY: u32 = 0o1000;
    folder.mode() & STICKY != 0
}

fn not_a_folder() -> io::Error {
    io::ErrorKind::NotADirectory.into()
}

fn bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Whether `path` means standard output.
pub(super) fn is_stdout(path: &Path) -> bool {
    STDOUT.iter().any(|name| path == Path::new(name))
}

/// What keeps a file from being replaced.
#[derive(Default)]
struct Traits {
    is_mounted: bool,
    is_fixed: bool,
}

impl Traits {
    #[cfg(target_os = "linux")]
    fn of(path: &Path) -> Self {
        use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
        // An old kernel does not report it: then replacing the file fails.
        let Ok(found) = statx(CWD, path, AtFlags::SYMLINK_NOFOLLOW, StatxFlags::empty()) else {
            return Self::default();
        };
        let found = found.stx_attributes;
        Self {
            is_mounted: found.contains(StatxAttributes::MOUNT_ROOT),
            is_fixed: found.intersects(StatxAttributes::IMMUTABLE | StatxAttributes::APPEND),
        }
    }

    #[cfg(not(target_os = "linux"))]
    fn of(_: &Path) -> Self {
        Self::default()
    }
}

/// Where a chain of symlinks leads, even if nothing is there yet.
fn follow(path: &Path) -> io::Result<PathBuf> {
    // As many as Linux follows.
    const MOST_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = folder_of(&path).join(target),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

/// The identity of a file, existing or not: equal if two paths lead to the same one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Identity(Known);

#[derive(Debug, PartialEq, Eq)]
enum Known {
    /// Device and inode.
    There(u64, u64),
    /// The folder's device and inode, and a name in it.
    NotYet(u64, u64, PathBuf),
    /// A pipe or the like.
    Stdout,
}

impl Identity {
    /// The file that is read from `path`; `-` is standard input. `None` unless it is a file or a
    /// block device.
    pub(super) fn of_input(path: &Path) -> Option<Self> {
        let is_stdin = STDIN.iter().any(|name| path == Path::new(name));
        Self::of_there(&if is_stdin { of_stream(io::stdin()) } else { fs::metadata(path) }.ok()?)
    }

    /// The file that would be written to `path`; `-` is standard output. `None` for a character
    /// device, which keeps nothing.
    pub(super) fn of_output(path: &Path) -> Option<Self> {
        if is_stdout(path) {
            let there = of_stream(io::stdout()).ok()?;
            let keeps_nothing = there.file_type().is_char_device();
            return Self::of_there(&there)
                .or_else(|| (!keeps_nothing).then_some(Self(Known::Stdout)));
        }
        if let Ok(there) = fs::metadata(path) {
            return Self::of_there(&there);
        }
        let path = follow(path).ok()?;
        let folder = fs::metadata(folder_of(&path)).ok()?;
        let name = path.file_name()?.into();
        Some(Self(Known::NotYet(folder.dev(), folder.ino(), name)))
    }

    pub(super) fn of_there(there: &Metadata) -> Option<Self> {
        let kind = there.file_type();
        let keeps = kind.is_file() || kind.is_dir() || kind.is_block_device();
        // Two nodes of one device are one device.
        let (device, number) =
            if kind.is_block_device() { (0, there.rdev()) } else { (there.dev(), there.ino()) };
        keeps.then_some(Self(Known::There(device, number)))
    }
}

fn of_stream(stream: impl AsFd) -> io::Result<Metadata> {
    File::from(stream.as_fd().try_clone_to_owned()?).metadata()
}
