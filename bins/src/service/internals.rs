//! Parts that benches and fuzz targets reach by themselves. Only with the feature `internals`; nothing
//! here is kept stable.

use std::path::Path;

pub use super::events::log_lines;
use super::state::Memory;
use crate::config::{Config, ConfigError};

/// Reads `text` as the state file, and writes it again. Returns that, and the numbers of the lines
/// that a server would skip.
pub fn rewritten_state(text: &[u8]) -> (String, Vec<usize>) {
    let (memory, faults) = Memory::parse(text);
    (memory.text(), faults.into_iter().map(|(number, _)| number).collect())
}

/// Reads `text` as the configuration in the file `path`.
///
/// # Errors
///
/// With everything that is wrong with it.
pub fn parse_config(path: &Path, text: &str) -> Result<Config, ConfigError> {
    Config::parse(path, text)
}
