//! Files that appear whole, or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use tempfile::NamedTempFile;

use crate::unnamed::Unnamed;

/// A file in the making.
#[derive(Debug)]
pub enum Output {
    /// It grows beside the one that it will replace.
    Beside {
        /// What is written to.
        temporary: NamedTempFile,
        /// Where it goes in the end.
        place: PathBuf,
    },
    /// It grows under no name, and gets one in the end.
    Unnamed {
        /// What is written to.
        unnamed: Unnamed,
        /// Where it goes in the end.
        place: PathBuf,
    },
    /// A device has no place beside it.
    InPlace {
        /// The device, open.
        device: File,
        /// Where it is.
        path: PathBuf,
    },
}

impl Output {
    /// Begins the file that will stand at `path`, or where the symlink at `path` leads.
    ///
    /// # Errors
    ///
    /// If nothing can be written there.
    pub fn begin(path: &Path) -> anyhow::Result<Self> {
        let shown = || path.display().to_string();
        let place = follow(path).with_context(shown)?;
        let old = fs::metadata(&place);
        if let Ok(old) = &old {
            ensure!(!old.is_dir(), "{}: a folder can't be replaced by a file", shown());
            if !old.is_file() {
                let kind = old.file_type();
                let device = kind.is_block_device() || kind.is_char_device();
                ensure!(device, "{}: neither a file nor a device", shown());
                let device =
                    OpenOptions::new().read(true).write(true).open(&place).with_context(shown)?;
                return Ok(Self::InPlace { device, path: place });
            }
        }
        let folder = match place.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let keep_mode = |file: &File| match &old {
            Ok(old) => file.set_permissions(Permissions::from_mode(old.mode() & 0o7777)),
            Err(_) => Ok(()),
        };
        if let Some(unnamed) = Unnamed::new(folder) {
            keep_mode(unnamed.file()).with_context(shown)?;
            return Ok(Self::Unnamed { unnamed, place });
        }
        // Asked for as any new file is, so that the umask applies.
        let temporary = tempfile::Builder::new()
            .prefix(PREFIX)
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(folder)
            .map_err(|error| reason(folder, &error))
            .with_context(shown)?;
        keep_mode(temporary.as_file()).with_context(shown)?;
        Ok(Self::Beside { temporary, place })
    }

    /// What to write to.
    pub fn file(&self) -> &File {
        match self {
            Self::Beside { temporary, .. } => temporary.as_file(),
            Self::Unnamed { unnamed, .. } => unnamed.file(),
            Self::InPlace { device, .. } => device,
        }
    }

    /// Where to read what has been written so far.
    pub fn path(&self) -> &Path {
        match self {
            Self::Beside { temporary, .. } => temporary.path(),
            Self::Unnamed { unnamed, .. } => unnamed.path(),
            Self::InPlace { path, .. } => path,
        }
    }

    /// Puts the finished file in its place.
    ///
    /// # Errors
    ///
    /// If the system refuses; then the old file is still there.
    pub fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Beside { temporary, place } => {
                let shown = place.display().to_string();
                temporary.persist(place).map(drop).map_err(|error| error.error).context(shown)
            }
            Self::Unnamed { unnamed, place } => {
                put(&unnamed, &place).with_context(|| place.display().to_string())
            }
            Self::InPlace { device, path } => {
                device.sync_all().with_context(|| path.display().to_string())
            }
        }
    }
}

/// How the names of files begin that are not finished.
const PREFIX: &str = ".unfinished-";

/// Gives the file its name, or that of the file that it replaces.
fn put(unnamed: &Unnamed, place: &Path) -> io::Result<()> {
    match unnamed.link(place) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        result => return result,
    }
    // Only a file with a name can replace another.
    let folder = place.parent().filter(|folder| !folder.as_os_str().is_empty());
    let named = tempfile::Builder::new()
        .prefix(PREFIX)
        .make_in(folder.unwrap_or(Path::new(".")), |path| unnamed.link(path))?;
    named.persist(place).map(drop).map_err(|error| error.error)
}

/// Why no file can be made in `folder`, without the name that it would have had.
fn reason(folder: &Path, error: &io::Error) -> io::Error {
    fs::read_dir(folder).err().unwrap_or_else(|| error.kind().into())
}

/// Where a chain of symlinks leads, even if nothing is there yet.
fn follow(path: &Path) -> io::Result<PathBuf> {
    const MOST_LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..MOST_LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().map_or(target.clone(), |folder| folder.join(target)),
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("too many levels of symbolic links"))
}

/// Whether two paths lead to the same file.
pub fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}
