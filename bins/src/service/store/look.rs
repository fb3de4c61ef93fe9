//! A look at a source: which files are there, and their state.

use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// What changes when a file is replaced or written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// Whether both belong to one file, changed or not.
    pub(super) fn same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

impl From<Metadata> for Stamp {
    fn from(file: Metadata) -> Self {
        let kind = file.file_type();
        let still = Self {
            device: file.dev(),
            inode: file.ino(),
            size: 0,
            modified: (0, 0),
            changed: (0, 0),
        };
        if kind.is_fifo() || kind.is_socket() {
            // It is no image, however it is used.
            return still;
        }
        Self {
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
            ..still
        }
    }
}

/// What was found at a source.
#[derive(Debug)]
pub(super) struct Found {
    /// Whether it is a folder.
    pub(super) folder: bool,
    /// Each file with its state, in the order of the names.
    pub(super) files: Vec<(PathBuf, Stamp)>,
    /// Why there is nothing, or not all.
    pub(super) error: Option<io::Error>,
}

/// Looks at `source`, a file or a folder. This takes as long as the file system takes.
pub(super) fn look(source: &Path) -> Found {
    let nothing = |folder, error| Found { folder, files: Vec::new(), error: Some(error) };
    let there = match fs::metadata(source) {
        Ok(there) => there,
        Err(error) => return nothing(false, error),
    };
    if !there.is_dir() {
        let files = vec![(source.to_owned(), there.into())];
        return Found { folder: false, files, error: None };
    }
    let entries = match fs::read_dir(source) {
        Ok(entries) => entries,
        Err(error) => return nothing(true, error),
    };
    let file = |entry: io::Result<fs::DirEntry>| {
        let path = entry.ok()?.path();
        if is_hidden(&path) {
            return None;
        }
        let there = fs::metadata(&path).ok()?;
        let kind = there.file_type();
        // Pipes and sockets are reported as what they are; devices in a folder are ignored.
        let counts = kind.is_file() || kind.is_fifo() || kind.is_socket();
        counts.then(|| (path, there.into()))
    };
    let mut files: Vec<_> = entries.filter_map(file).collect();
    files.sort_by(|(one, _), (other, _)| one.cmp(other));
    Found { folder: true, files, error: None }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}
