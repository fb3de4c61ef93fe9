//! Checks that a sled has received the image it was offered.

use boot_format::Checksum;
use boot_image::Contents;
use sha2::{Digest, Sha256};

/// Whether the bytes so far are right.
#[derive(Debug)]
pub(super) enum Verdict {
    Hash(Sha256),
    Compare { contents: Contents, right: bool },
}

impl Verdict {
    pub(super) fn new(compare: Option<&Contents>) -> Self {
        match compare {
            Some(contents) => Self::Compare { contents: contents.clone(), right: true },
            None => Self::Hash(Sha256::new()),
        }
    }

    pub(super) fn add(&mut self, end: u64, bytes: &[u8]) {
        match self {
            Self::Hash(hash) => hash.update(bytes),
            Self::Compare { contents, right } => {
                let end = usize::try_from(end).unwrap_or(usize::MAX);
                let wanted = contents.held().and_then(|all| all.get(end - bytes.len()..end));
                *right &= wanted == Some(bytes);
            }
        }
    }

    pub(super) fn is(self, wanted: Checksum) -> bool {
        match self {
            Self::Hash(hash) => Checksum::from_bytes(hash.finalize().into()) == wanted,
            Self::Compare { contents, right } => right && contents.checksum() == wanted,
        }
    }
}
