//! The raw contents of one checked image, in memory that nothing can change.

use std::io;
use std::path::Path;
use std::sync::Arc;

use memmap2::{Mmap, MmapMut};
use sha2::{Digest, Sha256};

use super::boot_source::{self, Facts};
use super::unpack::{ImageError, ImageErrorKind, ImageFile};
use super::{Checksum, Header};

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
    /// The contents of the image at `path`, which can be a compressed one: read once, inflated,
    /// and checked before anyone sees them. The file is not needed afterwards.
    ///
    /// # Errors
    ///
    /// If the file can't be read, is no good image, or is one that no sled can boot over the
    /// network.
    pub fn load(path: &Path) -> Result<Self, ImageError> {
        let image = ImageFile::open(path)?;
        image.check_sizes()?;
        let Header { image_size, target_size, checksum, dataset, image_name, .. } = *image.header();
        if let Some(reason) = boot_source::refusal_of_contents(&Facts::of(&image)) {
            return Err(image.error(ImageErrorKind::Network(reason)));
        }
        let size = usize::try_from(image_size).unwrap_or(usize::MAX);
        let mut memory = memory(size).map_err(|error| image.error(error))?;
        image.read_into(&mut memory)?;
        let bytes = memory.make_read_only().map_err(|error| image.error(error))?;
        let (dataset, image_name) = (dataset.to_string(), image_name.to_string());
        Ok(Self { inner: Arc::new(Inner { bytes, target_size, checksum, dataset, image_name }) })
    }

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
        let mut memory = memory(size)?;
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

/// Zeroed memory that no file stands behind, in huge pages where the system has them: the
/// kernel walks through it for every frame.
fn memory(size: usize) -> io::Result<MmapMut> {
    let memory = MmapMut::map_anon(size)?;
    #[cfg(target_os = "linux")]
    // Without huge pages all works too, a little slower.
    let _ = memory.advise(memmap2::Advice::HugePage);
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::image::Name;

    /// An uncompressed image file with these raw contents.
    fn image(raw: &[u8]) -> Vec<u8> {
        let header = Header {
            compressed: false,
            data_size: raw.len() as u64,
            image_size: raw.len() as u64,
            target_size: 16 << 20,
            checksum: Checksum::from_bytes(Sha256::digest(raw).into()),
            dataset: Name::new("rpool/ROOT/ramdisk").unwrap(),
            image_name: Name::new("test").unwrap(),
        };
        [&header.emit()[..], raw].concat()
    }

    fn load(bytes: &[u8]) -> Result<Contents, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("an.img");
        fs::write(&path, bytes).unwrap();
        let loaded = Contents::load(&path);
        fs::write(&path, b"replaced").unwrap();
        loaded.map_err(|error| {
            let text = error.to_string();
            assert!(text.contains("an.img: "), "{text}");
            text
        })
    }

    #[test]
    fn what_is_loaded_outlives_the_file() {
        let raw: Vec<_> = (0..1 << 20).map(|i: u32| (i / 3) as u8).collect();
        let contents = load(&image(&raw)).unwrap();
        assert_eq!(contents.bytes(), raw);
        assert_eq!((contents.dataset(), contents.image_name()), ("rpool/ROOT/ramdisk", "test"));
        assert_eq!(contents.target_size(), 16 << 20);
        let slice = [image(&raw), vec![1; 5000]].concat();
        assert_eq!(load(&slice).unwrap().bytes(), raw);
    }

    #[test]
    fn a_bad_image_is_refused_with_the_reason() {
        let raw = vec![7; 1 << 20];
        let good = image(&raw);
        let mut spoilt = good.clone();
        spoilt[9000] ^= 1;
        let mut huge = good.clone();
        // An image size of 2 TiB, which nothing may be set aside for.
        for at in [21, 29, 37] {
            huge[at] = 2;
        }
        let mut bomb = huge.clone();
        bomb[8] = 1;
        bomb[21] = 0;
        for (bytes, reason) in [
            (&good[..100], "too short for a boot image"),
            (&good[..9000], "cut short: 4904 bytes behind the header"),
            (&spoilt, "the contents' SHA-256 is "),
            (&huge, "cut short"),
            (&bomb, "more than a payload of 1048576 bytes can inflate to"),
            (&image(&raw[..(1 << 20) - 4096]), "under 1 MiB"),
            (&image(&vec![0; (1 << 20) + 4096]), "mkimage --pad"),
        ] {
            let found = load(bytes).unwrap_err();
            assert!(found.contains(reason), "{found}");
        }
    }
}
