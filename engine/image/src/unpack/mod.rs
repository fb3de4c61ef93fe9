//! Image to raw contents: read, inflated, and checked against everything in the header.

mod crew;
mod in_place;
mod inflate;
mod opening;
mod segments;
mod sequential;
mod traps;
mod work;
mod zlib;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync;

use boot_format::boot_source::{Facts, Refusal};
use boot_format::{Checksum, Header, HeaderError};
use crossbeam::channel::{self, Receiver};
use rayon::{ThreadPool, ThreadPoolBuilder};
use sha2::{Digest, Sha256};

use self::crew::{Crew, InflatedSegment};
pub use self::zlib::InflateError;
use super::holes;

/// An open image file, or device, whose header has been read.
#[derive(Debug)]
pub struct ImageFile {
    path: PathBuf,
    file: File,
    length: u64,
    header: Header,
}

/// What is wrong with an image.
#[derive(Debug, thiserror::Error)]
#[error("{}: {kind}", path.display())]
pub struct ImageError {
    /// The file.
    path: PathBuf,
    /// What is wrong with it.
    pub kind: ImageErrorKind,
}

/// What can be wrong with an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImageErrorKind {
    /// The system failed us.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not a file or device that can hold an image.
    #[error("it is {found}, neither a file nor a block device")]
    FileKind {
        /// What it is.
        found: &'static str,
    },
    /// The header is broken.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The file ends before its payload does.
    #[error("cut short: {found} bytes after the header, and the data size is {wanted}")]
    Short {
        /// Bytes after the header.
        found: u64,
        /// The data size.
        wanted: u64,
    },
    /// No payload of this size can inflate to that many bytes.
    #[error(
        "the image size of {found} bytes is more than a payload of {data_size} bytes can inflate to"
    )]
    ImageSize {
        /// The image size.
        found: u64,
        /// The data size.
        data_size: u64,
    },
    /// The payload does not inflate to the image.
    #[error(transparent)]
    Inflate(#[from] InflateError),
    /// The contents do not match the header.
    #[error("the contents' SHA-256 is {found}, but the header says {wanted}")]
    Checksum {
        /// The contents' own.
        found: Checksum,
        /// The header's.
        wanted: Checksum,
    },
    /// It can't be served.
    #[error("{0}")]
    Network(Refusal),
}

/// Called with each part of the raw contents, in order.
pub type Sink<'a> = dyn FnMut(&[u8]) -> io::Result<()> + Send + 'a;

impl ImageFile {
    /// Bytes read or inflated at a time: few enough to be in the cache still when another core
    /// hashes them.
    const BLOCK: usize = 256 << 10;
    /// Deflate encodes at most 258 bytes in two bits.
    const MOST_RATIO: u64 = 1032;

    /// Opens the image at `path`: a file or a device, which may be longer than the image.
    ///
    /// # Errors
    ///
    /// If it can't be read, or does not begin with a header.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let fail = |kind: ImageErrorKind| ImageError { path: path.to_owned(), kind };
        let (file, length) = opening::open(path).map_err(fail)?;
        let mut start = vec![0; Header::LEN];
        let there = Header::LEN.min(usize::try_from(length).unwrap_or(usize::MAX));
        file.read_exact_at(&mut start[..there], 0).map_err(|error| fail(error.into()))?;
        let header = Header::parse(&start[..there]).map_err(|error| fail(error.into()))?;
        Ok(Self { path: path.to_owned(), file, length, header })
    }

    /// The header, as it is in the file.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// What boot sources need to know of it without reading its payload.
    pub fn facts(&self) -> Facts<'_> {
        Facts::new(&self.header, self.length)
    }

    /// The file's length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// The file itself.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// An error about this image.
    pub fn error(&self, kind: impl Into<ImageErrorKind>) -> ImageError {
        ImageError { path: self.path.clone(), kind: kind.into() }
    }

    /// Whether the sizes in the header are plausible, so that memory can be set aside for them.
    ///
    /// # Errors
    ///
    /// If fields disagree, the file is too short, or the payload can't inflate to that many bytes.
    pub fn check_sizes(&self) -> Result<(), ImageError> {
        let Header { compressed, data_size, image_size, .. } = self.header;
        self.header.check().map_err(|error| self.error(error))?;
        let found = self.length.saturating_sub(Header::LEN as u64);
        if data_size > found {
            return Err(self.error(ImageErrorKind::Short { found, wanted: data_size }));
        }
        if compressed && image_size > data_size.saturating_mul(Self::MOST_RATIO) {
            return Err(self.error(ImageErrorKind::ImageSize { found: image_size, data_size }));
        }
        Ok(())
    }

    /// Hands the raw contents to `sink`, in order and to the end, while they are checked.
    ///
    /// The image is good only if this returns without error: `sink` may be handed wrong bytes
    /// before the checksum shows it.
    ///
    /// # Errors
    ///
    /// If the image can't be read or does not match its header, or if `sink` fails.
    pub fn unpack(&self, sink: &mut Sink<'_>) -> Result<(), ImageError> {
        self.check_sizes()?;
        let mut threads = ThreadPoolBuilder::new();
        if !self.header.compressed {
            // There is nothing to do except hashing.
            threads = threads.num_threads(1);
        }
        let pool = threads.build().ok();
        let crew = Crew::new(pool.as_ref().map_or(0, ThreadPool::current_num_threads));
        let (end_with, done) = channel::unbounded();
        let emit = Emit { sink, crew: &crew };
        let fed = match &pool {
            Some(pool) => pool.in_place_scope(|scope| {
                for _ in 0..crew.workers() {
                    let end_with = end_with.clone();
                    let crew = &crew;
                    scope.spawn(move |_| crew.work(&end_with, self.header.image_size));
                }
                drop(end_with);
                self.feed(emit, &done)
            }),
            None => {
                drop(end_with);
                self.feed(emit, &done)
            }
        };
        let found = crew.checksum();
        self.check_contents(fed, found)
    }

    /// Hands over the raw contents, inflated from the segments that are `done` if they are
    /// compressed.
    fn feed(
        &self,
        mut emit: Emit<'_>,
        done: &Receiver<InflatedSegment>,
    ) -> Result<(), ImageErrorKind> {
        if self.header.compressed {
            inflate::inflate(self, done, &mut emit)
        } else {
            self.read_raw(&mut emit)
        }
    }

    /// What is wrong with contents that were `fed`, if anything, given the checksum `found`.
    fn check_contents(
        &self,
        fed: Result<(), ImageErrorKind>,
        found: Checksum,
    ) -> Result<(), ImageError> {
        fed.map_err(|kind| self.error(kind))?;
        let wanted = self.header.checksum;
        if found != wanted {
            return Err(self.error(ImageErrorKind::Checksum { found, wanted }));
        }
        Ok(())
    }

    fn read_raw(&self, emit: &mut Emit<'_>) -> Result<(), ImageErrorKind> {
        let mut at = 0;
        while at < self.header.image_size {
            let length = (self.header.image_size - at).min(Self::BLOCK as u64) as usize;
            let mut block = emit.crew.fresh();
            block.resize(length, 0);
            self.read_payload(&mut block, at)?;
            at += length as u64;
            emit.emit(Part::Bytes(block))?;
        }
        Ok(())
    }

    /// Fills `block` with the payload's bytes from `at` on.
    fn read_payload(&self, block: &mut [u8], at: u64) -> io::Result<()> {
        let place = Header::LEN as u64 + at;
        self.file.read_exact_at(block, place).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => io::Error::new(
                error.kind(),
                format!(
                    "it was cut while it was read: it ends between byte {place} and the \
                         end of its payload"
                ),
            ),
            _ => error,
        })
    }

    /// SHA-256 of the payload as it is stored, and of the header and the payload together.
    ///
    /// # Errors
    ///
    /// If the file can't be read.
    pub fn stored_hashes(&self) -> Result<(Checksum, Checksum), ImageError> {
        std::thread::scope(|scope| {
            let payload = scope.spawn(|| self.hash_from(Header::LEN as u64));
            let whole = self.whole_hash();
            let payload = payload.join().expect("hashing does not panic");
            Ok((payload.map_err(|error| self.error(error))?, whole?))
        })
    }

    /// SHA-256 of the header and the payload together.
    ///
    /// # Errors
    ///
    /// If the file can't be read.
    pub fn whole_hash(&self) -> Result<Checksum, ImageError> {
        self.hash_from(0).map_err(|error| self.error(error))
    }

    /// Hashes the image from byte `at` of the file on.
    fn hash_from(&self, mut at: u64) -> io::Result<Checksum> {
        const BLOCK: u64 = 256 << 10;
        let mut hash = Sha256::new();
        let mut block = vec![0; BLOCK as usize];
        let end = self.header.data_size.saturating_add(Header::LEN as u64);
        while at < end {
            let block = &mut block[..(end - at).min(BLOCK) as usize];
            self.file.read_exact_at(block, at)?;
            hash.update(&*block);
            at += block.len() as u64;
        }
        Ok(Checksum::from_bytes(hash.finalize().into()))
    }
}

/// A part of the contents.
enum Part {
    Bytes(Vec<u8>),
    /// This many zeros.
    Zeros(u64),
}

/// Where raw contents go: to the caller's sink, and to be hashed.
struct Emit<'a> {
    sink: &'a mut Sink<'a>,
    crew: &'a Crew,
}

impl Drop for Emit<'_> {
    fn drop(&mut self) {
        self.crew.end();
    }
}

impl Emit<'_> {
    fn emit(&mut self, part: Part) -> io::Result<()> {
        match &part {
            Part::Bytes(bytes) => (self.sink)(bytes)?,
            Part::Zeros(length) => holes::zeros(*length).try_for_each(&mut *self.sink)?,
        }
        self.crew.hash(part);
        Ok(())
    }
}
