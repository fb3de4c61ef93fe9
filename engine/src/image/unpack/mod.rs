//! Image to raw contents: read, inflated, and checked against all that the header says.

mod inflate;

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crossbeam::channel;
use sha2::{Digest, Sha256};

use super::deflate_walk::{BrokenStream, walk};
use super::{Checksum, Header, HeaderError, SliceTraps};

pub use self::inflate::InflateError;

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
    /// The header is broken.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The file ends before its payload does.
    #[error("cut short: {found} bytes behind the header, and the data size is {wanted}")]
    Short {
        /// Bytes behind the header.
        found: u64,
        /// The data size.
        wanted: u64,
    },
    /// No payload of this size can hold so much.
    #[error(
        "the image size of {found} bytes is more than a payload of {data_size} bytes can inflate to"
    )]
    ImageSize {
        /// The image size.
        found: u64,
        /// The data size.
        data_size: u64,
    },
    /// The payload is no stream that inflates to the image.
    #[error(transparent)]
    Inflate(#[from] InflateError),
    /// The contents are not what the header says.
    #[error("the contents' SHA-256 is {found}, but the header says {wanted}")]
    Checksum {
        /// The contents' own.
        found: Checksum,
        /// The header's.
        wanted: Checksum,
    },
    /// It can't be served.
    #[error("{0}")]
    Network(String),
}

/// Called with each part of the raw contents, in order.
pub type Sink<'a> = dyn FnMut(&[u8]) -> io::Result<()> + Send + 'a;

impl ImageFile {
    /// Bytes read at a time.
    const BLOCK: usize = 1 << 20;
    /// Deflate codes 258 bytes in two bits at best.
    const MOST_RATIO: u64 = 1032;

    /// Opens the image at `path`: a file or a device, which may be longer than the image.
    ///
    /// # Errors
    ///
    /// If it can't be read, or begins with no header.
    pub fn open(path: &Path) -> Result<Self, ImageError> {
        let fail = |kind: ImageErrorKind| ImageError { path: path.to_owned(), kind };
        let file = File::open(path).map_err(|error| fail(error.into()))?;
        let length = length_of(&file).map_err(|error| fail(error.into()))?;
        let mut start = vec![0; Header::LEN];
        let there = Header::LEN.min(usize::try_from(length).unwrap_or(usize::MAX));
        file.read_exact_at(&mut start[..there], 0).map_err(|error| fail(error.into()))?;
        let header = Header::parse(&start[..there]).map_err(|error| fail(error.into()))?;
        Ok(Self { path: path.to_owned(), file, length, header })
    }

    /// The header, as it stands there.
    pub fn header(&self) -> &Header {
        &self.header
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

    /// Reads the raw contents into `memory`, which has the image's size, and checks them.
    ///
    /// # Errors
    ///
    /// As [`ImageFile::unpack`].
    pub(super) fn read_into(&self, memory: &mut [u8]) -> Result<(), ImageError> {
        let mut rest = memory;
        self.unpack(&mut |bytes| {
            let (now, later) = std::mem::take(&mut rest).split_at_mut(bytes.len());
            now.copy_from_slice(bytes);
            rest = later;
            Ok(())
        })
    }

    /// Whether the sizes in the header can be true, so that memory may be set aside for them.
    ///
    /// # Errors
    ///
    /// If fields disagree, the file is too short, or the payload can't hold so much.
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
    /// before the checksum can tell.
    ///
    /// # Errors
    ///
    /// If the image can't be read or is not what its header says, or if `sink` fails.
    pub fn unpack(&self, sink: &mut Sink<'_>) -> Result<(), ImageError> {
        self.check_sizes()?;
        let (sender, receiver) = channel::bounded::<Vec<u8>>(4);
        let (spent, fresh) = channel::bounded::<Vec<u8>>(8);
        // Hashing is the slowest step, so it has a thread of its own.
        let (fed, found) = std::thread::scope(|scope| {
            let hash = scope.spawn(move || {
                let mut hash = Sha256::new();
                for bytes in receiver {
                    hash.update(&bytes);
                    let _ = spent.try_send(bytes);
                }
                Checksum::from_bytes(hash.finalize().into())
            });
            let mut emit = |bytes: Vec<u8>| {
                sink(&bytes)?;
                let _ = sender.send(bytes);
                Ok(())
            };
            let fed = if self.header.compressed {
                inflate::inflate(self, &mut emit, &fresh)
            } else {
                self.read_raw(&mut emit, &fresh)
            };
            drop(sender);
            (fed, hash.join().expect("hashing does not panic"))
        });
        fed.map_err(|kind| self.error(kind))?;
        let wanted = self.header.checksum;
        if found != wanted {
            return Err(self.error(ImageErrorKind::Checksum { found, wanted }));
        }
        Ok(())
    }

    fn read_raw(
        &self,
        emit: &mut dyn FnMut(Vec<u8>) -> io::Result<()>,
        fresh: &channel::Receiver<Vec<u8>>,
    ) -> Result<(), ImageErrorKind> {
        let mut at = 0;
        while at < self.header.image_size {
            let length = (self.header.image_size - at).min(Self::BLOCK as u64) as usize;
            let mut block = fresh.try_recv().unwrap_or_default();
            block.resize(length, 0);
            self.read_payload(&mut block, at)?;
            at += length as u64;
            emit(block)?;
        }
        Ok(())
    }

    /// Fills `block` with the payload's bytes from `at` on.
    fn read_payload(&self, block: &mut [u8], at: u64) -> io::Result<()> {
        self.file.read_exact_at(block, Header::LEN as u64 + at)
    }

    /// Where a sled's inflater would give up, though the stream is valid: read from start to
    /// end for a compressed image, nowhere for a plain one.
    ///
    /// # Errors
    ///
    /// If the payload can't be read, or is no zlib stream.
    pub fn slice_traps(&self) -> Result<SliceTraps, ImageError> {
        const ZLIB_HEADER: usize = 2;
        self.check_sizes()?;
        if !self.header.compressed {
            return Ok(SliceTraps::default());
        }
        let length = self.header.data_size;
        let mut payload = vec![0; usize::try_from(length).unwrap_or(usize::MAX)];
        self.read_payload(&mut payload, 0).map_err(|error| self.error(error))?;
        let stream = payload.get(ZLIB_HEADER..).unwrap_or_default();
        let walked = walk(stream).map_err(|BrokenStream(bit)| {
            let (at, what) = (ZLIB_HEADER as u64 + bit / 8, "a broken block".to_owned());
            self.error(InflateError::Corrupt { at, what })
        })?;
        Ok(SliceTraps::find(ZLIB_HEADER as u64, length, &walked.yields))
    }

    /// SHA-256 of the payload as it is stored, and of the header and the payload together.
    ///
    /// # Errors
    ///
    /// If the file can't be read.
    pub fn stored_hashes(&self) -> Result<(Checksum, Checksum), ImageError> {
        let mut payload = Sha256::new();
        let mut whole = Sha256::new();
        let mut block = vec![0; Self::BLOCK];
        self.file.read_exact_at(&mut block[..Header::LEN], 0).map_err(|e| self.error(e))?;
        whole.update(&block[..Header::LEN]);
        let mut at = 0;
        while at < self.header.data_size {
            let length = (self.header.data_size - at).min(Self::BLOCK as u64) as usize;
            let block = &mut block[..length];
            self.read_payload(block, at).map_err(|error| self.error(error))?;
            payload.update(&*block);
            whole.update(&*block);
            at += length as u64;
        }
        let checksum = |hash: Sha256| Checksum::from_bytes(hash.finalize().into());
        Ok((checksum(payload), checksum(whole)))
    }
}

/// Bytes in a file or a block device.
fn length_of(mut file: &File) -> io::Result<u64> {
    use std::io::{Seek, SeekFrom};
    let length = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    Ok(length)
}
