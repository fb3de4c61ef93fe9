//! The images in service: loaded once, looked at again when a sled says HELLO.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, ensure};
use boot_format::Checksum;
use boot_image::Contents;
use boot_tools::say;
use boot_tools::units::Bytes;

/// Files and folders of images, and their contents as they were when they were last good.
///
/// Shared by all workers. Whoever notices a change starts a thread that loads and checks the
/// new file; until it is done [`Library::is_loading`], and then the edition counts up.
#[derive(Debug)]
pub(crate) struct Library {
    places: Vec<PathBuf>,
    /// Whether images are mapped, not read into memory.
    map: bool,
    shelf: Mutex<Vec<Book>>,
    edition: AtomicU64,
    loading: AtomicBool,
}

/// One image file.
#[derive(Clone, Debug)]
struct Book {
    path: PathBuf,
    /// What the file was when it was last looked at, good or not; `None` once it is gone.
    stamp: Option<Stamp>,
    contents: Option<Contents>,
}

impl Book {
    /// Whether the contents are still what they were, now that the file looks like this.
    fn is_sound(&self, now: Option<Stamp>) -> bool {
        let place = |stamp: Stamp| (stamp.device, stamp.inode);
        let mapped = self.contents.as_ref().is_some_and(Contents::is_mapped);
        !mapped || self.stamp.map(place) != now.map(place)
    }
}

/// What changes when a file is replaced or written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl From<Metadata> for Stamp {
    fn from(file: Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

impl Library {
    /// Loads and checks the images at `places`: files, or folders of them.
    ///
    /// # Errors
    ///
    /// If one of the files is no image that can boot over the network, or a folder has none.
    pub(crate) fn open(places: Vec<PathBuf>, map: bool) -> anyhow::Result<Self> {
        let mut shelf = Vec::new();
        for place in &places {
            let before = shelf.len();
            for path in files_at(place)? {
                let stamp = stamp(&path);
                match load(&path, map) {
                    Ok(contents) => shelf.push(Book { path, stamp, contents: Some(contents) }),
                    Err(error) if path != *place => {
                        say!("bootserver: passed over: {error:#}");
                        shelf.push(Book { path, stamp, contents: None });
                    }
                    Err(error) => return Err(error),
                }
            }
            let found = shelf[before..].iter().any(|book| book.contents.is_some());
            ensure!(found, "{}: no image in this folder", place.display());
        }
        Ok(Self {
            places,
            map,
            shelf: Mutex::new(shelf),
            edition: AtomicU64::new(1),
            loading: AtomicBool::new(false),
        })
    }

    /// Counts up whenever what is in service has changed.
    pub(crate) fn edition(&self) -> u64 {
        self.edition.load(Ordering::Acquire)
    }

    /// Whether a changed file is being checked.
    pub(crate) fn is_loading(&self) -> bool {
        self.loading.load(Ordering::Acquire)
    }

    /// The images in service.
    pub(crate) fn images(&self) -> Vec<Contents> {
        self.shelf().iter().filter_map(|book| book.contents.clone()).collect()
    }

    /// The checksum of the image that was loaded from `path`.
    pub(crate) fn checksum_of(&self, path: &Path) -> Option<Checksum> {
        let shelf = self.shelf();
        let book = shelf.iter().find(|book| book.path == path)?;
        book.contents.as_ref().map(Contents::checksum)
    }

    /// Looks whether a file has changed, and if so (or if `anyway`) has it loaded beside.
    pub(crate) fn look(self: &Arc<Self>, anyway: bool) {
        if self.is_loading() {
            return;
        }
        let paths = self.paths();
        let changed = {
            let shelf = self.shelf();
            paths.len() != shelf.len()
                || shelf
                    .iter()
                    .any(|book| !paths.contains(&book.path) || stamp(&book.path) != book.stamp)
        };
        if !(changed || anyway) || self.loading.swap(true, Ordering::AcqRel) {
            return;
        }
        let library = Arc::clone(self);
        std::thread::spawn(move || {
            // Whatever happens in there, sleds must not wait for ever.
            let _done = Done(&library);
            library.load_changed(&paths, anyway);
        });
    }

    fn load_changed(&self, paths: &[PathBuf], anyway: bool) {
        let old = self.shelf().clone();
        let mut shelf = Vec::new();
        for path in paths {
            let known = old.iter().find(|book| book.path == *path);
            let now = stamp(path);
            let mut book = Book { path: path.clone(), stamp: now, contents: None };
            match known {
                Some(known) if known.stamp == now && !anyway => {
                    book.contents.clone_from(&known.contents);
                }
                _ if now.is_none() => say_gone(path),
                _ => {
                    let why = match known {
                        Some(known) if known.stamp == now => "checking it again",
                        Some(_) => "has changed, checking it",
                        None => "is new, checking it",
                    };
                    say!("bootserver: {}: {why}", path.display());
                    book.contents = match load(path, self.map) {
                        Ok(contents) => Some(contents),
                        Err(error) => {
                            let before = known.and_then(|known| known.contents.clone());
                            let sound = known.is_some_and(|known| known.is_sound(now));
                            let kept = match &before {
                                Some(_) if sound => ": the old one stays in service",
                                Some(_) => ": it was mapped, so the old one is lost",
                                None => "",
                            };
                            say!("bootserver: {error:#}{kept}");
                            before.filter(|_| sound)
                        }
                    };
                }
            }
            shelf.push(book);
        }
        for book in &old {
            if book.contents.is_some() && !paths.contains(&book.path) {
                say_gone(&book.path);
            }
        }
        *self.shelf() = shelf;
    }

    /// Every file that is an image or may become one.
    fn paths(&self) -> Vec<PathBuf> {
        let there = |place: &PathBuf| files_at(place).unwrap_or_else(|_| vec![place.clone()]);
        self.places.iter().flat_map(there).collect()
    }

    fn shelf(&self) -> MutexGuard<'_, Vec<Book>> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the loading, also when it panicked.
struct Done<'a>(&'a Library);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.edition.fetch_add(1, Ordering::AcqRel);
        self.0.loading.store(false, Ordering::Release);
    }
}

fn say_gone(path: &Path) {
    say!("bootserver: {}: the image is gone: it is not offered", path.display());
}

/// `place` itself, or the files in it if it is a folder, in the order of their names.
fn files_at(place: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if !place.is_dir() {
        return Ok(vec![place.to_owned()]);
    }
    let entries = fs::read_dir(place).with_context(|| place.display().to_string())?;
    let mut files: Vec<_> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.is_file() && !is_hidden(path))
        .collect();
    files.sort();
    Ok(files)
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn stamp(path: &Path) -> Option<Stamp> {
    fs::metadata(path).ok().map(Stamp::from)
}

fn load(path: &Path, map: bool) -> anyhow::Result<Contents> {
    let contents = if map { Contents::map(path)? } else { Contents::load(path)? };
    say!(
        "bootserver: {}: {}{}, sha256 {}{}",
        path.display(),
        if contents.image_name().is_empty() {
            String::new()
        } else {
            format!("{:?}, ", contents.image_name())
        },
        Bytes(contents.bytes().len() as u64),
        contents.checksum(),
        if contents.is_mapped() { ", mapped" } else { "" }
    );
    Ok(contents)
}
