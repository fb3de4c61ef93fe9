//! What a sled reports about its boots.

use std::fmt;
use std::time::Duration;

use boot_format::Checksum;

use crate::time::Instant;

/// Something that happened to a sled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It accepted an offer.
    Accepted {
        /// The image.
        checksum: Checksum,
        /// Its size in bytes.
        size: u64,
    },
    /// It has everything and the checksum is right.
    Booted,
    /// It panics and starts over.
    Panicked(Panic),
}

/// Why a sled starts over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Panic {
    /// A server reset it.
    Reset,
    /// A DATA frame did not match its length field (P22).
    DataLength,
    /// It had everything, and the checksum was wrong.
    Checksum,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "the server told it to start over",
            Self::DataLength => "a DATA frame did not match its length field",
            Self::Checksum => "the checksum of the contents is wrong",
        })
    }
}

/// The counts of a sled since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// When it first said HELLO.
    pub hello: Option<Instant>,
    /// When it accepted the offer that it boots from, or last booted from.
    pub accepted: Option<Instant>,
    /// When it had everything and said FINISHED.
    pub finished: Option<Instant>,
    /// The size in bytes of the image that it accepted last.
    pub size: u64,
    /// Bytes of the image that it waited for and received.
    pub bytes: u64,
    /// DATA frames received, wanted or not.
    pub data: u64,
    /// DATA frames that matched no slot: each cost a console line (P15).
    pub unwanted: u64,
    /// Frames lost because the console was busy and the receive ring full.
    pub overrun: u64,
    /// READs sent by its own timer, for frames that had not arrived within a second (P18).
    pub timeouts: u64,
    /// HELLOs sent.
    pub hellos: u64,
    /// Boots that ended in a panic.
    pub panics: u64,
    /// Boots that succeeded.
    pub boots: u64,
}

impl Report {
    /// From accepting the offer to having everything, for the last boot that succeeded.
    pub fn boot_time(&self) -> Option<Duration> {
        Some(self.finished?.since(self.accepted?))
    }

    /// From the first HELLO to having everything.
    pub fn time(&self) -> Option<Duration> {
        Some(self.finished?.since(self.hello?))
    }
}
