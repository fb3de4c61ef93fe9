//! What is wrong with a configuration.

use std::error::Error;
use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong with a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Counted from 1.
    pub(super) line: usize,
    /// As in `sled[2].name`; empty if it is about no key.
    pub(super) key: String,
    /// What was found, and what was expected.
    pub(super) text: String,
}

/// All that is wrong with a configuration.
#[derive(Debug)]
pub struct ConfigError {
    pub(super) path: PathBuf,
    pub(super) faults: Vec<Fault>,
}

impl ConfigError {
    /// A line for each thing that is wrong: file, line, key, what was found and expected.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.faults.iter().map(|Fault { line, key, text }| {
            let key = if key.is_empty() { String::new() } else { format!("{key}: ") };
            format!("{}:{line}: {key}{text}", self.path.display())
        })
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().collect::<Vec<_>>().join("; "))
    }
}

impl Error for ConfigError {}
