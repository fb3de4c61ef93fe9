//! The body of an OFFER: the image that a server names.

use super::HEAD_LEN;
use crate::Checksum;

/// An image as an OFFER names it (P6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Bytes of the ramdisk that the sled creates.
    pub target_size: u64,
    /// Bytes of raw contents.
    pub image_size: u64,
    /// SHA-256 of the raw contents; a sled accepts only the one in its boot archive (P11).
    pub checksum: Checksum,
    /// The dataset to boot from, padded with NULs.
    pub dataset: [u8; Offer::DATASET_LEN],
}

/// Why a body is not a valid OFFER, or cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OfferError {
    /// The body is too short.
    #[error("an OFFER body has {} bytes, not {found}", Offer::LEN)]
    Length {
        /// The length field.
        found: usize,
    },
    /// The dataset's name and a NUL do not fit the field.
    #[error("a dataset name has at most {} bytes, not {found}", Offer::DATASET_LEN - 1)]
    Dataset {
        /// Bytes in the name.
        found: usize,
    },
}

impl Offer {
    /// Bytes of the dataset field.
    pub const DATASET_LEN: usize = 128;

    /// Bytes of an OFFER's body.
    pub const LEN: usize = 8 + 8 + Checksum::LEN + Self::DATASET_LEN;

    /// Bytes of a whole OFFER frame.
    pub const FRAME_LEN: usize = HEAD_LEN + Self::LEN;

    /// An offer of an image with these sizes in bytes.
    ///
    /// # Errors
    ///
    /// If `dataset` has more than 127 bytes: a sled ignores an offer whose dataset field does
    /// not end in NUL (P11).
    pub fn new(
        target_size: u64,
        image_size: u64,
        checksum: Checksum,
        dataset: &str,
    ) -> Result<Self, OfferError> {
        let mut field = [0; Self::DATASET_LEN];
        match field.get_mut(..dataset.len()) {
            Some(start) if dataset.len() < Self::DATASET_LEN => {
                start.copy_from_slice(dataset.as_bytes());
            }
            _ => return Err(OfferError::Dataset { found: dataset.len() }),
        }
        Ok(Self { target_size, image_size, checksum, dataset: field })
    }

    pub(super) fn parse(body: &[u8]) -> Result<Self, OfferError> {
        let found = body.len();
        let body = body.first_chunk::<{ Self::LEN }>().ok_or(OfferError::Length { found })?;
        let number = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&body[at..at + 8]);
            u64::from_be_bytes(bytes)
        };
        let mut sum = [0; Checksum::LEN];
        sum.copy_from_slice(&body[16..48]);
        let mut dataset = [0; Self::DATASET_LEN];
        dataset.copy_from_slice(&body[48..]);
        Ok(Self {
            target_size: number(0),
            image_size: number(8),
            checksum: Checksum::from_bytes(sum),
            dataset,
        })
    }

    /// The body, as it goes out.
    pub fn emit(&self) -> [u8; Self::LEN] {
        let mut body = [0; Self::LEN];
        body[..8].copy_from_slice(&self.target_size.to_be_bytes());
        body[8..16].copy_from_slice(&self.image_size.to_be_bytes());
        body[16..48].copy_from_slice(self.checksum.as_bytes());
        body[48..].copy_from_slice(&self.dataset);
        body
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_place() {
        let sum = Checksum::from_bytes([0x5a; 32]);
        let body = Offer::new(0x0102, 0x0304, sum, "rpool").unwrap().emit();
        let expected = [&[0; 6][..], &[1, 2], &[0; 6], &[3, 4], &[0x5a; 32], b"rpool", &[0; 123]];
        assert_eq!(body[..], expected.concat());
        assert_eq!(Offer::FRAME_LEN, 14 + 12 + 176);
        let long = Offer::new(0, 0, sum, &"x".repeat(128));
        assert_eq!(long, Err(OfferError::Dataset { found: 128 }));
    }
}
