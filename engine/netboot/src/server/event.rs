//! What happened, as values: for logs, progress, counters and exit statuses.

use std::time::Duration;

use boot_format::Checksum;
use boot_format::wire::MacAddr;

/// Something that happened to a sled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The sled.
    pub sled: MacAddr,
    /// What happened to it.
    pub kind: EventKind,
}

/// What can happen to a sled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// It was the first to say HELLO; from now on no other is served.
    Settled,
    /// It looks for an image.
    Hello {
        /// Whether a boot of this sled was under way, so that it has started over.
        again: bool,
    },
    /// It was offered an image.
    Offered {
        /// The image.
        checksum: Checksum,
        /// Whether the same offer was made before and not taken.
        repeated: bool,
    },
    /// It read for the first time since its HELLO.
    Started {
        /// The image's size in bytes.
        size: u64,
    },
    /// It has asked for everything before `bytes`. Reported at each tenth, at most once a second.
    Progress {
        /// The contiguous offset: it has asked for every byte before it.
        bytes: u64,
        /// The image's size in bytes.
        size: u64,
    },
    /// It has booted, or at least has been sent everything.
    Finished(Summary),
    /// It has been silent for a while during its boot.
    Stalled {
        /// The contiguous offset: it has asked for every byte before it.
        bytes: u64,
        /// The image's size in bytes.
        size: u64,
    },
    /// It was silent for too long; its boot counts as failed.
    Lost {
        /// The contiguous offset: it has asked for every byte before it.
        bytes: u64,
        /// The image's size in bytes.
        size: u64,
    },
    /// It read without an offer from this server, and was sent a RESET.
    Reset,
    /// Its image, mapped from a file, can no longer be read. It was sent a RESET.
    Unreadable,
    /// The link's address changed during its boot, and it has been silent since, so its READs may
    /// not arrive. It was sent a RESET.
    Unheard,
    /// All sessions were taken, and its own was given to another sled.
    Evicted,
    /// It asks to be served and is not among those that are. Reported once per address as long as
    /// it is remembered; after the first thousand addresses, one a second.
    NotServed,
}

/// How a boot went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// From the first READ to the last frame received from the sled.
    pub time: Duration,
    /// The image's size in bytes.
    pub size: u64,
    /// DATA frames handed to the link.
    pub frames: u64,
    /// DATA frames that the sled had to ask for again.
    pub again: u64,
    /// DATA frames that were retransmitted before the sled asked.
    pub early: u64,
    /// Early retransmits that were probably spurious.
    pub needless: u64,
    /// Whether FINISHED never arrived: the sled had everything and went silent.
    pub assumed: bool,
}

/// Counts since the server began; of frames, unless stated otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames received.
    pub received: u64,
    /// Frames that are broken, or not of the protocol.
    pub malformed: u64,
    /// Valid frames that are not from a served sled to this server: another destination, a group
    /// address as source, a type that only servers send, a sled that is not served.
    pub ignored: u64,
    /// READs that were not answered, because RESETs to unknown sleds are limited.
    pub resets_withheld: u64,
    /// HELLOs that were not answered, because OFFERs to unknown sleds are limited, or all sessions
    /// are boots.
    pub offers_withheld: u64,
    /// DATA frames handed to the link.
    pub data: u64,
    /// Of those, frames that were broadcast to a group.
    pub broadcast: u64,
    /// Events dropped because they were not fetched in time.
    pub events_lost: u64,
}
