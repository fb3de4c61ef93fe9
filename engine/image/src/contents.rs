//! The raw contents of one checked image, in memory that nothing can change; or, on machines that
//! are short of memory, mapped from the file.

use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use boot_format::boot_source;
use boot_format::wire::{Offer, OfferError};
use boot_format::{Checksum, Header};
use memmap2::{Mmap, MmapMut};
use sha2::{Digest, Sha256};

use super::mapping::{MappedSlice, Mapping};
use super::unpack::{ImageError, ImageErrorKind, ImageFile};

/// The raw contents of one image, pinned: read and checked once, then read-only and shared by
/// reference. Cloning increments a count.
///
/// [`Contents::map`] is the exception: it pins nothing.
#[derive(Clone, Debug)]
pub struct Contents {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    memory: Memory,
    target_size: u64,
    checksum: Checksum,
    dataset: String,
    image_name: String,
}

#[derive(Debug)]
enum Memory {
    Pinned(Mmap),
    Mapped(Mapping),
}

/// A part of an image's contents, where it lies.
#[derive(Clone, Copy, Debug)]
pub enum Payload<'a> {
    /// In memory that nothing changes.
    Held(&'a [u8]),
    /// In a mapped file: only the kernel may read it.
    Mapped(MappedSlice<'a>),
}

impl<'a> Payload<'a> {
    /// The address and number of the bytes, for a system call.
    pub fn as_raw(self) -> *const [u8] {
        match self {
            Self::Held(bytes) => bytes,
            Self::Mapped(slice) => slice.as_raw(),
        }
    }

    /// The bytes, for those who read or copy them; `None` if they are mapped.
    pub fn held(self) -> Option<&'a [u8]> {
        match self {
            Self::Held(bytes) => Some(bytes),
            Self::Mapped(_) => None,
        }
    }

    /// Its length in bytes.
    pub fn len(self) -> usize {
        self.as_raw().len()
    }

    /// Whether it is empty.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }
}

impl Contents {
    /// The contents of the image at `path`, which can be a compressed one: read once, inflated, and
    /// checked before it is returned. The file is not needed afterwards.
    ///
    /// # Errors
    ///
    /// If the file can't be read, is not a valid image, or no sled could boot it over the network.
    pub fn load(path: &Path) -> Result<Self, ImageError> {
        let image = ImageFile::open(path)?;
        Self::pin(&image)
    }

    /// The contents of the image at `path`, checked and then mapped from the file, which takes
    /// hardly any memory. A compressed image is pinned as by [`Contents::load`], since its file
    /// does not have the raw contents.
    ///
    /// Nothing protects mapped contents: a write to the file changes what is served, and once it is
    /// shorter, a system call that sends the missing part fails with EFAULT. The process
    /// itself cannot read them ([`Payload::Mapped`]).
    ///
    /// # Errors
    ///
    /// As [`Contents::load`].
    pub fn map(path: &Path) -> Result<Self, ImageError> {
        let image = ImageFile::open(path)?;
        if image.header().compressed {
            return Self::pin(&image);
        }
        let size = servable_size(&image)?;
        image.unpack(&mut |_| Ok(()))?;
        let mapping = Mapping::new(image.file(), Header::LEN as u64, size);
        let mapping = mapping.map_err(|error| image.error(error))?;
        Ok(Self::of(&image, Memory::Mapped(mapping)))
    }

    fn pin(image: &ImageFile) -> Result<Self, ImageError> {
        let mut memory = memory(servable_size(image)?).map_err(|error| image.error(error))?;
        image.read_to(&mut memory)?;
        let bytes = memory.make_read_only().map_err(|error| image.error(error))?;
        Ok(Self::of(image, Memory::Pinned(bytes)))
    }

    fn of(image: &ImageFile, memory: Memory) -> Self {
        let Header { target_size, checksum, dataset, image_name, .. } = *image.header();
        let (dataset, image_name) = (dataset.to_string(), image_name.to_string());
        let inner = Inner { memory, target_size, checksum, dataset, image_name };
        Self { inner: Arc::new(inner) }
    }

    /// Contents made on the spot: `fill` writes the `size` bytes, which start as zeros.
    ///
    /// # Errors
    ///
    /// If there is not enough memory.
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
        let memory = Memory::Pinned(memory.make_read_only()?);
        let dataset = dataset.to_owned();
        let image_name = image_name.to_owned();
        let inner = Inner { memory, target_size, checksum, dataset, image_name };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// How many bytes the raw contents have.
    pub fn size(&self) -> usize {
        match &self.inner.memory {
            Memory::Pinned(bytes) => bytes.len(),
            Memory::Mapped(mapping) => mapping.len(),
        }
    }

    /// The raw contents in `range`, where they are.
    ///
    /// # Panics
    ///
    /// If the range is not inside them.
    pub fn slice(&self, range: Range<usize>) -> Payload<'_> {
        match &self.inner.memory {
            Memory::Pinned(bytes) => Payload::Held(&bytes[range]),
            Memory::Mapped(mapping) => Payload::Mapped(mapping.slice(range)),
        }
    }

    /// The raw contents; `None` if they are mapped, since only the kernel may read those.
    pub fn held(&self) -> Option<&[u8]> {
        match &self.inner.memory {
            Memory::Pinned(bytes) => Some(bytes),
            Memory::Mapped(_) => None,
        }
    }

    /// The OFFER of these contents.
    ///
    /// # Errors
    ///
    /// If the dataset name is longer than an OFFER can hold.
    pub fn offer(&self) -> Result<Offer, OfferError> {
        let image_size = self.size() as u64;
        Offer::new(self.target_size(), image_size, self.checksum(), self.dataset())
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

    /// The image's name.
    pub fn image_name(&self) -> &str {
        &self.inner.image_name
    }

    /// Whether they are mapped from a file, and change with it.
    pub fn is_mapped(&self) -> bool {
        matches!(self.inner.memory, Memory::Mapped(_))
    }

    /// Whether both are the same memory, rather than equal bytes.
    pub fn same_memory(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }
}

/// The size of the contents, if they can be served.
fn servable_size(image: &ImageFile) -> Result<usize, ImageError> {
    image.check_sizes()?;
    if let Some(reason) = boot_source::refusal_of_contents(&image.facts()) {
        return Err(image.error(ImageErrorKind::Network(reason)));
    }
    Ok(usize::try_from(image.header().image_size).unwrap_or(usize::MAX))
}

/// Zeroed anonymous memory, in huge pages where the system has them: the kernel reads it for every
/// frame.
fn memory(size: usize) -> io::Result<MmapMut> {
    let memory = MmapMut::map_anon(size)?;
    #[cfg(target_os = "linux")]
    // It works without huge pages too, a little slower.
    let _ = memory.advise(memmap2::Advice::HugePage);
    Ok(memory)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::ZlibEncoder;

    use super::*;
    use boot_format::Name;

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
        assert_eq!(contents.held().unwrap(), raw);
        assert_eq!((contents.dataset(), contents.image_name()), ("rpool/ROOT/ramdisk", "test"));
        assert_eq!(contents.target_size(), 16 << 20);
        let slice = [image(&raw), vec![1; 5000]].concat();
        assert_eq!(load(&slice).unwrap().held().unwrap(), raw);
    }

    #[test]
    fn a_mapped_image_is_the_file_and_a_compressed_one_is_pinned() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("an.img");
        let raw = vec![7; 1 << 20];
        fs::write(&path, image(&raw)).unwrap();
        let mapped = Contents::map(&path).unwrap();
        assert!(mapped.is_mapped() && !Contents::load(&path).unwrap().is_mapped());
        assert!(mapped.held().is_none() && mapped.slice(0..1024).held().is_none());
        let last = mapped.slice(raw.len() - 1024..raw.len()).as_raw();
        assert_eq!((mapped.size(), last.len()), (raw.len(), 1024));
        let mut packed = ZlibEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(&raw).unwrap();
        let packed = packed.finish().unwrap();
        let mut header = Header::parse(&image(&raw)[..Header::LEN]).unwrap();
        (header.compressed, header.data_size) = (true, packed.len() as u64);
        fs::write(&path, [&header.emit()[..], &packed].concat()).unwrap();
        let pinned = Contents::map(&path).unwrap();
        assert!(!pinned.is_mapped() && pinned.held().unwrap() == raw);
        let mut spoilt = image(&raw);
        spoilt[9000] ^= 1;
        fs::write(&path, &spoilt).unwrap();
        let error = Contents::map(&path).unwrap_err().to_string();
        assert!(error.contains("the contents' SHA-256 is "), "{error}");
    }

    #[test]
    fn a_bad_image_is_refused_with_the_reason() {
        let raw = vec![7; 1 << 20];
        let good = image(&raw);
        let mut spoilt = good.clone();
        spoilt[9000] ^= 1;
        let mut huge = good.clone();
        // An image size of 2 TiB, for which no memory may be set aside.
        for at in [21, 29, 37] {
            huge[at] = 2;
        }
        let mut bomb = huge.clone();
        bomb[8] = 1;
        bomb[21] = 0;
        for (bytes, reason) in [
            (&good[..100], "too short for a boot image"),
            (&good[..9000], "cut short: 4904 bytes after the header"),
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
