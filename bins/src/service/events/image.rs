//! What happens to images.

use std::fmt;
use std::path::PathBuf;

use boot_format::Checksum;

use crate::stderr::record::Level;
use crate::units::Bytes;

/// What happens to an image file, or to a folder of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ImageEvent {
    /// It is checked, and why.
    Checking { path: PathBuf, why: &'static str },
    /// It is good, and offered from now on.
    Loaded { path: PathBuf, name: String, size: u64, checksum: Checksum, mapped: bool },
    /// It can't be used.
    Refused {
        /// The reason, which names the file.
        reason: String,
        /// Whether it never could.
        never_good: bool,
        /// What becomes of the one that was there before.
        before: Before,
    },
    /// The file is gone.
    Gone { path: PathBuf },
    /// Its file system does not answer.
    Unanswered { path: PathBuf },
    /// Its file system answers again.
    Answered { path: PathBuf },
}

/// What becomes of the image that was good before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// There was none.
    None,
    /// It stays in service.
    Kept,
    /// It was mapped, and is lost.
    Lost,
}

/// An image in service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InService {
    pub(crate) path: PathBuf,
    pub(crate) name: String,
    pub(crate) size: u64,
    pub(crate) checksum: Checksum,
}

/// Each boot source's verdict on an image, by the checksum of its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judged {
    pub(crate) checksum: Checksum,
    pub(crate) verdicts: Vec<SourceVerdict>,
}

/// One boot source's verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceVerdict {
    pub(crate) source: String,
    pub(crate) accepted: bool,
    pub(crate) meant: bool,
    pub(crate) reason: String,
}

impl ImageEvent {
    pub(super) fn level(&self) -> Level {
        match self {
            Self::Refused { .. } | Self::Gone { .. } | Self::Unanswered { .. } => Level::Warn,
            _ => Level::Info,
        }
    }
}

impl fmt::Display for ImageEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Checking { path, why } => write!(f, "{}: {why}", path.display()),
            Self::Loaded { path, name, size, checksum, mapped } => {
                write!(f, "{}: ", path.display())?;
                if !name.is_empty() {
                    write!(f, "{name:?}, ")?;
                }
                let mapped = if *mapped { ", mapped" } else { "" };
                write!(f, "{}, sha256 {checksum}{mapped}", Bytes(*size))
            }
            Self::Refused { reason, never_good, before } => {
                let over = if *never_good { "passed over: " } else { "" };
                let kept = match before {
                    Before::None => "",
                    Before::Kept => ": the old one stays in service",
                    Before::Lost => ": it was mapped, so the old one is lost",
                };
                write!(f, "{over}{reason}{kept}")
            }
            Self::Gone { path } => {
                write!(f, "{}: the file is gone, its image is no longer offered", path.display())
            }
            Self::Unanswered { path } => write!(
                f,
                "{}: its file system does not answer: what was loaded stays in service",
                path.display()
            ),
            Self::Answered { path } => {
                write!(f, "{}: its file system answers again", path.display())
            }
        }
    }
}
