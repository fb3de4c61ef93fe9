//! Who would boot from an image, and if not, why.
//!
//! Each of those that read images checks the header by rules of its own. The rules are those of
//! the readers in service, not of the format.

use std::fmt;
use std::str::FromStr;

use super::unpack::ImageFile;
use super::{Checksum, Header};

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

/// What a boot source says to an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it takes the image.
    pub accepted: bool,
    /// What it objects to; or, of an image that it takes, what to know about that. May be empty.
    pub reason: String,
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
}

impl<'a> Facts<'a> {
    /// What can be known of `image` without reading its payload.
    pub fn of(image: &'a ImageFile) -> Self {
        Self { header: image.header(), length: image.length(), stored: None, whole: None }
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
            Self::Disk => refusal_of_header(facts).or_else(|| refusal_of_short_slice(facts)),
            Self::Sp => refusal_of_header(facts).or_else(|| refusal_of_trailing(facts)),
            Self::Network => refusal_of_network(facts),
            Self::Gateway => refusal_of_gateway(facts),
            Self::Agent => refusal_of_agent(facts),
            Self::Installer | Self::Packaging => None,
        };
        match refusal {
            Some(reason) => Verdict { accepted: false, reason },
            None => Verdict { accepted: true, reason: self.remark(facts) },
        }
    }

    /// What to know about an image that this source takes.
    fn remark(self, facts: &Facts<'_>) -> String {
        match self {
            Self::Installer => {
                let whole = facts.whole.map(|sum| format!("compares the whole file, sha256 {sum}"));
                let odd = (!facts.length.is_multiple_of(4096)).then(|| {
                    "its length is no multiple of 4096, which some disks refuse".to_owned()
                });
                [whole, odd].into_iter().flatten().collect::<Vec<_>>().join("; ")
            }
            Self::Packaging => {
                let name = facts.header.image_name.to_string();
                let kind = if name.starts_with("recovery") { "recovery" } else { "host" };
                format!("as a {kind} image, by its name")
            }
            _ => String::new(),
        }
    }
}

const PAGE: u64 = 4096;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// What a sled asks for in one batch: it checks its checksum over whole batches.
const BATCH: u64 = 128 << 10;
const MOST_FOR_GATEWAY: u64 = 512 * MIB;

/// The disk and the service processor have the same rules for the header.
fn refusal_of_header(facts: &Facts<'_>) -> Option<String> {
    let Header { image_size, target_size, dataset, image_name, .. } = facts.header;
    if *image_size > 4 * GIB {
        Some(format!("the image size is {image_size} bytes, more than 4 GiB"))
    } else if *image_size < PAGE {
        Some(format!("the image size is {image_size} bytes, less than a page"))
    } else if image_size > target_size {
        Some(too_large(*image_size, *target_size))
    } else if !dataset.ends_in_nul() {
        Some("the dataset name does not end in NUL".to_owned())
    } else if !image_name.ends_in_nul() {
        Some("the image name does not end in NUL".to_owned())
    } else {
        None
    }
}

/// A disk is read in whole pages, the last one of the payload too.
fn refusal_of_short_slice(facts: &Facts<'_>) -> Option<String> {
    let payload = facts.header.data_size.checked_next_multiple_of(PAGE)?;
    let wanted = payload.saturating_add(Header::LEN as u64);
    let found = facts.length;
    (found < wanted).then(|| {
        format!(
            "it ends at byte {found}, and a sled reads a slice in whole pages, up to byte \
             {wanted}: a slice of that length takes it"
        )
    })
}

/// A service processor hands on all that it is given, and what follows the payload breaks the
/// stream.
fn refusal_of_trailing(facts: &Facts<'_>) -> Option<String> {
    let wanted = facts.header.data_size.saturating_add(Header::LEN as u64);
    let found = facts.length;
    (found > wanted).then(|| {
        format!("it has {found} bytes, and the file has to end with its payload, at byte {wanted}")
    })
}

/// The boot server inflates what it serves, but the original one can't: a compressed image is
/// not meant to be booted this way.
fn refusal_of_network(facts: &Facts<'_>) -> Option<String> {
    if facts.header.compressed {
        return Some("it is compressed, and only this project's bootserver inflates it".to_owned());
    }
    refusal_of_contents(facts)
}

/// Why no sled could boot the image's raw contents over the network, and what to do about it.
pub fn refusal_of_contents(facts: &Facts<'_>) -> Option<String> {
    let Header { image_size, target_size, dataset, .. } = facts.header;
    if *image_size < MIB {
        Some(format!(
            "no sled boots it over the network: the image size is {image_size} bytes, under 1 MiB \
             (mkimage --pad makes an image that boots)"
        ))
    } else if *target_size < MIB {
        Some(format!(
            "no sled boots it over the network: its target size is under 1 MiB ({target_size} bytes)"
        ))
    } else if image_size > target_size {
        Some(too_large(*image_size, *target_size))
    } else if !dataset.ends_in_nul() {
        Some("no sled boots it over the network: its dataset name does not end in NUL".to_owned())
    } else if !image_size.is_multiple_of(BATCH) {
        Some(format!(
            "no sled boots it over the network: the image size of {image_size} bytes is no \
             multiple of 128 KiB (mkimage --pad makes an image that boots)"
        ))
    } else {
        None
    }
}

fn refusal_of_gateway(facts: &Facts<'_>) -> Option<String> {
    let wanted = facts.header.data_size.saturating_add(Header::LEN as u64);
    let found = facts.length;
    if found != wanted {
        Some(format!("the file has {found} bytes, and header and payload have {wanted}"))
    } else if found > MOST_FOR_GATEWAY {
        Some(format!("the file has {found} bytes, more than 512 MiB"))
    } else {
        None
    }
}

fn refusal_of_agent(facts: &Facts<'_>) -> Option<String> {
    let Header { compressed, image_size, target_size, checksum, .. } = facts.header;
    if image_size > target_size {
        return Some(too_large(*image_size, *target_size));
    }
    if *compressed {
        return Some(
            "it is compressed: the agent compares the header's checksum with that of the payload \
             as it is stored"
                .to_owned(),
        );
    }
    let stored = facts.stored.filter(|stored| stored != checksum)?;
    Some(format!("the stored payload's SHA-256 is {stored}, not the header's {checksum}"))
}

fn too_large(image_size: u64, target_size: u64) -> String {
    format!("the image size is {image_size} bytes, more than the target size of {target_size}")
}

impl fmt::Display for BootSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Disk => "disk",
            Self::Network => "network",
            Self::Sp => "sp",
            Self::Gateway => "gateway",
            Self::Agent => "agent",
            Self::Installer => "installer",
            Self::Packaging => "packaging",
        })
    }
}

impl FromStr for BootSource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|source| source.to_string() == text).ok_or_else(|| {
            let known: Vec<_> = Self::ALL.iter().map(Self::to_string).collect();
            format!("{text:?} is no boot source; there are: {}", known.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Name;

    fn header(compressed: bool, image_size: u64) -> Header {
        Header {
            compressed,
            data_size: image_size,
            image_size,
            target_size: 5 * GIB,
            checksum: Checksum::from_bytes([1; 32]),
            dataset: Name::new("rpool/ROOT/ramdisk").unwrap(),
            image_name: Name::new("ci").unwrap(),
        }
    }

    /// Which sources take an image with this header, in a file that is just as long.
    fn takers(header: &Header) -> Vec<String> {
        let length = header.data_size + Header::LEN as u64;
        let facts = Facts { header, length, stored: None, whole: None };
        let takes = |source: &BootSource| {
            let verdict = source.verdict(&facts);
            assert!(verdict.accepted || !verdict.reason.is_empty());
            verdict.accepted
        };
        BootSource::ALL.iter().filter(|source| takes(source)).map(ToString::to_string).collect()
    }

    #[test]
    fn plain_images_are_for_disk_network_and_agent() {
        let all = ["disk", "network", "sp", "gateway", "agent", "installer", "packaging"];
        assert_eq!(takers(&header(false, 64 * MIB)), all);
        let compressed = takers(&header(true, 64 * MIB));
        assert_eq!(compressed, ["disk", "sp", "gateway", "installer", "packaging"]);
    }

    #[test]
    fn sizes_at_each_limit() {
        let without = |missing: &[&str], header: &Header| {
            let takers = takers(header);
            for source in BootSource::ALL {
                let expected = !missing.contains(&source.to_string().as_str());
                assert_eq!(takers.contains(&source.to_string()), expected, "{source}: {header:?}");
            }
        };
        without(&["disk", "sp", "network"], &header(false, 4095));
        without(&["network"], &header(false, 4096));
        without(&["network"], &header(false, MIB - BATCH));
        without(&[], &header(false, MIB));
        without(&["disk", "network"], &header(false, MIB + 1024));
        without(&[], &header(false, 512 * MIB - BATCH));
        without(&["gateway"], &header(false, 512 * MIB));
        without(&["gateway"], &header(false, 4 * GIB));
        without(&["gateway", "disk", "sp"], &header(false, 4 * GIB + BATCH));
        let small = Header { target_size: MIB, ..header(false, 2 * MIB) };
        without(&["disk", "sp", "network", "agent"], &small);
    }

    #[test]
    fn a_disk_needs_whole_pages_and_a_service_processor_nothing_behind_the_payload() {
        let header = header(true, 5000);
        let takes = |source: BootSource, length| {
            let facts = Facts { header: &header, length, stored: None, whole: None };
            source.verdict(&facts).accepted
        };
        let (end, boundary) = (4096 + 5000, 4096 + 8192);
        for (length, disk, sp) in [
            (end, false, true),
            (boundary - 1, false, false),
            (boundary, true, false),
            (boundary + 10_000, true, false),
        ] {
            assert_eq!(takes(BootSource::Disk, length), disk, "{length}");
            assert_eq!(takes(BootSource::Sp, length), sp, "{length}");
        }
    }

    #[test]
    fn the_agent_compares_the_stored_payload() {
        let header = header(false, MIB);
        let facts = |sum| Facts {
            header: &header,
            length: MIB + 4096,
            stored: Some(Checksum::from_bytes([sum; 32])),
            whole: None,
        };
        assert!(BootSource::Agent.verdict(&facts(1)).accepted);
        assert!(!BootSource::Agent.verdict(&facts(2)).accepted);
    }

    #[test]
    fn a_source_is_found_by_its_name() {
        for source in BootSource::ALL {
            assert_eq!(source.to_string().parse(), Ok(source));
        }
        assert!("floppy".parse::<BootSource>().unwrap_err().contains("disk, network, sp"));
    }
}
