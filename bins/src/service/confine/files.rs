//! Which files the server uses.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::fetch;
use crate::service::StatusAddress;
use crate::service::options::ServeOptions;

/// Files and folders, by what is done with them and everything below them.
#[derive(Debug, Default)]
pub(super) struct Files {
    pub(super) read: BTreeSet<PathBuf>,
    /// Files are read, written, made, renamed and removed there.
    pub(super) write: BTreeSet<PathBuf>,
    /// A socket is removed there.
    pub(super) remove: BTreeSet<PathBuf>,
    /// Whether anything comes from the network.
    pub(super) connects: bool,
}

/// Creates what must exist before it can be named in a rule.
///
/// # Errors
///
/// If that fails.
pub(super) fn prepare(options: &ServeOptions) -> anyhow::Result<()> {
    if let Some(cache) = &options.fetch.cache {
        fs::create_dir_all(cache).with_context(|| format!("--cache {}", cache.display()))?;
    }
    Ok(())
}

impl Files {
    /// Those that `options` name.
    pub(super) fn of(options: &ServeOptions) -> Self {
        let mut files = Self::default();
        for path in options.paths().filter(|path| !fetch::is_url(path).unwrap_or(false)) {
            files.read_place(path);
        }
        if let Some(config) = &options.config {
            files.read_place(config);
        }
        if let Some(state) = &options.state {
            files.write.extend(folders_of(state));
        }
        files.write.extend(options.fetch.cache.clone());
        if let Some(StatusAddress::Unix(socket)) = &options.reporting.status {
            files.remove.insert(folder_of(socket).to_owned());
        }
        let needs = fetch::needs(&options.fetch, options.paths().map(PathBuf::as_path));
        files.connects = needs.connects;
        files.read.extend(needs.files.into_iter().filter(|path| path.exists()));
        files.read.extend(needs.shares.iter().filter_map(|share| lasting(share)));
        files
    }

    /// Folders that are to be read and that are not there.
    pub(super) fn missing(&self) -> impl Iterator<Item = &PathBuf> {
        self.read.iter().filter(|path| !path.exists())
    }

    /// The folders that can be read.
    pub(super) fn readable(&self) -> Vec<PathBuf> {
        let folders = self.read.iter().chain(&self.write);
        folders.filter_map(|path| path.canonicalize().ok()).collect()
    }

    /// A file is replaced by another of its name, so its folder is read; and the one that it is in
    /// if it is a symlink. The same goes for the files of a folder.
    fn read_place(&mut self, place: &Path) {
        self.read.extend(folders_of(place));
        if place.is_dir() {
            self.read.insert(place.to_owned());
            self.read.extend(lasting(place));
            for entry in fs::read_dir(place).into_iter().flatten().flatten() {
                if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                    self.read.extend(folders_of(&entry.path()));
                }
            }
        }
    }
}

/// The folder that stays when a file system is mounted at `path`, or mounted again: the nearest one
/// above it that exists and is not a mount point. The root does not count, since everything is
/// below it.
fn lasting(path: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(path).ok()?;
    let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
    let lasts = |folder: &&Path| {
        let own = device(folder);
        own.is_some() && folder.parent().is_some_and(|parent| device(parent) == own)
    };
    path.ancestors().find(lasts).map(Path::to_owned)
}

/// The folder of `path`, and that of the file to which it leads; nothing if it is itself a folder
/// and no symlink.
fn folders_of(path: &Path) -> Vec<PathBuf> {
    let is_link = path.is_symlink();
    if path.is_dir() {
        return if is_link { path.canonicalize().into_iter().collect() } else { Vec::new() };
    }
    let mut folders = vec![folder_of(path).to_owned()];
    if is_link {
        folders
            .extend(path.canonicalize().ok().as_deref().and_then(Path::parent).map(Path::to_owned));
    }
    folders
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn folders_are_read_and_those_that_symlinks_lead_to() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["images", "builds", "builds/1", "elsewhere"] {
            fs::create_dir(at(name)).unwrap();
        }
        fs::write(at("builds/1/zfs.img"), "").unwrap();
        symlink("../builds/1/zfs.img", at("images/current.img")).unwrap();
        let read = |name: &str| {
            let mut files = Files::default();
            files.read_place(&at(name));
            files
                .readable()
                .iter()
                .map(|path| {
                    path.strip_prefix(folder.path().canonicalize().unwrap()).unwrap().to_owned()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(read("images"), ["builds/1", "images"].map(PathBuf::from));
        assert_eq!(read("images/current.img"), ["builds/1", "images"].map(PathBuf::from));
        assert_eq!(read("builds/1/zfs.img"), [PathBuf::from("builds/1")]);
        let mut files = Files::default();
        files.read_place(&at("missing/a.img"));
        assert_eq!(files.missing().collect::<Vec<_>>(), [&at("missing")]);
    }

    #[test]
    fn a_file_without_a_folder_is_in_this_one() {
        assert_eq!(folders_of(Path::new("no-such.img")), [PathBuf::from(".")]);
    }

    #[test]
    fn a_share_that_is_still_to_come_is_read_from_where_it_will_be() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().canonicalize().unwrap();
        assert_eq!(lasting(&here.join("share/images")), Some(here.clone()));
        fs::create_dir_all(here.join("share/images")).unwrap();
        assert_eq!(lasting(&here.join("share/images")), Some(here.join("share/images")));
        // A mount point, wherever it exists.
        assert_eq!(lasting(Path::new("/proc")), None);
        assert_eq!(lasting(Path::new("/no/such/folder")), None);
    }
}
