//! What would boot from an image, and if not, why.
//!
//! Every reader of images checks the header by rules of its own (F13, F17). They are the rules of
//! the readers in use today, not of the format.

mod refusal;
#[cfg(test)]
mod tests;

use core::fmt;
use core::str::FromStr;

use crate::wire::{self, LEAST_SIZE};
use crate::{Checksum, Header};

pub use self::refusal::{NetworkRule, Refusal, Remark, Verdict};

/// A thing that boots from images, or carries them to sleds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BootSource {
    /// An NVMe disk of the sled.
    Disk,
    /// The network, by way of a boot server.
    Network,
    /// The service processor.
    Sp,
    /// The management gateway, which feeds a service processor during recovery.
    Gateway,
    /// The control-plane agent on the sled.
    Agent,
    /// The installer.
    Installer,
    /// Release packaging.
    Packaging,
}

/// Where a sled's inflater gives up on a valid stream (F9): the payload offset of the slice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SliceTraps {
    /// Read from a disk, in slices of 4096 bytes (F10).
    pub disk: Option<u64>,
    /// Read through the service processor, in slices of 974 bytes (F10).
    pub sp: Option<u64>,
}

/// What the boot sources look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The header.
    pub header: &'a Header,
    /// Bytes in the file, from the header on.
    pub length: u64,
    /// SHA-256 of the payload as it is stored, if it is known.
    pub stored: Option<Checksum>,
    /// SHA-256 of header and payload, if it is known.
    pub whole: Option<Checksum>,
    /// The traps in the payload's stream, as far as they are known.
    pub traps: SliceTraps,
}

impl<'a> Facts<'a> {
    /// What is known from `header` and the `length` of the file in bytes, without the payload.
    pub fn new(header: &'a Header, length: u64) -> Self {
        Self { header, length, stored: None, whole: None, traps: SliceTraps::default() }
    }
}

impl BootSource {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Disk,
        Self::Network,
        Self::Sp,
        Self::Gateway,
        Self::Agent,
        Self::Installer,
        Self::Packaging,
    ];

    /// Whether an image of this kind is made for this source: compressed ones are for recovery
    /// through the service processor, plain ones for everything else.
    pub fn is_meant_for(self, compressed: bool) -> bool {
        match self {
            Self::Sp | Self::Gateway => compressed,
            Self::Disk | Self::Network | Self::Agent => !compressed,
            Self::Installer | Self::Packaging => true,
        }
    }

    /// Whether this source takes the image.
    pub fn verdict(self, facts: &Facts<'_>) -> Verdict {
        let refusal = match self {
            Self::Disk => refusal_of_header(facts)
                .or_else(|| refusal_of_short_slice(facts))
                .or_else(|| facts.traps.disk.map(|at| Refusal::SliceTrap { at })),
            Self::Sp => refusal_of_header(facts)
                .or_else(|| refusal_of_trailing(facts))
                .or_else(|| facts.traps.sp.map(|at| Refusal::SliceTrap { at })),
            Self::Network => refusal_of_network(facts),
            Self::Gateway => refusal_of_gateway(facts),
            Self::Agent => refusal_of_agent(facts),
            Self::Installer | Self::Packaging => None,
        };
        refusal.map_or_else(|| Verdict::Accepted(self.remark(facts)), Verdict::Refused)
    }

    fn remark(self, facts: &Facts<'_>) -> Remark {
        match self {
            Self::Installer => Remark::Installed {
                whole: facts.whole,
                in_sectors: facts.length.is_multiple_of(PAGE),
            },
            Self::Packaging => {
                Remark::Packaged { recovery: facts.header.image_name.starts_with("recovery") }
            }
            _ => Remark::None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Disk => "disk",
            Self::Network => "network",
            Self::Sp => "sp",
            Self::Gateway => "gateway",
            Self::Agent => "agent",
            Self::Installer => "installer",
            Self::Packaging => "packaging",
        }
    }
}

const PAGE: u64 = 4096;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
const BATCH: u64 = wire::BATCH as u64;
const MOST_FOR_GATEWAY: u64 = 512 * MIB;

/// The disk and the service processor have the same rules for the header.
fn refusal_of_header(facts: &Facts<'_>) -> Option<Refusal> {
    let Header { image_size: found, target_size: most, dataset, image_name, .. } = facts.header;
    let (found, most) = (*found, *most);
    if found > 4 * GIB {
        Some(Refusal::Huge { found })
    } else if found < PAGE {
        Some(Refusal::Tiny { found })
    } else if found > most {
        Some(Refusal::TooLarge { found, most })
    } else if !dataset.ends_in_nul() {
        Some(Refusal::DatasetName)
    } else if !image_name.ends_in_nul() {
        Some(Refusal::ImageName)
    } else {
        None
    }
}

/// A disk is read in whole pages, including the payload's last (F14).
fn refusal_of_short_slice(facts: &Facts<'_>) -> Option<Refusal> {
    let payload = facts.header.data_size.checked_next_multiple_of(PAGE)?;
    let wanted = payload.saturating_add(Header::LEN as u64);
    let found = facts.length;
    (found < wanted).then_some(Refusal::ShortSlice { found, wanted })
}

/// A service processor passes on the whole file, and bytes after the payload break the stream
/// (F16).
fn refusal_of_trailing(facts: &Facts<'_>) -> Option<Refusal> {
    let wanted = facts.header.data_size.saturating_add(Header::LEN as u64);
    let found = facts.length;
    (found > wanted).then_some(Refusal::Trailing { found, wanted })
}

/// This project's boot server inflates images, the original one cannot: a compressed image is not
/// meant to be booted this way.
fn refusal_of_network(facts: &Facts<'_>) -> Option<Refusal> {
    if facts.header.compressed {
        return Some(Refusal::CompressedForNetwork);
    }
    refusal_of_contents(facts)
}

/// Why no sled could boot the image's raw contents over the network, and what to do about it.
pub fn refusal_of_contents(facts: &Facts<'_>) -> Option<Refusal> {
    let Header { image_size, target_size, dataset, .. } = facts.header;
    let (found, most) = (*image_size, *target_size);
    let rule = if found < LEAST_SIZE {
        NetworkRule::ImageSize { found }
    } else if most < LEAST_SIZE {
        NetworkRule::TargetSize { found: most }
    } else if found > most {
        return Some(Refusal::TooLarge { found, most });
    } else if !dataset.ends_in_nul() {
        NetworkRule::DatasetName
    } else if !found.is_multiple_of(BATCH) {
        NetworkRule::Batches { found }
    } else {
        return None;
    };
    Some(Refusal::NotNetwork(rule))
}

fn refusal_of_gateway(facts: &Facts<'_>) -> Option<Refusal> {
    let wanted = facts.header.data_size.saturating_add(Header::LEN as u64);
    let found = facts.length;
    if found != wanted {
        Some(Refusal::Length { found, wanted })
    } else if found > MOST_FOR_GATEWAY {
        Some(Refusal::OverGatewayLimit { found })
    } else {
        None
    }
}

fn refusal_of_agent(facts: &Facts<'_>) -> Option<Refusal> {
    let Header { compressed, image_size, target_size, checksum, .. } = facts.header;
    if image_size > target_size {
        return Some(Refusal::TooLarge { found: *image_size, most: *target_size });
    }
    if *compressed {
        return Some(Refusal::CompressedForAgent);
    }
    let found = facts.stored.filter(|stored| stored != checksum)?;
    Some(Refusal::Stored { found, wanted: *checksum })
}

impl fmt::Display for BootSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A name that no boot source has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParseBootSourceError;

impl fmt::Display for ParseBootSourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no boot source has this name; there are: ")?;
        for (index, source) in BootSource::ALL.into_iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            write!(f, "{separator}{source}")?;
        }
        Ok(())
    }
}

impl core::error::Error for ParseBootSourceError {}

impl FromStr for BootSource {
    type Err = ParseBootSourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|source| source.name() == text).ok_or(ParseBootSourceError)
    }
}
