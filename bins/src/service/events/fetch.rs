//! What happens to images that are fetched.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use boot_format::Checksum;

use crate::stderr::record::Level;
use crate::units::{Bytes, Plural, megabytes_per_second};

/// What happens to a source of images, or to the cache.
#[cfg_attr(not(feature = "fetch"), expect(dead_code, reason = "nothing is fetched"))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FetchEvent {
    /// An image has been fetched and checked, and is in the cache.
    Fetched { url: String, size: u64, time: Duration, checksum: Checksum },
    /// A channel's list is followed, all images of which are there.
    Channel { url: String, serial: u64, images: u64 },
    /// A source can't be followed just now; `kept` if something of it is in service.
    Failed { url: String, reason: String, kept: bool },
    /// It can be followed again.
    Recovered { url: String },
    /// A file of the cache was removed to make room.
    Evicted { path: PathBuf },
    /// A file of the cache is broken, and not used; `removed` if it was an image.
    Broken { path: PathBuf, reason: String, removed: bool },
}

impl FetchEvent {
    pub(super) fn level(&self) -> Level {
        match self {
            Self::Failed { .. } | Self::Broken { .. } => Level::Warn,
            _ => Level::Info,
        }
    }
}

impl fmt::Display for FetchEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fetched { url, size, time, checksum } => {
                let rate = megabytes_per_second(*size, *time);
                write!(f, "{url}: fetched: {} at {rate:.0} MB/s, sha256 {checksum}", Bytes(*size))
            }
            Self::Channel { url, serial, images } => {
                write!(f, "{url}: serial {serial}, {}", Plural(*images, "image"))
            }
            Self::Failed { url, reason, kept } => {
                let kept = if *kept {
                    "what was fetched before stays in service"
                } else {
                    "nothing of it is in service yet"
                };
                write!(f, "{url}: {reason}: {kept}")
            }
            Self::Recovered { url } => write!(f, "{url}: all is well again"),
            Self::Evicted { path } => write!(f, "{}: removed to make room", path.display()),
            Self::Broken { path, reason, removed } => {
                let what = if *removed { "removed" } else { "not used" };
                write!(f, "{}: {what}: {reason}", path.display())
            }
        }
    }
}
