//! The raw contents of one checked image, in memory that nothing can change.

use std::io;
use std::sync::Arc;

use memmap2::{Mmap, MmapMut};
use sha2::{Digest, Sha256};

use super::Checksum;

/// The raw contents of one image, pinned: read and checked once, then read-only and shared by
/// reference. Cloning is one count up.
#[derive(Clone, Debug)]
pub struct Contents {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    bytes: Mmap,
    target_size: u64,
    checksum: Checksum,
    dataset: String,
    image_name: String,
}

impl Contents {
    /// Contents made on the spot: `fill` writes the `size` bytes, which start as zeros.
    ///
    /// # Errors
    ///
    /// If the memory can't be had.
    pub fn build(
        size: usize,
        target_size: u64,
        image_name: &str,
        dataset: &str,
        fill: impl FnOnce(&mut [u8]),
    ) -> io::Result<Self> {
        let mut memory = MmapMut::map_anon(size)?;
        fill(&mut memory);
        let checksum = Checksum::from_bytes(Sha256::digest(&memory[..]).into());
        let bytes = memory.make_read_only()?;
        let dataset = dataset.to_owned();
        let image_name = image_name.to_owned();
        Ok(Self { inner: Arc::new(Inner { bytes, target_size, checksum, dataset, image_name }) })
    }

    /// The raw contents.
    pub fn bytes(&self) -> &[u8] {
        &self.inner.bytes
    }

    /// Bytes of the ramdisk that the sled creates.
    pub fn target_size(&self) -> u64 {
        self.inner.target_size
    }

    /// SHA-256 of the raw contents.
    pub fn checksum(&self) -> Checksum {
        self.inner.checksum
    }

    /// The dataset to boot from, at most 127 bytes.
    pub fn dataset(&self) -> &str {
        &self.inner.dataset
    }

    /// What the image calls itself.
    pub fn image_name(&self) -> &str {
        &self.inner.image_name
    }

    /// Whether both are the same memory, not merely equal bytes.
    pub fn same_memory(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}
