//! Which sled took which image, and the file in which that is kept.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, ensure};
use boot_format::Checksum;
use boot_tools::say;
use crossbeam::channel::{self, Sender};
use tempfile::NamedTempFile;

use crate::sled_at::SledAt;

type Entry = (SledAt, Checksum);

/// Which sled took which image last, and the file that keeps it from one life of the server to the
/// next: a line for each sled, with its link and address, and a checksum; the oldest first. Lines
/// without a link, as files of old have them, are about the sled on every link.
#[derive(Debug)]
pub(crate) struct State {
    /// The file, at the end of all symlinks.
    path: Option<PathBuf>,
    /// The oldest first.
    entries: Mutex<Vec<Entry>>,
    learnt: Option<Sender<()>>,
}

impl State {
    /// As many as the engine remembers for each link; beyond, the oldest is dropped.
    const MOST: usize = 4096;
    /// From learning something to writing it: what is learnt meanwhile goes with it.
    const SOON: Duration = Duration::from_secs(1);

    /// Reads the file and keeps it written. Lines of another form are reported and skipped.
    ///
    /// # Errors
    ///
    /// If the file can't be read, or could not be replaced.
    pub(crate) fn open(path: Option<&Path>) -> anyhow::Result<Arc<Self>> {
        let Some(path) = path else {
            return Ok(Arc::new(Self { path: None, entries: Mutex::default(), learnt: None }));
        };
        let shown = || format!("--state {}", path.display());
        let entries = read(path).with_context(shown)?;
        // The file that a symlink leads to is replaced, not the symlink.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        ensure!(!path.is_dir(), "--state {}: a folder, where a file is wanted", path.display());
        NamedTempFile::new_in(folder(&path))
            .with_context(|| format!("{}: can't be replaced", shown()))?;
        let (learnt, wake) = channel::bounded(1);
        let state = Self { path: Some(path), entries: Mutex::new(entries), learnt: Some(learnt) };
        let state = Arc::new(state);
        let writer = Arc::clone(&state);
        std::thread::Builder::new().name("state".to_owned()).spawn(move || {
            let mut failed = false;
            while wake.recv().is_ok() {
                std::thread::sleep(Self::SOON);
                let result = writer.write();
                // Report a full disk once, not every second.
                if let Err(error) = &result
                    && !failed
                {
                    say!("bootserver: {error:#}");
                }
                failed = result.is_err();
            }
        })?;
        Ok(state)
    }

    /// A sled has booted from an image.
    pub(crate) fn learn(&self, sled: SledAt, image: Checksum) {
        let mut entries = self.entries();
        if entries.last() == Some(&(sled.clone(), image)) {
            return;
        }
        entries.retain(|(known, _)| *known != sled);
        entries.push((sled, image));
        let surplus = entries.len().saturating_sub(Self::MOST);
        entries.drain(..surplus);
        drop(entries);
        if let Some(learnt) = &self.learnt {
            // If one waits already, this goes with it.
            let _ = learnt.try_send(());
        }
    }

    /// All that is known.
    pub(crate) fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the file, whole or not at all; its mode stays.
    ///
    /// # Errors
    ///
    /// If it can't be written.
    pub(crate) fn write(&self) -> anyhow::Result<()> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let entries = self.entries().clone();
        let replace = || {
            let mode = fs::metadata(path).map_or(0o644, |old| old.mode() & 0o7777);
            let mut file = NamedTempFile::new_in(folder(path))?;
            for (sled, image) in &entries {
                writeln!(file, "{sled} {image}")?;
            }
            file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
            file.as_file().sync_all()?;
            file.persist(path)?;
            io::Result::Ok(())
        };
        replace().with_context(|| format!("--state {}", path.display()))
    }
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What the file says. A file that does not exist says nothing.
fn read(path: &Path) -> io::Result<Vec<Entry>> {
    let text = match fs::read(path) {
        Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut entries = Vec::new();
    for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
        match parse(line) {
            Ok(entry) => entries.push(entry),
            Err(why) => say!("bootserver: {}, line {number}: skipped: {why}", path.display()),
        }
    }
    let surplus = entries.len().saturating_sub(State::MOST);
    Ok(entries.split_off(surplus))
}

fn parse(line: &str) -> Result<Entry, String> {
    let (sled, image) =
        line.split_once(' ').ok_or_else(|| format!("{line:?}: expected SLED CHECKSUM"))?;
    let image = image.trim().parse().map_err(|error| format!("{image:?}: {error}"))?;
    Ok((sled.parse()?, image))
}

#[cfg(test)]
mod tests {
    use boot_format::wire::MacAddr;

    use super::*;

    fn sled(link: Option<&str>, number: u16) -> SledAt {
        let address = MacAddr::new([2, 0, 0, 0, 0, 0]).nth_after(number);
        SledAt { link: link.map(str::to_owned), address }
    }

    const IMAGE: Checksum = Checksum::from_bytes([7; 32]);

    #[test]
    fn what_is_learnt_is_read_back_the_oldest_first() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let state = State::open(Some(&path)).unwrap();
        for link in [None, Some("net0"), Some("net1"), None] {
            state.learn(sled(link, 1), IMAGE);
        }
        state.write().unwrap();
        let order = [Some("net0"), Some("net1"), None].map(|link| (sled(link, 1), IMAGE));
        assert_eq!(read(&path).unwrap(), order);
    }

    #[test]
    fn it_has_a_bound_and_drops_the_oldest() {
        let state = State::open(None).unwrap();
        for number in 0..5000 {
            state.learn(sled(None, number), IMAGE);
        }
        assert_eq!(state.entries().len(), State::MOST);
        assert_eq!(state.entries()[0].0, sled(None, 5000 - State::MOST as u16));
    }

    #[test]
    fn a_symlink_stays_one_and_the_file_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let state = State::open(Some(&link)).unwrap();
        state.learn(sled(None, 1), IMAGE);
        state.write().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(read(&file).unwrap().len(), 1);
    }

    #[test]
    fn a_line_of_another_form_is_skipped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let good = format!("02:00:00:00:00:01 {}", "07".repeat(32));
        fs::write(&path, format!("\n02:00:00:00:00:01 abc\nrubbish\n{good}\n")).unwrap();
        assert_eq!(read(&path).unwrap(), [(sled(None, 1), IMAGE)]);
        assert!(parse("02:00:00:00:00:01 abc").unwrap_err().contains("64 hexadecimal digits"));
        assert!(parse("rubbish").unwrap_err().contains("expected SLED CHECKSUM"));
    }

    #[test]
    fn what_can_not_be_replaced_is_refused_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().to_owned(), folder.path().join("none/state")] {
            let error = format!("{:#}", State::open(Some(&path)).unwrap_err());
            assert!(error.starts_with("--state "), "{error}");
        }
    }
}
