//! The results of reading the configuration again.

use std::fmt;
use std::path::PathBuf;

use crate::stderr::record::Level;

/// One result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConfigEvent {
    /// One fault of it; there may be several.
    Fault { reason: String },
    /// It is refused: the old one stays in force.
    Refused,
    /// A key has a new value from now on.
    Changed { key: String, change: String },
    /// Nothing has changed.
    Unchanged,
    /// A key has a new value that takes effect only after a restart.
    NeedsRestart { key: &'static str },
    /// Images in this folder can't be read before a restart.
    OutOfReach { path: PathBuf },
}

impl ConfigEvent {
    pub(super) fn level(&self) -> Level {
        match self {
            Self::Fault { .. }
            | Self::Refused
            | Self::NeedsRestart { .. }
            | Self::OutOfReach { .. } => Level::Warn,
            Self::Changed { .. } | Self::Unchanged => Level::Info,
        }
    }
}

impl fmt::Display for ConfigEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault { reason } => f.write_str(reason),
            Self::Refused => {
                f.write_str("the configuration is refused: the old one stays in force")
            }
            Self::Changed { key, change } => write!(f, "configuration: {key}: {change}"),
            Self::Unchanged => f.write_str("configuration: nothing has changed"),
            Self::NeedsRestart { key } => {
                write!(f, "configuration: {key}: this change takes a restart")
            }
            Self::OutOfReach { path } => {
                let path = path.display();
                write!(f, "configuration: {path}: to read from this folder takes a restart")
            }
        }
    }
}
