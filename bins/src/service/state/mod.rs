//! The file in which the server keeps which sled took which image.
//!
//! A line for each sled, with its link and address, and a checksum; the oldest first. Lines without
//! a link, as old files have them, apply to the sled on every link. After them come the images that
//! sleds were to boot once, and have; and those that were assigned while serving.

mod keeper;
mod memory;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crate::output::Output;
use crate::small;
use crate::stderr;
use crate::stderr::record::Level;
use anyhow::{Context, bail, ensure};

pub(crate) use self::keeper::{Keeper, Learnt};
pub(crate) use self::memory::Memory;

/// More than [`Memory::MOST`] lines take, each with the longest name that a link can have, and the
/// orders with the longest paths.
const MOST_BYTES: u64 = 16 << 20;
/// Bad lines that are reported; a file of another kind has more.
const MOST_FAULTS: usize = 10;

/// The file's memory; empty if the file does not exist. Lines that do not parse are reported and
/// skipped.
///
/// # Errors
///
/// If it is not a regular file, can't be read, or can't be replaced.
pub(crate) fn open(path: &Path) -> anyhow::Result<Memory> {
    let (memory, faults) = read(path).with_context(|| shown(path))?;
    try_write(path)?;
    for (number, fault) in faults.iter().take(MOST_FAULTS) {
        say(&format!("{}, line {number}: skipped: {fault}", path.display()));
    }
    if faults.len() > MOST_FAULTS {
        let more = faults.len() - MOST_FAULTS;
        say(&format!("{}: {more} more such lines are skipped", path.display()));
    }
    Ok(memory)
}

/// Whether it can be written: what can't be begun now can't be written later.
///
/// # Errors
///
/// If it can't.
pub(crate) fn try_write(path: &Path) -> anyhow::Result<()> {
    let output = Output::begin(path).context("--state")?;
    ensure!(!output.is_stdout(), "{}: standard output keeps nothing", shown(path));
    Ok(())
}

/// Nothing is served yet, so there is no thread of events.
fn say(text: &str) {
    stderr::graded(Level::Warn, &format!("bootserver: {text}"));
}

fn read(path: &Path) -> anyhow::Result<(Memory, Vec<(usize, String)>)> {
    match fs::metadata(path) {
        Ok(there) if there.is_dir() => bail!("is a folder, not a file"),
        // To open a pipe is to wait for its other end, and to open a device may be to act on it.
        Ok(there) => ensure!(there.is_file(), "not a regular file"),
        // Whether one can be created there is checked next.
        Err(_) => return Ok(Default::default()),
    }
    let text = small::read(path, MOST_BYTES)?;
    let text =
        text.with_context(|| format!("more than {MOST_BYTES} bytes, so not a state file"))?;
    Ok(Memory::parse(&text))
}

/// Replaces the file, or the one that a symlink leads to, whole or not at all, on the disk too.
fn write(path: &Path, memory: &Memory) -> anyhow::Result<()> {
    let output = Output::begin(path).context("--state")?;
    output.file().write_all(memory.text().as_bytes()).with_context(|| shown(path))?;
    output.file().sync_all().with_context(|| shown(path))?;
    output.finish().context("--state")?;
    let place = fs::canonicalize(path).with_context(|| shown(path))?;
    // A new name is on the disk only once its folder is. Not every file system can do that.
    if let Some(folder) = place.parent() {
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
    }
    Ok(())
}

fn shown(path: &Path) -> String {
    format!("--state {}", path.display())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use boot_format::Checksum;
    use boot_format::wire::MacAddr;
    use rustix::fs::{CWD, FileType, Mode, mknodat};

    use super::*;
    use crate::service::sled_at::SledAt;

    fn memory() -> Memory {
        let mut memory = Memory::default();
        let sled = SledAt { link: None, address: MacAddr::new([2, 0, 0, 0, 0, 1]) };
        memory.learn(sled, Checksum::from_bytes([7; 32]));
        memory
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_symlink_stays_one_and_its_file_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link] = ["file", "link"].map(|name| folder.path().join(name));
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        symlink("file", &link).unwrap();
        write(&link, &memory()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(mode(&file), 0o640);
        assert!(open(&file).unwrap().iter().eq(memory().iter()));
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_symlink_to_nothing_has_its_file_made_as_any_new_file_is() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, other] = ["file", "link", "other"].map(|name| folder.path().join(name));
        symlink("file", &link).unwrap();
        assert_eq!(open(&link).unwrap().iter().count(), 0);
        write(&link, &memory()).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(open(&file).unwrap().iter().eq(memory().iter()));
        // By the umask.
        fs::write(&other, "").unwrap();
        assert_eq!(mode(&file), mode(&other));
    }

    #[test]
    fn what_can_never_be_written_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let [long, pipe, lost] = ["long", "pipe", "lost"].map(|name| folder.path().join(name));
        fs::write(&long, vec![b'\n'; MOST_BYTES as usize + 1]).unwrap();
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RWXU, 0).unwrap();
        symlink("missing/state", &lost).unwrap();
        for (path, reason) in [
            (folder.path().to_owned(), "is a folder, not a file"),
            (folder.path().join("missing/state"), "No such file"),
            (lost, "No such file"),
            (pipe, "not a regular file"),
            ("/dev/null".into(), "not a regular file"),
            (long, "not a state file"),
        ] {
            let error = format!("{:#}", open(&path).unwrap_err());
            assert!(error.starts_with("--state") && error.contains(reason), "{error}");
        }
    }
}
