//! What comes of reading the configuration again.

use std::fmt;
use std::path::PathBuf;

use crate::stderr::record::Level;

/// What comes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ConfigEvent {
    /// Something is wrong with it; there may be several.
    Fault { reason: String },
    /// So the old one stays in force.
    Refused,
    /// This is different from now on.
    Changed { key: String, change: String },
    /// Nothing is.
    Unchanged,
    /// This is different, and stays as it was until the server is started again.
    NeedsRestart { key: &'static str },
    /// Images of this folder can't be read until then.
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
