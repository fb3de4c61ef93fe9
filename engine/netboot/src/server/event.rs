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
    /// It has asked for everything up to `bytes`. Told at each tenth, at most once a second.
    Progress {
        /// Bytes asked for, from the start and without a hole.
        bytes: u64,
        /// The image's size in bytes.
        size: u64,
    },
    /// It has booted, or at least has had everything.
    Finished(Summary),
    /// In the middle of a boot it has not been heard from for a while.
    Stalled {
        /// Bytes asked for, from the start and without a hole.
        bytes: u64,
        /// The image's size in bytes.
        size: u64,
    },
    /// It was silent for so long that its boot counts as ended without success.
    Lost {
        /// Bytes asked for, from the start and without a hole.
        bytes: u64,
        /// The image's size in bytes.
        size: u64,
    },
    /// It read without having been offered anything by us, and was told to start over.
    Reset,
    /// Its image, which is mapped from a file, can't be read any more. It was told to start over.
    Unreadable,
    /// In the middle of its boot the link's address changed, and it has not been heard from since:
    /// what it asks for may not get here. It was told to start over.
    Unheard,
    /// Its session was given to another sled, because all were taken.
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
    /// Those of them that the sled had to ask for again.
    pub again: u64,
    /// Those of them that were sent again before the sled asked.
    pub early: u64,
    /// Those of the early ones that the sled seems not to have needed.
    pub needless: u64,
    /// Whether FINISHED was never heard: the sled had everything and went silent.
    pub assumed: bool,
}

/// Counts since the server began. Frames, where nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames handed in.
    pub received: u64,
    /// Frames that are none of the protocol, or broken.
    pub malformed: u64,
    /// Frames that no sled of ours could have meant for us: another destination, a source that
    /// is no station, a type that only servers send, a sled that we don't serve.
    pub ignored: u64,
    /// READs that were not answered, because RESETs to unknown sleds are limited.
    pub resets_withheld: u64,
    /// HELLOs that were not answered, because OFFERs to unknown sleds are limited, or all sessions
    /// are boots.
    pub offers_withheld: u64,
    /// DATA frames handed to the link.
    pub data: u64,
    /// Events that nobody fetched in time.
    pub events_lost: u64,
}
