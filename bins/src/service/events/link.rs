//! What happens to a link.

use std::fmt;
use std::time::Duration;

use boot_backends::LEAST_MTU;
use boot_format::wire::MacAddr;

use crate::stderr::record::Level;

/// What happens to a link, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LinkEvent {
    /// One of its workers has opened it, and how.
    Opened { path: String, worker: usize, workers: usize },
    /// It is down.
    Down,
    /// It is up again.
    Up { after: Duration },
    /// The system has renamed it.
    Renamed { now: String },
    /// Its address has changed.
    Address { was: MacAddr, now: MacAddr },
    /// Its MTU has become too small, or large enough again.
    Mtu { mtu: u64, fits: bool },
    /// Frames with its own address come from outside.
    AsUs { address: MacAddr, frames: u64 },
    /// It is gone for good, and the reason.
    Gone { error: String },
}

impl LinkEvent {
    pub(super) fn level(&self) -> Level {
        match self {
            Self::Down | Self::Mtu { fits: false, .. } | Self::AsUs { .. } | Self::Gone { .. } => {
                Level::Warn
            }
            _ => Level::Info,
        }
    }
}

impl fmt::Display for LinkEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Opened { path, .. } => f.write_str(path),
            Self::Down => f.write_str("the link is down or has no carrier"),
            Self::Up { after } => {
                write!(f, "the link is up again, after {:.1} s", after.as_secs_f64())
            }
            Self::Renamed { now } => {
                write!(f, "the link is now called {now}; it stays in service")
            }
            Self::Address { was, now } => write!(
                f,
                "the link's address was {was} and is now {now}: boots in progress continue at the \
                 old one"
            ),
            Self::Mtu { mtu, fits: true } => {
                write!(f, "the link's MTU is now {mtu}: boots can continue")
            }
            Self::Mtu { mtu, fits: false } => {
                write!(f, "the link's MTU is now {mtu}: boots need at least {LEAST_MTU}")
            }
            Self::AsUs { address, frames } => write!(
                f,
                "frames from this link's address {address} come from outside ({frames} so far): a \
                 second server, or a loop in the network"
            ),
            Self::Gone { error } => {
                write!(f, "{error}; its boots have ended, the other links stay in service")
            }
        }
    }
}
