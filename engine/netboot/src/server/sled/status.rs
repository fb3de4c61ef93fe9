//! A boot's status, for others.

use boot_format::Checksum;
use boot_format::wire::MacAddr;

use super::{Sled, Stage};
use crate::time::Instant;

/// The state of one sled's boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SledStatus {
    /// The sled.
    pub sled: MacAddr,
    /// The stage of its boot.
    pub stage: Stage,
    /// The checksum of the image that it boots; of the one that it was offered, until it reads.
    pub image: Option<Checksum>,
    /// The contiguous offset: it has asked for every byte before it.
    pub bytes: u64,
    /// The image's size in bytes; 0 until it reads, and after the boot.
    pub size: u64,
    /// DATA frames handed to the link.
    pub frames: u64,
    /// DATA frames that the sled had to ask for again.
    pub again: u64,
    /// DATA frames that were retransmitted before the sled asked.
    pub early: u64,
    /// When the sled was last heard from.
    pub heard: Instant,
}

impl Sled {
    pub(in crate::server) fn status(&self) -> SledStatus {
        let reads = self.stage >= Stage::Reading;
        SledStatus {
            sled: self.address,
            stage: self.stage,
            image: if reads { self.boots } else { self.offers },
            bytes: self.frontier,
            size: self.image.as_ref().map_or(0, |image| image.size() as u64),
            frames: self.frames,
            again: self.again,
            early: self.early,
            heard: self.heard,
        }
    }
}
