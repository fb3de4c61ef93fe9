//! Putting finished files in place, so that it can be undone.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile, TempPath};

use super::place::Place;
use super::unnamed::Unnamed;

/// The start of the names of files that are unfinished, or kept to undo.
pub(super) const PREFIX: &str = ".unfinished-";

/// A file in the making: without a name where the system supports that, so that it vanishes however
/// the process ends.
#[derive(Debug)]
pub(super) enum Growing {
    Unnamed(Unnamed),
    Named(NamedTempFile),
}

/// A file that is in its place.
#[derive(Debug)]
pub(super) struct Placed {
    path: PathBuf,
    /// The file that it has replaced.
    old: Option<TempPath>,
}

impl Growing {
    pub(super) fn file(&self) -> &File {
        match self {
            Self::Unnamed(unnamed) => unnamed.file(),
            Self::Named(temporary) => temporary.as_file(),
        }
    }

    pub(super) fn path(&self) -> &Path {
        match self {
            Self::Unnamed(unnamed) => unnamed.path(),
            Self::Named(temporary) => temporary.path(),
        }
    }

    /// Puts the file in its place, and keeps what was there.
    pub(super) fn put(self, place: &Place) -> io::Result<Placed> {
        let temporary = match self {
            // Only a file with a name can replace another.
            Self::Unnamed(unnamed) => name_in(&place.folder, |path| unnamed.link(path))?,
            Self::Named(temporary) => temporary.into_temp_path(),
        };
        let (old, was_moved) = set_aside(place)?;
        match temporary.persist(&place.path) {
            Ok(()) => Ok(Placed { path: place.path.clone(), old }),
            Err(failed) => {
                if let (Some(old), true) = (old, was_moved) {
                    put_back(old, &place.path)?;
                }
                Err(failed.error)
            }
        }
    }
}

impl Placed {
    /// Restores what was there before.
    pub(super) fn undo(self) -> io::Result<()> {
        match self.old {
            Some(old) => put_back(old, &self.path),
            None => fs::remove_file(&self.path),
        }
    }
}

/// Gives the file at `place` a second name, or renames it where there are no hard links.
fn set_aside(place: &Place) -> io::Result<(Option<TempPath>, bool)> {
    if place.old()?.is_none() {
        return Ok((None, false));
    }
    if let Ok(old) = name_in(&place.folder, |path| fs::hard_link(&place.path, path)) {
        return Ok((Some(old), false));
    }
    // A folder is never moved away: putting a file there then fails.
    if place.old()?.is_some_and(|old| old.is_dir()) {
        return Ok((None, false));
    }
    let old = name_in(&place.folder, |path| fs::rename(&place.path, path))?;
    Ok((Some(old), true))
}

/// Creates a file in `folder` with `make`, under a free name.
fn name_in(folder: &Path, make: impl FnMut(&Path) -> io::Result<()>) -> io::Result<TempPath> {
    Ok(Builder::new().prefix(PREFIX).make_in(folder, make)?.into_temp_path())
}

fn put_back(mut old: TempPath, path: &Path) -> io::Result<()> {
    fs::rename(&old, path).inspect_err(|_| {
        // It is the only copy.
        old.disable_cleanup(true);
    })
}
