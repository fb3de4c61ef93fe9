//! The folder that fetched images are kept in, and served from.
//!
//! ```text
//! DIR/lock                            held by the one server that uses the folder
//!     images/SUM.img                  images that were checked, by the sum of their contents
//!     images/.KEY.part, .KEY.version  what is being fetched, and of which version it is
//!     sources/KEY/NAME -> SUM.img     what a source has in service: a folder that is watched
//!     sources/KEY.json                what is known of the source
//! ```

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, bail};
use boot_format::Checksum;
use serde::{Deserialize, Serialize};

use super::part::{Part, sync_folder, write_whole};
use super::remote::Version;
use crate::service::events::{Events, FetchEvent, What};
use crate::units::Bytes;

/// The folder, which no other process uses meanwhile.
#[derive(Debug)]
pub(super) struct Cache {
    folder: PathBuf,
    /// The most bytes of all images in it.
    limit: u64,
    events: Events,
    _lock: File,
}

/// What is known of a source from one run to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Known {
    /// Where it was, for people who look at the file.
    pub(super) url: String,
    /// The version that is in service.
    #[serde(flatten)]
    pub(super) version: Version,
    /// For a channel: the highest serial number, and the sum of the list that had it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) serial: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) list: Option<String>,
    /// When that list expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) expires: Option<i64>,
    /// For a folder: the version of each image in it, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) members: BTreeMap<String, Version>,
}

impl Cache {
    /// Opens the folder, creating it if it does not exist. What happens to it goes to `events`.
    ///
    /// # Errors
    ///
    /// If that can't be done, or another process uses it.
    pub(super) fn open(folder: &Path, limit: u64, events: Events) -> anyhow::Result<Self> {
        let shown = || format!("--cache {}", folder.display());
        let mut builder = fs::DirBuilder::new();
        // What others can write to would be served.
        builder.recursive(true).mode(0o755);
        for inner in ["images", "sources"] {
            builder.create(folder.join(inner)).with_context(shown)?;
        }
        let folder = fs::canonicalize(folder).with_context(shown)?;
        let lock = File::create(folder.join("lock")).with_context(shown)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                bail!("{}: another server uses it; each needs a folder of its own", shown())
            }
            Err(TryLockError::Error(error)) => return Err(error).with_context(shown),
        }
        Ok(Self { folder, limit, events, _lock: lock })
    }

    /// Tells what has happened to a source, or to the folder.
    pub(super) fn tell(&self, event: FetchEvent) {
        self.events.tell(What::Fetch(Box::new(event)));
    }

    /// The folder of what the source `key` has in service.
    ///
    /// # Errors
    ///
    /// If it can't be made.
    pub(super) fn place(&self, key: &str) -> io::Result<PathBuf> {
        let place = self.folder.join("sources").join(key);
        fs::create_dir_all(&place)?;
        Ok(place)
    }

    /// Where the image with this checksum is, or would be.
    pub(super) fn image(&self, sum: Checksum) -> PathBuf {
        self.images().join(format!("{sum}.img"))
    }

    fn images(&self) -> PathBuf {
        self.folder.join("images")
    }

    /// The unfinished file for `key`.
    pub(super) fn part(&self, key: &str) -> Part {
        Part::new(&self.images(), key)
    }

    /// What is known of the source `key`.
    pub(super) fn known(&self, key: &str) -> Known {
        let path = self.known_path(key);
        match fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).unwrap_or_else(|error| {
                let reason = error.to_string();
                self.tell(FetchEvent::Broken { path, reason, removed: false });
                Known::default()
            }),
            Err(_) => Known::default(),
        }
    }

    /// Keeps what is known of the source `key`, on the disk.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub(super) fn keep(&self, key: &str, known: &Known) -> io::Result<()> {
        write_whole(&self.known_path(key), &serde_json::to_vec_pretty(known)?)
    }

    fn known_path(&self, key: &str) -> PathBuf {
        self.folder.join("sources").join(format!("{key}.json"))
    }

    /// Gives the checked image in `part` its place.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub(super) fn adopt(&self, part: &Part, sum: Checksum) -> io::Result<()> {
        File::open(&part.path)?.sync_all()?;
        fs::rename(&part.path, self.image(sum))?;
        part.discard();
        sync_folder(&self.images())
    }

    /// Puts into the place of `key` these images by their names, and no others.
    ///
    /// # Errors
    ///
    /// If the system refuses. Then what was in service stays in service.
    pub(super) fn serve(&self, key: &str, images: &BTreeMap<String, Checksum>) -> io::Result<()> {
        let place = self.place(key)?;
        for (name, sum) in images {
            let (link, target) =
                (place.join(name), PathBuf::from(format!("../../images/{sum}.img")));
            if fs::read_link(&link).ok().as_ref() != Some(&target) {
                let new = place.join(format!(".{name}.new"));
                let _ = fs::remove_file(&new);
                symlink(&target, &new)?;
                fs::rename(&new, &link)?;
            }
        }
        // New names are added before old ones are removed.
        for (name, _) in self.served(key)? {
            if !images.contains_key(&name) {
                fs::remove_file(place.join(name))?;
            }
        }
        sync_folder(&place)
    }

    /// What is in the place of `key`.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub(super) fn served(&self, key: &str) -> io::Result<BTreeMap<String, Checksum>> {
        let mut served = BTreeMap::new();
        for entry in fs::read_dir(self.place(key)?)? {
            let entry = entry?;
            let sum = fs::read_link(entry.path()).ok().and_then(|target| sum_of(&target));
            if let (Ok(name), Some(sum)) = (entry.file_name().into_string(), sum)
                && !name.starts_with('.')
            {
                served.insert(name, sum);
            }
        }
        Ok(served)
    }

    /// Makes room for `bytes` more: removes images that no source has in service, oldest first.
    ///
    /// # Errors
    ///
    /// If that does not make enough room.
    pub(super) fn make_room(&self, bytes: u64) -> anyhow::Result<()> {
        let mut used = 0;
        let mut free = Vec::new();
        let served = self.all_served()?;
        for entry in fs::read_dir(self.images())? {
            let path = entry?.path();
            let Ok(there) = fs::metadata(&path) else { continue };
            used += there.len();
            if let Some(sum) = sum_of(&path)
                && !served.contains(&sum)
            {
                let when = there.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                free.push((when, there.len(), path));
            }
        }
        free.sort();
        for (_, size, path) in free {
            if used.saturating_add(bytes) <= self.limit {
                break;
            }
            fs::remove_file(&path)?;
            self.tell(FetchEvent::Evicted { path });
            used -= size;
        }
        if used.saturating_add(bytes) > self.limit {
            bail!(
                "no room for {} more beside {} in service: raise --cache-size, which is {}",
                Bytes(bytes),
                Bytes(used),
                Bytes(self.limit)
            );
        }
        Ok(())
    }

    /// Every image that any source has in service, also one that is not followed now.
    fn all_served(&self) -> io::Result<Vec<Checksum>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(self.folder.join("sources"))? {
            let entry = entry?;
            if let (true, Ok(key)) = (entry.file_type()?.is_dir(), entry.file_name().into_string())
            {
                all.extend(self.served(&key)?.into_values());
            }
        }
        Ok(all)
    }

    /// Forgets what sources other than `keys` had in service, and what was fetched for them.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub(super) fn forget_others(&self, keys: &[String]) -> io::Result<()> {
        for entry in fs::read_dir(self.folder.join("sources"))? {
            let entry = entry?;
            let known = |key: &String| entry.file_name() == OsStr::new(key);
            // A channel's serial number is remembered: it may be followed again.
            if entry.file_type()?.is_dir() && !keys.iter().any(known) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        self.discard_parts(|name| !keys.iter().any(|key| name.starts_with(&format!(".{key}."))))
    }

    /// Removes what was begun for the source `key`, and is no longer wanted.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub(super) fn discard_parts_of(&self, key: &str) -> io::Result<()> {
        self.discard_parts(|name| name.starts_with(&format!(".{key}.")))
    }

    fn discard_parts(&self, unwanted: impl Fn(&str) -> bool) -> io::Result<()> {
        for entry in fs::read_dir(self.images())? {
            let entry = entry?;
            let name = entry.file_name();
            if name.to_str().is_some_and(|name| name.starts_with('.') && unwanted(name)) {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

/// The checksum by which an image's file is called.
fn sum_of(path: &Path) -> Option<Checksum> {
    path.file_name()?.to_str()?.strip_suffix(".img")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(fill: u8) -> Checksum {
        Checksum::from_bytes([fill; 32])
    }

    fn filled(limit: u64, sums: &[u8]) -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), limit, Events::unheard()).unwrap();
        for (fill, age) in sums.iter().zip(1..) {
            let file = File::create(cache.image(sum(*fill))).unwrap();
            file.set_len(100).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(age))
                .unwrap();
        }
        (folder, cache)
    }

    fn serve(cache: &Cache, key: &str, images: &[(&str, u8)]) {
        let images = images.iter().map(|&(name, fill)| (name.to_owned(), sum(fill))).collect();
        cache.serve(key, &images).unwrap();
        assert_eq!(cache.served(key).unwrap(), images);
    }

    #[test]
    fn a_folder_has_one_server() {
        let (folder, cache) = filled(100, &[]);
        let error = Cache::open(folder.path(), 100, Events::unheard()).unwrap_err().to_string();
        assert!(error.contains("another server uses it"), "{error}");
        drop(cache);
        Cache::open(folder.path(), 100, Events::unheard()).unwrap();
    }

    #[test]
    fn what_is_in_service_is_never_removed_and_the_oldest_of_the_rest_first() {
        let (_folder, cache) = filled(450, &[1, 2, 3, 4]);
        serve(&cache, "one", &[("a.img", 1)]);
        cache.make_room(50).unwrap();
        assert!(cache.image(sum(2)).exists());
        cache.make_room(150).unwrap();
        assert!(!cache.image(sum(2)).exists() && cache.image(sum(3)).exists());
        let error = cache.make_room(400).unwrap_err().to_string();
        assert!(error.contains("--cache-size"), "{error}");
        assert!(cache.image(sum(1)).exists() && !cache.image(sum(4)).exists());
    }

    #[test]
    fn a_source_serves_what_it_has_now_and_nothing_else() {
        let (_folder, cache) = filled(1000, &[1, 2, 3]);
        serve(&cache, "one", &[("a.img", 1), ("b.img", 2)]);
        serve(&cache, "one", &[("b.img", 3)]);
        let there = fs::canonicalize(cache.place("one").unwrap().join("b.img")).unwrap();
        assert_eq!(there, cache.image(sum(3)));
        serve(&cache, "other", &[("c.img", 1)]);
        cache.keep("one", &Known { serial: Some(7), ..Known::default() }).unwrap();
        for part in [".one.part", ".other.part"] {
            fs::write(cache.images().join(part), "").unwrap();
        }
        cache.forget_others(&["other".to_owned()]).unwrap();
        assert!(!cache.part("one").path.exists() && cache.part("other").path.exists());
        assert_eq!(cache.all_served().unwrap(), [sum(1)]);
        assert_eq!(cache.known("one").serial, Some(7));
    }
}
