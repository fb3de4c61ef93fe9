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
    /// It was the first to say HELLO, and from now on it is the only one that is served.
    Settled,
    /// It looks for an image.
    Hello {
        /// Whether a boot of this sled was under way: it has started over.
        again: bool,
    },
    /// It was offered an image.
    Offered {
        /// The image.
        checksum: Checksum,
        /// Whether the same offer was made before and has not been taken up.
        repeated: bool,
    },
    /// It read for the first time since its HELLO.
    Started {
        /// The image's size in bytes.
        size: u64,
    },
    /// It has asked for everything up to `bytes`. Reported at each tenth, at most once a second.
    Progress {
        /// The contiguous offset: it has asked for every byte before it.
        bytes: u64,
        /// The image's size in bytes.
        size: u64,
    },
    /// It has booted, or at least has had everything.
    Finished(Summary),
    /// It has been silent for a while during its boot.
    Stalled {
        /// The contiguous offset: it has asked for every byte before it.
        bytes: u64,
        /// The image's size in bytes.
        size: u64,
    },
    /// It was silent for too long: its boot counts as failed.
    Lost {
        /// The contiguous offset: it has asked for every byte before it.
        bytes: u64,
        /// The image's size in bytes.
        size: u64,
    },
    /// It read without an offer from this server, and was told to start over.
    Reset,
    /// Its image, mapped from a file, can no longer be read. It was told to start over.
    Unreadable,
    /// The link's address changed during its boot, and it has been silent since: its READs may not
    /// arrive. It was told to start over.
    Unheard,
    /// Its session was given to another sled, since all were taken.
    Evicted,
    /// It asks to be served and is not among those that are. Told once, unless
    /// many others have been told of since; after the first thousand, of one a second.
    NotServed,
}

/// How a boot went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// From the first READ to the last frame heard from the sled.
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
    /// Whether FINISHED was never heard: the sled had everything and went silent.
    pub assumed: bool,
}

/// Counts since the server began; of frames, unless stated otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames handed in.
    pub received: u64,
    /// Frames that are broken, or not of the protocol.
    pub malformed: u64,
    /// Frames that are not from a sled of this server to it: another destination, a source that is
    /// not a station, a type that only servers send, a sled that is not served.
    pub ignored: u64,
    /// READs that were not answered, because RESETs to unknown sleds are limited.
    pub resets_withheld: u64,
    /// HELLOs that were not answered, because OFFERs to unknown sleds are limited, or all sessions
    /// are boots.
    pub offers_withheld: u64,
    /// DATA frames handed to the link.
    pub data: u64,
    /// Those of them that went to all sleds at once.
    pub broadcast: u64,
    /// Events that nobody fetched in time.
    pub events_lost: u64,
}
