//! Where and of what it was measured.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::available_parallelism;
use std::time::SystemTime;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::cli::entry::Figures;

/// What figures depend on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu: String,
    pub(crate) cores: usize,
    pub(crate) kernel: String,
}

impl Machine {
    /// The one that this runs on.
    pub(crate) fn this() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        let cpu = model.map_or("unknown", |line| line.trim_start_matches(['\t', ' ', ':']));
        Self {
            cpu: cpu.to_owned(),
            cores: available_parallelism().map_or(1, usize::from),
            kernel: said_by("uname", &["-r"]).unwrap_or_else(|| "unknown".to_owned()),
        }
    }
}

/// The root of the repository.
pub(crate) fn repository() -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    root.canonicalize().unwrap_or(root)
}

/// The commit that is checked out, `+` behind it if files were changed.
pub(crate) fn commit() -> String {
    let root = repository();
    let git = |arguments: &[&str]| {
        let root = root.to_string_lossy();
        said_by("git", &[&["-C", &root], arguments].concat())
    };
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_else(|| "unknown".to_owned());
    let is_changed = git(&["status", "--porcelain"]).is_some_and(|files| !files.is_empty());
    if is_changed { commit + "+" } else { commit }
}

/// The time, in UTC.
pub(crate) fn date() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

/// Instructions per unit of work, as the guard has them.
pub(crate) fn instructions() -> anyhow::Result<Figures> {
    let path = repository().join("benches/guard.txt");
    let text = fs::read_to_string(&path).with_context(|| path.display().to_string())?;
    let line = |line: &str| {
        let (name, rest) = line.split_once(' ')?;
        Some((name.to_owned(), rest.split(' ').next()?.parse().ok()?))
    };
    Ok(text.lines().filter(|line| !line.starts_with('#')).filter_map(line).collect())
}

/// What a program prints, if it can be run and all is well.
fn said_by(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    output.status.success().then_some(text)
}
