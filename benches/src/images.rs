//! Raw images to measure with, made of real files.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use boot_format::wire::BLOCK;
use boot_format::{Checksum, Header, Name};
use boot_image::Contents;
use boot_image::pack::{PackOptions, Packed, pack};

/// Bytes in a MiB.
pub const MIB: u64 = 1 << 20;

/// A folder with raw images, which goes when this is dropped.
#[derive(Debug)]
pub struct Images {
    folder: tempfile::TempDir,
}

impl Images {
    /// A new folder, in memory where the system has a file system for that: or else what one
    /// variant wrote would go to disk while the next is measured. `BOOT_BENCH_DIR` may name
    /// another place.
    ///
    /// # Errors
    ///
    /// If there can't be one.
    pub fn new() -> io::Result<Self> {
        let chosen = std::env::var_os("BOOT_BENCH_DIR").map(PathBuf::from);
        let memory = Some(PathBuf::from("/dev/shm")).filter(|folder| folder.is_dir());
        let parent = chosen.or(memory).unwrap_or_else(std::env::temp_dir);
        Ok(Self { folder: tempfile::Builder::new().prefix("boot-bench-").tempdir_in(parent)? })
    }

    /// Where `name` is, or could be.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// An ext4 file system of `mib` MiB with files of /usr in it, three fifths full: as
    /// a recovery image, it is to a good part zeros.
    ///
    /// # Errors
    ///
    /// If it can't be made, for one thing because there is no `mke2fs`.
    pub fn ext4(&self, mib: u64) -> io::Result<PathBuf> {
        let tree = self.tree(&USR, mib * MIB / 5 * 3)?;
        let path = self.path("ext4.raw");
        File::create(&path)?.set_len(mib * MIB)?;
        let mut mke2fs = Command::new(program("mke2fs", "e2fsprogs")?);
        // Small ones have a file for every few KiB, and by default not so many inodes.
        mke2fs.args(["-q", "-t", "ext4"]).args((mib < 64).then_some("-i4096"));
        run(mke2fs.arg("-d").arg(&tree).arg(&path))?;
        fs::remove_dir_all(tree)?;
        // Written out now, it does not get in the way of what is measured.
        File::open(&path)?.sync_all()?;
        Ok(path)
    }

    /// A tar of files of /usr, of `mib` MiB at most.
    ///
    /// # Errors
    ///
    /// If it can't be made.
    pub fn tar(&self, mib: u64) -> io::Result<PathBuf> {
        let tree = self.tree(&USR, mib * MIB / 10 * 9)?;
        let path = self.path("tar.raw");
        run(Command::new("tar").arg("-cf").arg(&path).arg("-C").arg(&tree).arg("."))?;
        fs::remove_dir_all(tree)?;
        Ok(path)
    }

    /// The first `content` MiB of `of`, and `zeros` MiB of zeros that are written behind them.
    ///
    /// # Errors
    ///
    /// If it can't be written.
    pub fn with_zeros(&self, of: &Path, content: u64, zeros: u64) -> io::Result<PathBuf> {
        let path = self.path(&format!("zeros-{content}-{zeros}.raw"));
        let mut raw = File::create(&path)?;
        io::copy(&mut io::Read::take(File::open(of)?, content * MIB), &mut raw)?;
        for _ in 0..zeros {
            raw.write_all(&vec![0; MIB as usize])?;
        }
        raw.sync_all()?;
        Ok(path)
    }

    /// Bytes that nothing makes smaller.
    ///
    /// # Errors
    ///
    /// If they can't be written.
    pub fn random(&self, mib: u64) -> io::Result<PathBuf> {
        let path = self.path("random.raw");
        let mut raw = File::create(&path)?;
        let mut random = fastrand::Rng::with_seed(1);
        let mut block = vec![0; MIB as usize];
        for _ in 0..mib {
            random.fill(&mut block);
            raw.write_all(&block)?;
        }
        Ok(path)
    }

    /// A folder with a part of what is in `folders` that has `bytes` bytes or a little less. Prints
    /// what it leaves out because it can't be read.
    fn tree(&self, folders: &[&str], bytes: u64) -> io::Result<PathBuf> {
        let tree = self.path("tree");
        fs::create_dir_all(&tree)?;
        let mut left = bytes;
        let mut folders: Vec<_> = folders.iter().map(PathBuf::from).collect();
        while let Some(folder) = folders.pop() {
            let copy = tree.join(folder.strip_prefix("/").unwrap_or(&folder));
            let entries = fs::read_dir(&folder).and_then(Iterator::collect::<io::Result<Vec<_>>>);
            let mut entries = left_out(&folder, entries)?.unwrap_or_default();
            entries.sort_by_key(fs::DirEntry::file_name);
            for entry in entries {
                let (kind, path) = (entry.file_type()?, entry.path());
                let Some(there) = left_out(&path, entry.metadata())? else {
                    continue;
                };
                let size = there.len().next_multiple_of(4096) + 512;
                if kind.is_dir() {
                    folders.push(path);
                } else if kind.is_file()
                    && size <= left.min(bytes / 8)
                    && let Some(mut file) = left_out(&path, File::open(&path))?
                {
                    // No folder is there without a file: small images have few inodes.
                    fs::create_dir_all(&copy)?;
                    io::copy(&mut file, &mut File::create(copy.join(entry.file_name()))?)?;
                    left -= size;
                }
            }
        }
        Ok(tree)
    }
}

/// Where files of all kinds are.
const USR: [&str; 3] = ["/usr/share", "/usr/lib", "/usr/bin"];

/// What was read of `path`; nothing if that is denied to this user, or it has gone, which is said.
fn left_out<T>(path: &Path, read: io::Result<T>) -> io::Result<Option<T>> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::PermissionDenied | io::ErrorKind::NotFound
            ) =>
        {
            eprintln!("images: left out {}: {error}", path.display());
            Ok(None)
        }
        Err(error) => Err(io::Error::other(format!("{}: {error}", path.display()))),
    }
}

/// Where the program `name` is: many users' PATH lacks the folders of those for administrators.
fn program(name: &str, package: &str) -> io::Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin"].map(PathBuf::from));
    let mut found = folders.map(|folder| folder.join(name)).filter(|file| file.is_file());
    found.next().ok_or_else(|| {
        io::Error::other(format!("{name} is missing: install the package {package}"))
    })
}

fn run(command: &mut Command) -> io::Result<()> {
    let status = command.status().map_err(|error| {
        let program = command.get_program().display();
        let package = if command.get_program() == "mke2fs" { "e2fsprogs" } else { "tar" };
        let kind = error.kind();
        io::Error::new(kind, format!("{program} is needed: install the package {package}: {error}"))
    })?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("{command:?}: {status}"))) }
}

/// Packs `raw` to `image`, as `mkimage` does: compressed to a level, or as it is.
///
/// # Panics
///
/// If that fails.
pub fn pack_file(raw: &Path, image: &Path, level: Option<u8>, threads: Option<usize>) -> Packed {
    let raw = File::open(raw).expect("the raw image is there");
    let size = raw.metadata().expect("the raw image is there").len();
    let image = File::create(image).expect("the image can be written");
    let options = PackOptions {
        image_name: Name::new("bench").expect("it is short"),
        dataset: Name::new("rpool/ROOT/ramdisk").expect("it is short"),
        target_size: size,
        level,
        threads: threads.and_then(std::num::NonZeroUsize::new),
        pad: false,
    };
    pack(&raw, size, &image, &options, &mut |_| true).expect("it can be packed")
}

/// Reads all of a file, so that it is in memory.
///
/// # Panics
///
/// If that fails.
pub fn warm(path: &Path) {
    let file = File::open(path).expect("it is there");
    let mut block = vec![0; MIB as usize];
    let mut at = 0;
    loop {
        match file.read_at(&mut block, at).expect("it can be read") {
            0 => break,
            more => at += more as u64,
        }
    }
}

/// The most memory that this process has had so far, in KiB, as Linux says.
pub fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Words as they come, which compress about as well as files do.
pub fn text(length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(7);
    let words: Vec<Vec<u8>> = (0..4000)
        .map(|_| std::iter::repeat_with(|| random.u8(b'a'..=b'z')).take(9).collect())
        .collect();
    let mut bytes = Vec::with_capacity(length + 16);
    while bytes.len() < length {
        // Some words are much more frequent than others.
        let index = random.usize(..4000).min(random.usize(..4000)).min(random.usize(..4000));
        bytes.extend_from_slice(&words[index][..2 + index % 8]);
        bytes.push(b" \n_.("[index % 5]);
    }
    bytes.truncate(length);
    bytes
}

/// The contents of an image of `size` bytes, no two blocks of which are the same.
///
/// # Panics
///
/// If there is no memory for it.
pub fn contents(size: usize) -> Contents {
    let fill = |bytes: &mut [u8]| {
        for (block, number) in bytes.chunks_exact_mut(BLOCK).zip(0_u64..) {
            block.fill(number as u8);
            block[..8].copy_from_slice(&number.to_le_bytes());
        }
    };
    Contents::build(size, size as u64, "", "rpool", fill).expect("there is memory")
}

/// The header of an uncompressed image of 1 MiB.
///
/// # Panics
///
/// Never: its names fit.
pub fn header_of_an_image() -> Header {
    Header {
        compressed: false,
        data_size: 1 << 20,
        image_size: 1 << 20,
        target_size: 1 << 30,
        checksum: Checksum::from_bytes([7; 32]),
        dataset: Name::new("rpool/ROOT/ramdisk").expect("it is a name"),
        image_name: Name::new("ci 1234").expect("it is a name"),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_may_not_be_read_is_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["a", "denied", "z"] {
            fs::create_dir(path(name)).unwrap();
            fs::write(path(name).join("file"), name).unwrap();
        }
        fs::set_permissions(path("denied"), fs::Permissions::from_mode(0o0)).unwrap();
        let images = Images::new().unwrap();
        let (whole, missing) = (path(""), path("missing"));
        let folders = [whole.to_str().unwrap(), missing.to_str().unwrap()];
        let tree = images.tree(&folders, MIB).unwrap();
        let copy = tree.join(whole.strip_prefix("/").unwrap());
        for name in ["a", "z"] {
            assert_eq!(fs::read_to_string(copy.join(name).join("file")).unwrap(), name);
        }
        fs::set_permissions(path("denied"), fs::Permissions::from_mode(0o700)).unwrap();
    }
}
