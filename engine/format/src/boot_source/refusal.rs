//! The answers of boot sources, in words.

use core::fmt;

use crate::Checksum;

/// A boot source's verdict on an image. Shown as its reason or remark, which may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It accepts the image.
    Accepted(Remark),
    /// It refuses the image, and why.
    Refused(Refusal),
}

/// A remark on an image that a boot source accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remark {
    /// Nothing.
    None,
    /// The installer compares the whole file with a sum of its own.
    Installed {
        /// SHA-256 of the whole file, if it is known.
        whole: Option<Checksum>,
        /// Whether the file is a whole number of 4096-byte sectors.
        in_sectors: bool,
    },
    /// Packaging tells kinds of images apart by their names.
    Packaged {
        /// Whether it takes this one for a recovery image.
        recovery: bool,
    },
}

/// Why a boot source refuses an image. All sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The image size is more than 4 GiB.
    Huge {
        /// The image size.
        found: u64,
    },
    /// The image size is less than a page.
    Tiny {
        /// The image size.
        found: u64,
    },
    /// The image is larger than the ramdisk that would hold it.
    TooLarge {
        /// The image size.
        found: u64,
        /// The target size.
        most: u64,
    },
    /// The dataset name does not end in NUL.
    DatasetName,
    /// The image name does not end in NUL.
    ImageName,
    /// A disk is read in whole pages, and the slice ends within one.
    ShortSlice {
        /// Bytes in the slice.
        found: u64,
        /// Where its last page ends.
        wanted: u64,
    },
    /// Something follows the payload.
    Trailing {
        /// Bytes in the file.
        found: u64,
        /// Where the payload ends.
        wanted: u64,
    },
    /// Compressed, and the original boot server does not inflate.
    CompressedForNetwork,
    /// It cannot boot over the network.
    NotNetwork(NetworkRule),
    /// The file is longer or shorter than header and payload.
    Length {
        /// Bytes in the file.
        found: u64,
        /// Bytes of header and payload.
        wanted: u64,
    },
    /// The gateway takes at most 512 MiB.
    OverGatewayLimit {
        /// Bytes in the file.
        found: u64,
    },
    /// Compressed: the agent would compare the checksum of the contents with that of the stream.
    CompressedForAgent,
    /// The stored payload does not match the header's checksum.
    Stored {
        /// SHA-256 of the stored payload.
        found: Checksum,
        /// The header's checksum.
        wanted: Checksum,
    },
    /// The sled's inflater gives up within the stream: see [`SliceTraps`](super::SliceTraps).
    SliceTrap {
        /// The payload offset of the slice.
        at: u64,
    },
}

/// Which rule of booting over the network an image breaks. All sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NetworkRule {
    /// The image size is under 1 MiB.
    ImageSize {
        /// The image size.
        found: u64,
    },
    /// The target size is under 1 MiB.
    TargetSize {
        /// The target size.
        found: u64,
    },
    /// The image size is not a multiple of what a sled asks for at once (P28).
    Batches {
        /// The image size.
        found: u64,
    },
    /// The dataset name does not end in NUL.
    DatasetName,
}

impl Verdict {
    /// Whether the source accepts the image.
    pub fn is_accepted(&self) -> bool {
        matches!(self, Self::Accepted(_))
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted(remark) => remark.fmt(f),
            Self::Refused(refusal) => refusal.fmt(f),
        }
    }
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Installed { whole, in_sectors } => {
                if let Some(sum) = whole {
                    write!(f, "compares the whole file, sha256 {sum}")?;
                }
                if !in_sectors {
                    let separator = if whole.is_some() { "; " } else { "" };
                    write!(
                        f,
                        "{separator}its length is not a multiple of 4096, which some disks refuse"
                    )?;
                }
                Ok(())
            }
            Self::Packaged { recovery } => {
                let kind = if *recovery { "recovery" } else { "host" };
                write!(f, "as a {kind} image, by its name")
            }
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Huge { found } => {
                write!(f, "the image size is {found} bytes, more than 4 GiB")
            }
            Self::Tiny { found } => {
                write!(f, "the image size is {found} bytes, less than a page")
            }
            Self::TooLarge { found, most } => {
                write!(f, "the image size is {found} bytes, more than the target size of {most}")
            }
            Self::DatasetName => f.write_str("the dataset name does not end in NUL"),
            Self::ImageName => f.write_str("the image name does not end in NUL"),
            Self::ShortSlice { found, wanted } => write!(
                f,
                "it ends at byte {found}, but a sled reads whole pages, up to byte \
                 {wanted}: a slice of at least that length is needed"
            ),
            Self::Trailing { found, wanted } => {
                write!(f, "it has {found} bytes, but must end with its payload, at byte {wanted}")
            }
            Self::CompressedForNetwork => f.write_str(
                "it is compressed: this project's bootserver inflates it, others do not",
            ),
            Self::NotNetwork(rule) => write!(f, "cannot boot over the network: {rule}"),
            Self::Length { found, wanted } => {
                write!(f, "the file has {found} bytes, and header and payload have {wanted}")
            }
            Self::OverGatewayLimit { found } => {
                write!(f, "the file has {found} bytes, more than 512 MiB")
            }
            Self::CompressedForAgent => f.write_str(
                "it is compressed: the agent compares the header's checksum with that of the \
                 stored payload",
            ),
            Self::Stored { found, wanted } => {
                write!(f, "the stored payload's SHA-256 is {found}, not the header's {wanted}")
            }
            Self::SliceTrap { at } => write!(
                f,
                "a sled's inflater gives up at byte {at} of the payload, where a slice inflates to \
                 exactly full buffers (mkimage makes streams without such slices)"
            ),
        }
    }
}

impl fmt::Display for NetworkRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const PAD: &str = "(mkimage --pad makes one that can)";
        match self {
            Self::ImageSize { found } => {
                write!(f, "the image size is {found} bytes, under 1 MiB {PAD}")
            }
            Self::TargetSize { found } => {
                write!(f, "its target size is under 1 MiB ({found} bytes)")
            }
            Self::Batches { found } => {
                write!(f, "the image size of {found} bytes is not a multiple of 128 KiB {PAD}")
            }
            Self::DatasetName => f.write_str("its dataset name does not end in NUL"),
        }
    }
}

impl core::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_what_was_found_and_what_is_wanted() {
        let [found, wanted] = [0x5a, 0xa5].map(|byte| Checksum::from_bytes([byte; 32]));
        let stored = format!("SHA-256 is {found}, not the header's {wanted}");
        for (refusal, parts) in [
            (Refusal::Huge { found: 17 }, ["17 bytes", "4 GiB"]),
            (Refusal::Tiny { found: 17 }, ["17 bytes", "a page"]),
            (Refusal::TooLarge { found: 17, most: 4 }, ["17 bytes", "target size of 4"]),
            (Refusal::DatasetName, ["the dataset name", "NUL"]),
            (Refusal::ImageName, ["the image name", "NUL"]),
            (Refusal::ShortSlice { found: 17, wanted: 40 }, ["at byte 17", "up to byte 40"]),
            (Refusal::Trailing { found: 17, wanted: 4 }, ["17 bytes", "at byte 4"]),
            (Refusal::CompressedForNetwork, ["compressed", "others do not"]),
            (Refusal::Length { found: 17, wanted: 4 }, ["has 17 bytes", "have 4"]),
            (Refusal::OverGatewayLimit { found: 17 }, ["17 bytes", "512 MiB"]),
            (Refusal::CompressedForAgent, ["compressed", "the agent"]),
            (Refusal::Stored { found, wanted }, [&stored, "stored payload"]),
            (Refusal::SliceTrap { at: 17 }, ["at byte 17", "full buffers"]),
            (Refusal::NotNetwork(NetworkRule::ImageSize { found: 17 }), ["17 bytes", "--pad"]),
            (Refusal::NotNetwork(NetworkRule::TargetSize { found: 17 }), ["17 bytes", "1 MiB"]),
            (Refusal::NotNetwork(NetworkRule::Batches { found: 17 }), ["17 bytes", "128 KiB"]),
            (Refusal::NotNetwork(NetworkRule::DatasetName), ["over the network", "NUL"]),
        ] {
            let text = Verdict::Refused(refusal).to_string();
            assert!(parts.iter().all(|part| text.contains(part)), "{text}");
        }
    }
}
