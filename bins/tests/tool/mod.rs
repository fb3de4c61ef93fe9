//! Runs the tools as a user does, and compares their output with transcripts.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use sha2::{Digest, Sha256};

/// The built tool `name`.
pub(crate) fn tool(name: &str) -> Command {
    Command::new(path(name))
}

/// The path of the built tool `name`.
pub(crate) fn path(name: &str) -> &'static str {
    match name {
        "mkimage" => env!("CARGO_BIN_EXE_mkimage"),
        "lookimage" => env!("CARGO_BIN_EXE_lookimage"),
        "bootserver" => env!("CARGO_BIN_EXE_bootserver"),
        "sledsim" => env!("CARGO_BIN_EXE_sledsim"),
        _ => panic!("there is no tool {name}"),
    }
}

/// A folder for one test, with a raw image of 1 MiB in it.
pub(crate) struct Desk {
    folder: tempfile::TempDir,
    transcript: String,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap(), transcript: String::new() };
        desk.write("raw", &raw());
        desk
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// The names of all files, in order.
    pub(crate) fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Runs a command line, its words separated by blanks (`_` stands for one within a word),
    /// and adds it and its output to the transcript.
    pub(crate) fn run(&mut self, line: &str) -> Output {
        let mut words = line.split(' ').map(|word| word.replace('_', " "));
        let mut command = tool(&words.next().unwrap());
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        let output = command.output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        let status = output.status.code().unwrap();
        let _ = write!(self.transcript, "$ {line}\n{out}");
        err.lines().for_each(|line| {
            let _ = writeln!(self.transcript, "! {}", without_time(line));
        });
        let _ = writeln!(self.transcript, "[{status}]\n");
        output
    }

    /// Runs a command line whose output is binary, and adds nothing to the transcript.
    pub(crate) fn pipe(&self, line: &str) -> Output {
        let mut words = line.split(' ');
        let mut command = tool(words.next().unwrap());
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Compares the transcript with the one in `golden/`; with `BLESS` set, replaces that one.
    pub(crate) fn assert_golden(&self, name: &str) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
        if std::env::var_os("BLESS").is_some() {
            fs::write(&path, &self.transcript).unwrap();
        }
        let golden = fs::read_to_string(&path).unwrap_or_default();
        assert!(
            golden == self.transcript,
            "{} says otherwise; if this is right, run the test with BLESS=1:\n{}",
            path.display(),
            self.transcript
        );
    }
}

/// A line of a log without the time at its start, if it has one.
fn without_time(line: &str) -> &str {
    let time = "2026-11-28T12:34:56.789Z ";
    let alike = |(one, other): (u8, u8)| one.is_ascii_digit() == other.is_ascii_digit();
    let is_timed = line.is_char_boundary(time.len().min(line.len()))
        && line.len() > time.len()
        && line.bytes().zip(time.bytes()).all(alike);
    if is_timed { &line[time.len()..] } else { line }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The raw image of the vectors: hashes of 0, 1, 2 ... followed by as many zeros.
pub(crate) fn raw() -> Vec<u8> {
    let mut raw: Vec<u8> = (0..16384_u64)
        .flat_map(|index| <[u8; 32]>::from(Sha256::digest(index.to_le_bytes())))
        .collect();
    raw.resize(1 << 20, 0);
    raw
}
