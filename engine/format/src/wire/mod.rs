//! The protocol's bytes: frames in as borrowed, checked views, frames out as small heads.
//!
//! [`Frame::parse`] accepts what a real network delivers: frames padded to the Ethernet
//! minimum, frames longer than their length field says, READs with up to
//! [`Read::MAX_ENTRIES`] entries. It never panics and never allocates. Heads are built by
//! [`Head`], bodies by [`Offer::emit`] and [`emit_read`].

mod frame;
mod head;
mod mac;
mod offer;
mod read;

pub use frame::{Data, Frame, FrameError, Message};
pub use head::{
    DATA_HEAD_LEN, ETHERNET_LEN, ETHERTYPE, FrameType, HEAD_LEN, Head, MAGIC, PROTOCOL_LEN,
    destination_of, source_of,
};
pub use mac::{MacAddr, ParseMacAddrError};
pub use offer::{Offer, OfferError};
pub use read::{Read, ReadError, SLOTS, emit_read};

/// Bytes that one offset in a READ asks for, and the most that a DATA frame carries (P8).
pub const BLOCK: usize = 1024;

/// Bytes that one READ asks for at most. A sled's checksum covers whole batches (P28).
pub const BATCH: usize = SLOTS * BLOCK;

/// The least image and ramdisk in bytes that a sled accepts (P11).
pub const LEAST_SIZE: u64 = 1 << 20;

/// The one offset that must never be answered (P23): a sled marks its empty slots with it, so a
/// DATA frame for it would match one and could end the transfer early.
pub const UNANSWERABLE: u64 = u64::MAX;
