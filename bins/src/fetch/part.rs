//! A file that is being fetched, and can be continued later.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::remote::Version;

/// A file that grows in the cache.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) path: PathBuf,
    version: PathBuf,
}

/// Which version a part is of, and how many bytes the whole has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartOf {
    #[serde(flatten)]
    pub(super) version: Version,
    pub(super) size: u64,
}

impl Part {
    /// The unfinished file for `key` in `folder`.
    pub(super) fn new(folder: &Path, key: &str) -> Self {
        let name = |end: &str| folder.join(format!(".{key}.{end}"));
        Self { path: name("part"), version: name("version") }
    }

    /// How much of which version is there, if it can be continued.
    pub(super) fn there(&self) -> Option<(u64, PartOf)> {
        let of: PartOf = serde_json::from_slice(&fs::read(&self.version).ok()?).ok()?;
        let there = fs::metadata(&self.path).ok()?.len();
        (there > 0 && there <= of.size && of.version.strong().is_some()).then_some((there, of))
    }

    /// Starts over.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub(super) fn begin(&self, of: &PartOf) -> io::Result<File> {
        // Never a part with the other's version, whenever this is cut short.
        let _ = fs::remove_file(&self.path);
        write_whole(&self.version, &serde_json::to_vec(of)?)?;
        File::options().read(true).write(true).create_new(true).open(&self.path)
    }

    /// Continues with what is there.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub(super) fn go_on(&self) -> io::Result<File> {
        File::options().read(true).append(true).open(&self.path)
    }

    /// Removes it.
    pub(super) fn discard(&self) {
        for path in [&self.path, &self.version] {
            let _ = fs::remove_file(path);
        }
    }
}

/// Replaces a small file, whole or not at all, on the disk too.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    // Not every file system can do that.
    let _ = File::open(folder)?.sync_all();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_goes_on_only_as_what_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let part = Part::new(folder.path(), "key");
        assert_eq!(part.there(), None);
        let version = |etag: &str| Version { etag: Some(etag.to_owned()), modified: Some(1) };
        let of = PartOf { version: version("\"1\""), size: 10 };
        part.begin(&of).unwrap().write_all(b"1234").unwrap();
        assert_eq!(part.there(), Some((4, of.clone())));
        part.go_on().unwrap().write_all(b"56").unwrap();
        assert_eq!(part.there().unwrap().0, 6);
        // More than there should be is not the beginning of anything.
        part.go_on().unwrap().write_all(b"7890a").unwrap();
        assert_eq!(part.there(), None);
        let weak = PartOf { version: version("W/\"1\""), ..of };
        part.begin(&weak).unwrap().write_all(b"1234").unwrap();
        assert_eq!(part.there(), None);
        part.discard();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
