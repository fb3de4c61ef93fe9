//! The 4096 bytes at the start of a boot image: every rule of the format, version 2.

use core::fmt;

use super::{Checksum, Name};

/// The fields of a header that was read, or is about to be written.
///
/// All sizes are in bytes. [`Header::emit`] writes integers in little-endian order and zeros
/// elsewhere (F1). [`Header::parse`] ignores reserved bytes and unknown flags (F2). Only
/// [`Header::check`] says whether the fields agree, since not every reader cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Whether the payload is one zlib stream.
    pub compressed: bool,
    /// Bytes of payload in the file, after the header.
    pub data_size: u64,
    /// Bytes of raw ramdisk contents.
    pub image_size: u64,
    /// Bytes of the ramdisk that the sled creates.
    pub target_size: u64,
    /// SHA-256 of the raw contents, whether or not the payload is compressed (F5).
    pub checksum: Checksum,
    /// The dataset to boot from.
    pub dataset: Name,
    /// What the image calls itself; may be empty.
    pub image_name: Name,
}

/// What is wrong with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// Fewer bytes than a header has.
    Short {
        /// Bytes there are.
        found: usize,
    },
    /// The first four bytes are not the magic.
    Magic {
        /// What they are.
        found: u32,
    },
    /// Another version of the format.
    Version {
        /// Which one.
        found: u32,
    },
    /// Uncompressed, but data size and image size differ.
    DataSize {
        /// The data size.
        found: u64,
        /// The image size.
        wanted: u64,
    },
    /// The image does not fit its ramdisk.
    ImageSize {
        /// The image size.
        found: u64,
        /// The target size.
        most: u64,
    },
    /// A name field does not end in NUL, or is not UTF-8.
    Name(NameField),
}

/// Which of the two names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameField {
    /// The dataset name, at byte 72.
    Dataset,
    /// The image name, at byte 200.
    Image,
}

impl Header {
    /// Bytes of a header; the payload follows (F1).
    pub const LEN: usize = 4096;
    /// The first four bytes, as a little-endian number.
    pub const MAGIC: u32 = 0x1deb_0075;
    /// The version of the format.
    pub const VERSION: u32 = 2;
    /// The flag of an image whose payload is one zlib stream (F8).
    pub const COMPRESSED: u64 = 1;

    /// Parses the start of an image.
    ///
    /// # Errors
    ///
    /// If it is too short, or the magic or the version is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, HeaderError> {
        let found = bytes.len();
        let bytes = bytes.first_chunk::<{ Self::LEN }>().ok_or(HeaderError::Short { found })?;
        let magic = u32::from_le_bytes(field(bytes, 0));
        if magic != Self::MAGIC {
            return Err(HeaderError::Magic { found: magic });
        }
        let version = u32::from_le_bytes(field(bytes, 4));
        if version != Self::VERSION {
            return Err(HeaderError::Version { found: version });
        }
        Ok(Self {
            compressed: u64::from_le_bytes(field(bytes, 8)) & Self::COMPRESSED != 0,
            data_size: u64::from_le_bytes(field(bytes, 16)),
            image_size: u64::from_le_bytes(field(bytes, 24)),
            target_size: u64::from_le_bytes(field(bytes, 32)),
            checksum: Checksum::from_bytes(field(bytes, 40)),
            dataset: Name { field: field(bytes, 72) },
            image_name: Name { field: field(bytes, 200) },
        })
    }

    /// Whether the fields agree with each other and can be those of an image that boots.
    ///
    /// # Errors
    ///
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), HeaderError> {
        let Self { data_size, image_size, target_size, .. } = *self;
        // F7
        if !self.compressed && data_size != image_size {
            return Err(HeaderError::DataSize { found: data_size, wanted: image_size });
        }
        // F4
        if image_size > target_size {
            return Err(HeaderError::ImageSize { found: image_size, most: target_size });
        }
        if self.dataset.as_str().is_none() {
            return Err(HeaderError::Name(NameField::Dataset));
        }
        if self.image_name.as_str().is_none() {
            return Err(HeaderError::Name(NameField::Image));
        }
        Ok(())
    }

    /// The header's bytes.
    pub fn emit(&self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        let flags = if self.compressed { Self::COMPRESSED } else { 0 };
        bytes[..4].copy_from_slice(&Self::MAGIC.to_le_bytes());
        bytes[4..8].copy_from_slice(&Self::VERSION.to_le_bytes());
        bytes[8..16].copy_from_slice(&flags.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.data_size.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.image_size.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.target_size.to_le_bytes());
        bytes[40..72].copy_from_slice(self.checksum.as_bytes());
        bytes[72..200].copy_from_slice(&self.dataset.field);
        bytes[200..328].copy_from_slice(&self.image_name.field);
        bytes
    }
}

fn field<const N: usize>(bytes: &[u8; Header::LEN], at: usize) -> [u8; N] {
    let mut field = [0; N];
    field.copy_from_slice(&bytes[at..at + N]);
    field
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { found } => {
                write!(
                    f,
                    "too short for a boot image: the header has {} bytes, not {found}",
                    Header::LEN
                )
            }
            Self::Magic { found } => {
                write!(
                    f,
                    "not a boot image: the magic is {found:#010x}, not {:#010x}",
                    Header::MAGIC
                )
            }
            Self::Version { found } => {
                write!(f, "the format's version is {found}, not {}", Header::VERSION)
            }
            Self::DataSize { found, wanted } => write!(
                f,
                "the image is not compressed, but its data size is {found} bytes, not the {wanted} \
                 of its image size"
            ),
            Self::ImageSize { found, most } => {
                write!(f, "the image size is {found} bytes, more than the target size of {most}")
            }
            Self::Name(which) => {
                let which = match which {
                    NameField::Dataset => "dataset",
                    NameField::Image => "image",
                };
                write!(f, "the {which} name is not UTF-8 that ends in NUL")
            }
        }
    }
}

impl core::error::Error for HeaderError {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header() -> Header {
        Header {
            compressed: false,
            data_size: 1 << 20,
            image_size: 1 << 20,
            target_size: 16 << 20,
            checksum: "3b79a9a8a0a30f1c059eaeaeda846786ef4490a612608a742ad97dfaca03b3ae"
                .parse()
                .unwrap(),
            dataset: Name::new("rpool/ROOT/ramdisk").unwrap(),
            image_name: Name::new("ci 0123abc/4567def 2026-01-31 12:34").unwrap(),
        }
    }

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<_> = text.chars().filter_map(|c| c.to_digit(16)).collect();
        digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
    }

    #[test]
    fn the_bytes_are_those_of_the_original() {
        let plain = hex(include_str!("../tests/fixtures/header-plain.hex"));
        let ours = header().emit();
        assert_eq!(ours[..328], plain);
        assert_eq!(ours[328..], [0; 3768]);
        let compressed = hex(include_str!("../tests/fixtures/header-compressed.hex"));
        let ours = Header {
            compressed: true,
            data_size: u64::from_le_bytes(compressed[16..24].try_into().unwrap()),
            image_name: Name::new("recovery 0123abc/4567def 2026-01-31 12:34").unwrap(),
            ..header()
        };
        assert_eq!(ours.emit()[..328], compressed);
    }

    #[test]
    fn reserved_bytes_and_unknown_flags_are_ignored() {
        let mut bytes = header().emit();
        bytes[9] = 0xff;
        bytes[400] = 1;
        assert_eq!(Header::parse(&bytes), Ok(header()));
    }

    #[test]
    fn each_broken_rule_is_named() {
        let spoil = |at: usize, value: u8| {
            let mut bytes = header().emit();
            bytes[at] = value;
            Header::parse(&bytes).and_then(|header| header.check()).unwrap_err().to_string()
        };
        for (at, value, message) in [
            (0, 0, "the magic is 0x1deb0000, not 0x1deb0075"),
            (4, 3, "version is 3, not 2"),
            (16, 1, "data size is 1048577 bytes, not the 1048576"),
            (199, b'x', "the dataset name is not UTF-8 that ends in NUL"),
            (72, 0xff, "the dataset name"),
            (327, b'x', "the image name"),
        ] {
            assert!(spoil(at, value).contains(message), "{}", spoil(at, value));
        }
        assert_eq!(Header { target_size: 1 << 20, ..header() }.check(), Ok(()));
        let small = Header { target_size: 1, ..header() };
        assert!(small.check().unwrap_err().to_string().contains("more than the target size of 1"));
        assert_eq!(Header::parse(&[0; 4095]), Err(HeaderError::Short { found: 4095 }));
    }

    proptest! {
        #[test]
        fn what_is_emitted_is_parsed_back(
            compressed: bool, data_size: u64, image_size: u64, target_size: u64,
            sum: [u8; 32], dataset in "[^\0]{0,31}", image_name in "[^\0]{0,31}",
        ) {
            let header = Header {
                compressed, data_size, image_size, target_size,
                checksum: Checksum::from_bytes(sum),
                dataset: Name::new(&dataset).unwrap(),
                image_name: Name::new(&image_name).unwrap(),
            };
            let parsed = Header::parse(&header.emit()).unwrap();
            prop_assert_eq!(parsed, header);
            prop_assert_eq!(parsed.dataset.as_str(), Some(dataset.as_str()));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 4096)) {
            let mut bytes = bytes;
            bytes[..8].copy_from_slice(&[0x75, 0, 0xeb, 0x1d, 2, 0, 0, 0]);
            let header = Header::parse(&bytes).unwrap();
            let _ = (header.check(), header.dataset.to_string(), header.image_name.as_str());
        }
    }
}
