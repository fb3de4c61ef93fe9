//! The one door between the loop and a link.

use std::ops::AddAssign;
use std::time::Duration;

use boot_format::wire::{BLOCK, DATA_HEAD_LEN, ETHERNET_LEN, MacAddr, SLOTS};
use boot_netboot::batch::Batch;
use boot_netboot::time::Instant;

/// The least MTU in bytes that a link needs: the length of the protocol's longest frame after its
/// Ethernet header.
pub const LEAST_MTU: usize = DATA_HEAD_LEN - ETHERNET_LEN + BLOCK;

/// Frames handed to a link at once: what a sled asks for in one READ.
pub(crate) const BATCH: usize = SLOTS;

/// An Ethernet link that carries frames of the boot protocol's ethertype.
///
/// Frames are whole: Ethernet header first, no FCS. A link never delivers the frames that it
/// sent itself.
pub trait Datalink {
    /// The name by which the user knows the link.
    fn name(&self) -> &str;

    /// The name by which the system knows the link now, which may differ.
    fn current_name(&self) -> &str {
        self.name()
    }

    /// The link's own Ethernet address, as it was when its counters were last read or frames
    /// last sent: that of a bridge or bond can change.
    fn address(&self) -> MacAddr;

    /// From now on, also receives frames for these addresses, which the link had before, as far as
    /// the system can. Most links never change their address.
    fn hear_also(&mut self, _former: &[MacAddr]) {}

    /// Hands in the time, at the start of each turn of the loop. A link reads no clock of its own:
    /// it uses this time to count how long it was down and how long frames wait for it. Links that
    /// are never down ignore it.
    fn tick(&mut self, _now: Instant) {}

    /// The most bytes that a frame can have after its 14-byte Ethernet header; as current as the
    /// address.
    fn mtu(&self) -> usize;

    /// Sends frames from the front of `batch`, in order, without waiting for space or for a link
    /// that is down, and consumes those that are finished; [`Sent`] reports how many. A frame whose
    /// payload the system could not read is dropped and noted in the batch.
    ///
    /// # Errors
    ///
    /// If the link is gone for good. A frame that could not go out is not an error: it is counted.
    fn send(&mut self, batch: &mut Batch) -> Result<Sent, LinkError>;

    /// Waits until a frame has arrived, or there may be room to send again (if `want_room`), or
    /// `timeout` has passed, or a signal came. Then hands the frames that have arrived, up to a
    /// bounded number, to `sink`, without waiting again. A zero timeout only looks.
    ///
    /// # Errors
    ///
    /// If the link is gone for good.
    fn receive(
        &mut self,
        timeout: Duration,
        want_room: bool,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), LinkError>;

    /// Whether frames from a mapped image go out here. A link that reads or copies payloads in this
    /// process drops them as unreadable.
    fn sends_mapped(&self) -> bool {
        false
    }

    /// How frames leave, in words for the log: the path that was chosen, and why. `None` if there
    /// is only one.
    fn path(&self) -> Option<&str> {
        None
    }

    /// What became of all frames since the link was opened.
    fn counters(&mut self) -> LinkCounters {
        LinkCounters::default()
    }
}

/// What a link has done since it was opened, counted by the thread that owns it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkCounters {
    /// Frames that the system took: as many as the link's own counter of sent frames shows, unless
    /// the driver silently drops frames after a queueing discipline, or does not count those that
    /// it sends without a copy (virtio_net).
    pub taken: u64,
    /// Frames that were refused for good: the link was down, the frame too long, its payload
    /// unreadable.
    pub dropped: u64,
    /// Frames that found the link down and waited for it; those that waited in vain also count as
    /// dropped.
    pub held: u64,
    /// Dropped frames whose payload could not be read: a mapped file was cut short.
    pub unreadable: u64,
    /// How often there was no space, so that a batch had to wait and was tried again.
    pub full: u64,
    /// Waits for a queue after the socket's own buffer (ENOBUFS).
    pub queue_full: u64,
    /// How often the link went down, as far as sending or receiving noticed.
    pub downs: u64,
    /// How long it was down, as far as was noticed: until it was found up again, or until the last
    /// turn of the loop.
    pub down_time: Duration,
    /// Whether it is down now.
    pub is_down: bool,
    /// Frames received.
    pub received: u64,
    /// Frames that were lost because the receive buffer was full, which illumos does not count, or
    /// because they were incomplete.
    pub missed: u64,
    /// Frames from outside with the link's own address as their source, which are dropped. Only
    /// Linux counts them.
    pub as_us: u64,
}

impl AddAssign for LinkCounters {
    fn add_assign(&mut self, more: Self) {
        self.taken += more.taken;
        self.dropped += more.dropped;
        self.held += more.held;
        self.unreadable += more.unreadable;
        self.full += more.full;
        self.queue_full += more.queue_full;
        self.downs += more.downs;
        self.down_time += more.down_time;
        self.is_down |= more.is_down;
        self.received += more.received;
        self.missed += more.missed;
        self.as_us += more.as_us;
    }
}

/// What became of the frames at the front of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Frames that the link took.
    pub taken: usize,
    /// Frames that the link refused for good (link down, frame too long, payload unreadable): they
    /// are lost.
    pub dropped: usize,
}

impl AddAssign for Sent {
    fn add_assign(&mut self, more: Self) {
        self.taken += more.taken;
        self.dropped += more.dropped;
    }
}

/// Why a link can't be used, or can no longer be used.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// A call failed; the text says which call, on which link, and what may help.
    #[error("{link}: {what}: {cause}")]
    System {
        /// The link's name.
        link: String,
        /// What was being done.
        what: &'static str,
        /// The system's error, which the text includes.
        cause: std::io::Error,
    },
    /// No link has this name.
    #[error("{link}: no such link; the links are: {known}")]
    NoSuchLink {
        /// The name asked for.
        link: String,
        /// The names of the existing links, or "none".
        known: String,
    },
    /// The process lacks the privilege to open raw sockets.
    #[error("{link}: not permitted to use links for raw frames: {remedy}")]
    NotPermitted {
        /// The link's name.
        link: String,
        /// What to do about it on this system.
        remedy: String,
    },
    /// The link can't carry the protocol's frames.
    #[error("{link}: the MTU is {found}, but boot frames need at least {wanted}")]
    MtuTooSmall {
        /// The link's name.
        link: String,
        /// The link's MTU in bytes.
        found: usize,
        /// The least MTU that works.
        wanted: usize,
    },
    /// The link is not Ethernet.
    #[error("{link}: not an Ethernet link ({found})")]
    NotEthernet {
        /// The link's name.
        link: String,
        /// What it is, in the system's terms.
        found: String,
    },
    /// This system has no supported datalink.
    #[error("{link}: links can be opened on Linux and illumos only")]
    Unsupported {
        /// The link's name.
        link: String,
    },
    /// Another process serves the link, and does not share it.
    #[error("{link}: already served by {holder}; two servers would both answer each sled")]
    Held {
        /// The link's name.
        link: String,
        /// Which process serves it.
        holder: String,
    },
    /// The link went away while it was in use.
    #[error("{link}: the link is gone")]
    Gone {
        /// The link's name.
        link: String,
    },
}
