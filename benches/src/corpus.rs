//! A corpus of raw images that look like the work, made of what the machine has, and kept.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::images::MIB;

/// A member of the corpus.
#[derive(Clone, Debug)]
pub struct Member {
    /// What it is called.
    pub name: &'static str,
    /// Where it is.
    pub path: PathBuf,
    /// Its bytes.
    pub size: u64,
}

/// How a member is made.
enum Made {
    /// The start of a tar of these folders.
    Tar(&'static [&'static str]),
    /// The start of a tar of the files below a folder that end like this.
    Files(&'static str, &'static [&'static str]),
    /// An ext4 file system, three fifths full of files of a folder.
    Ext4(&'static str),
    /// By us: writes as many bytes as are asked for.
    Own(fn(&mut dyn Write, u64) -> io::Result<()>),
}

/// What there is: name, MiB, how it is made. The first ones take seconds, the last ones minutes.
const MEMBERS: &[(&str, u64, Made)] = &[
    ("tar-1", 1, Made::Tar(&["usr"])),
    ("tar-16", 16, Made::Tar(&["usr"])),
    ("tar-17", 17, Made::Tar(&["usr"])),
    ("tar-24", 24, Made::Tar(&["usr"])),
    ("zeros", 64, Made::Own(|out, size| fill(out, 0, size))),
    ("one-byte", 64, Made::Own(|out, size| fill(out, 0xa5, size))),
    ("zero-runs", 64, Made::Own(zero_runs)),
    ("odd-runs", 64, Made::Own(odd_runs)),
    ("packed", 16, Made::Files("usr", &["*.gz", "*.xz", "*.png", "*.jar", "*.zip", "*.whl"])),
    ("binaries", 48, Made::Files("usr", &["*.so", "*.so.*", "*.a", "*.o"])),
    ("text", 32, Made::Tar(&["usr/include"])),
    ("share", 48, Made::Tar(&["usr/share"])),
    ("zfs-like", 96, Made::Own(zfs_like)),
    ("ext4", 128, Made::Ext4("usr/include")),
    ("ext4-large", 1024, Made::Ext4("usr")),
    ("recovery", 2048, Made::Own(recovery)),
];

/// The members called `names`, or else all that take seconds, in a folder where they are kept:
/// `target/corpus`, or `BOOT_BENCH_DIR`. Those that can't be made here are left out; `left_out` is
/// called with the reason.
///
/// # Errors
///
/// If the folder can't be written.
pub fn corpus(
    names: &[String],
    left_out: &mut dyn FnMut(&str, &io::Error),
) -> io::Result<Vec<Member>> {
    let mut members = Vec::new();
    for &(name, mib, ref made) in MEMBERS {
        let wanted = if names.is_empty() { mib <= 128 } else { names.iter().any(|n| n == name) };
        if !wanted {
            continue;
        }
        match member(name, mib * MIB, made) {
            Ok(member) => members.push(member),
            Err(error) => left_out(name, &error),
        }
    }
    Ok(members)
}

/// The member called `name`; none, which standard error tells, if it can't be made here.
pub fn one(name: &str) -> Option<Member> {
    let mut left_out = |name: &str, why: &io::Error| eprintln!("{name} is left out: {why}");
    let made = corpus(&[name.to_owned()], &mut left_out);
    made.inspect_err(|error| eprintln!("{name} is left out: {error}")).ok()?.pop()
}

/// The file `name` beside the corpus, which `make` makes if it isn't there yet.
///
/// # Errors
///
/// If it can't be made.
pub fn kept(name: &str, make: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<PathBuf> {
    let folder = folder()?;
    let path = folder.join(name);
    if !path.exists() {
        let part = folder.join(format!("{name}.part"));
        make(&part).inspect_err(|_| drop(fs::remove_file(&part)))?;
        fs::rename(&part, &path)?;
    }
    Ok(path)
}

/// The names of all members.
pub fn names() -> impl Iterator<Item = &'static str> {
    MEMBERS.iter().map(|&(name, ..)| name)
}

/// Where all of it is kept.
fn folder() -> io::Result<PathBuf> {
    let chosen = std::env::var_os("BOOT_BENCH_DIR").map(PathBuf::from);
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../target");
    let target = || std::env::var_os("CARGO_TARGET_DIR").map_or_else(beside, PathBuf::from);
    let folder = chosen.unwrap_or_else(|| target().join("corpus"));
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn member(name: &'static str, size: u64, made: &Made) -> io::Result<Member> {
    let path = kept(name, |part| make(part, size, made))?;
    let size = fs::metadata(&path)?.len();
    Ok(Member { name, path, size })
}

fn make(path: &Path, size: u64, made: &Made) -> io::Result<()> {
    match made {
        Made::Tar(folders) => copy(&mut tar(folders, None)?, path, size),
        Made::Files(folder, endings) => copy(&mut tar(&[folder], Some(endings))?, path, size),
        Made::Ext4(folder) => ext4(path, size, folder),
        Made::Own(write) => {
            let mut out = BufWriter::new(File::create(path)?);
            write(&mut out, size)?;
            out.flush()
        }
    }
}

/// Ends the tar when it is no longer read.
struct Tar(std::process::Child);

impl Read for Tar {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        self.0.stdout.as_mut().map_or(Ok(0), |out| out.read(bytes))
    }
}

impl Drop for Tar {
    fn drop(&mut self) {
        drop(self.0.stdout.take());
        let _ = self.0.wait();
    }
}

/// A tar of folders, with their files in the order of their names.
fn tar(folders: &[&str], endings: Option<&[&str]>) -> io::Result<Tar> {
    let mut tar = Command::new("tar");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--ignore-failed-read", "-C", "/", "-cf-"]);
    match endings {
        None => drop(tar.args(folders)),
        Some(endings) => {
            let mut find = Command::new("find");
            find.current_dir("/").args(folders).args(["-type", "f", "("]);
            for (index, ending) in endings.iter().enumerate() {
                find.args((index > 0).then_some("-o")).args(["-name", ending]);
            }
            let found = find.args([")", "-print0"]).stderr(Stdio::null()).output()?.stdout;
            let mut names: Vec<_> = found.split(|&byte| byte == 0).collect();
            names.sort_unstable();
            let mut list = tempfile::NamedTempFile::new()?;
            names
                .iter()
                .try_for_each(|name| list.write_all(name).and_then(|()| list.write_all(b"\0")))?;
            let (_, list) = list.keep().map_err(|error| error.error)?;
            tar.arg("--null").arg("-T").arg(list);
        }
    }
    Ok(Tar(tar.stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?))
}

/// The start of what `from` gives, of `size` bytes at most.
fn copy(from: &mut dyn Read, path: &Path, size: u64) -> io::Result<()> {
    match io::copy(&mut from.take(size), &mut File::create(path)?)? {
        found if found < MIB => Err(io::Error::other(format!("only {found} bytes of it are here"))),
        _ => Ok(()),
    }
}

fn ext4(path: &Path, size: u64, folder: &str) -> io::Result<()> {
    let tree = tempfile::tempdir()?;
    let mut unpack = Command::new("tar");
    unpack.args(["-xf-", "-C"]).arg(tree.path()).stderr(Stdio::null()).stdin(Stdio::piped());
    let mut unpack = unpack.spawn()?;
    let mut part = tar(&[folder], None)?.take(size / 5 * 3);
    if let Some(mut input) = unpack.stdin.take() {
        io::copy(&mut part, &mut input)?;
    }
    // The last file may be cut off, which tar does not like.
    unpack.wait()?;
    File::create(path)?.set_len(size)?;
    // Some systems keep it where ordinary users don't look.
    let paths = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut mke2fs = Command::new("mke2fs");
    mke2fs.env("PATH", paths).args(["-q", "-F", "-t", "ext4", "-i4096", "-d"]).arg(tree.path());
    let status = mke2fs.arg(path).status().map_err(|error| {
        io::Error::new(error.kind(), format!("mke2fs, of the package e2fsprogs: {error}"))
    })?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("mke2fs: {status}"))) }
}

fn fill(out: &mut dyn Write, byte: u8, size: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(byte).take(size), out).map(drop)
}

/// Runs of zeros, each 128 KiB longer than the one before, with 4 KiB of noise between them.
fn zero_runs(out: &mut dyn Write, size: u64) -> io::Result<()> {
    let mut random = fastrand::Rng::with_seed(1);
    let (mut left, mut run) = (size, 0);
    while left > 0 {
        run = (run + (128 << 10)) % (4 << 20);
        let zeros = run.min(left);
        fill(out, 0, zeros)?;
        let noise = (left - zeros).min(4096);
        out.write_all(&random_bytes(&mut random, noise))?;
        left -= zeros + noise;
    }
    Ok(())
}

/// Runs of any byte, often zero, that begin and end anywhere, with anything between them.
fn odd_runs(out: &mut dyn Write, size: u64) -> io::Result<()> {
    let mut random = fastrand::Rng::with_seed(2);
    let mut left = size;
    while left > 0 {
        let byte = if random.bool() { 0 } else { random.u8(..) };
        let order = random.u32(1..21);
        let length = random.u64(1..1 << order).min(left);
        fill(out, byte, length)?;
        left -= length;
        let between = random.u64(1..600).min(left);
        let bytes = random_bytes(&mut random, between);
        let kinds = random.u8(1..);
        out.write_all(&bytes.iter().map(|byte| byte % kinds).collect::<Vec<_>>())?;
        left -= between;
    }
    Ok(())
}

/// A pool without compression, as a recovery image's: records of up to 128 KiB of files, each at a
/// multiple of 4 KiB, beside metadata that is hardly more than pointers and zeros, and free space.
fn zfs_like(out: &mut dyn Write, size: u64) -> io::Result<()> {
    let mut random = fastrand::Rng::with_seed(3);
    let mut files = tar(&["usr"], None)?;
    let mut left = size;
    while left > 0 {
        let mut block = match random.u8(..10) {
            0 => metadata(&mut random),
            1 => vec![0; 4096 << random.u8(..8)],
            _ => {
                let length = (512 << random.u8(..=8)) - random.usize(..512);
                let mut record = vec![0; length];
                files.read_exact(&mut record)?;
                record
            }
        };
        block.resize(block.len().next_multiple_of(4096), 0);
        block.truncate(left as usize);
        out.write_all(&block)?;
        left -= block.len() as u64;
    }
    Ok(())
}

/// Block pointers: mostly zeros, with sizes that recur, addresses and sums.
fn metadata(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut block = Vec::new();
    for index in 0..random.u64(8..128) {
        let mut pointer = [0; 128];
        pointer[..8].copy_from_slice(&(1_u64 << 32 | 0x100).to_le_bytes());
        pointer[8..16].copy_from_slice(&(random.u64(..1 << 24) * 8).to_le_bytes());
        pointer[48..56].copy_from_slice(&0x8007_021f_00ff_00ff_u64.to_le_bytes());
        pointer[80..88].copy_from_slice(&(1000 + index / 7).to_le_bytes());
        random.fill(&mut pointer[96..]);
        block.extend_from_slice(&pointer);
    }
    block
}

/// As a recovery image: 600 MiB of files, and zeros.
fn recovery(out: &mut dyn Write, size: u64) -> io::Result<()> {
    let files = size / 2048 * 600;
    let copied = io::copy(&mut tar(&["usr"], None)?.take(files), out)?;
    fill(out, 0, size - copied)
}

fn random_bytes(random: &mut fastrand::Rng, count: u64) -> Vec<u8> {
    let mut bytes = vec![0; count as usize];
    random.fill(&mut bytes);
    bytes
}
