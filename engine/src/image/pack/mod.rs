//! Raw file to image: read once, hashed beside being written or compressed.

mod compress;
mod stitch;

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{self, Sender};
use sha2::{Digest, Sha256};

use super::{Checksum, Header, Name};

/// What to pack, and how.
#[derive(Clone, Debug)]
pub struct PackOptions {
    /// What the image calls itself.
    pub image_name: Name,
    /// The dataset to boot from.
    pub dataset: Name,
    /// Bytes of the ramdisk that the sled creates.
    pub target_size: u64,
    /// How hard to compress, from 1 to 12; not at all if `None`.
    pub level: Option<u8>,
    /// Threads that compress; as many as there are cores if `None`.
    pub threads: Option<NonZeroUsize>,
    /// Extend the contents with zeros to what can boot over the network: 1 MiB at least, and a
    /// multiple of 128 KiB.
    pub pad: bool,
}

impl PackOptions {
    /// The level if none is asked for: what its output saves of every recovery is worth more
    /// than what it costs a build.
    pub const LEVEL: u8 = 10;
    /// Bytes of the ramdisk if nothing is asked for.
    pub const TARGET_SIZE: u64 = 4096 << 20;
}

/// What was packed.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The image's header, as it was written.
    pub header: Header,
    /// Bytes of zeros that were added to the contents.
    pub padding: u64,
    /// Compression was asked for, but the payload would not have been smaller.
    pub incompressible: bool,
    /// From the first byte read to the last one written.
    pub time: Duration,
}

/// Why nothing was packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The raw file can't be read.
    #[error("reading: {0}")]
    Read(#[source] io::Error),
    /// The image can't be written.
    #[error("writing: {0}")]
    Write(#[source] io::Error),
    /// There is nothing to pack.
    #[error("it is empty: there is nothing to pack")]
    Empty,
    /// It was changed meanwhile.
    #[error("it ended at byte {found} while it was read, and had {wanted} bytes before")]
    Shrunk {
        /// Where it ends now.
        found: u64,
        /// Its size at the start.
        wanted: u64,
    },
    /// It was changed meanwhile.
    #[error("it was changed while it was read")]
    Changed,
    /// It does not fit.
    #[error(
        "it has {found} bytes, more than the target size of {most}: a larger one can be asked for"
    )]
    TooLarge {
        /// Bytes of contents.
        found: u64,
        /// The target size.
        most: u64,
    },
    /// The caller said stop.
    #[error("interrupted")]
    Interrupted,
    /// A part of us failed that never should.
    #[error("a worker failed: {0}")]
    Worker(&'static str),
}

/// Told how many bytes of the contents have been read; says whether to go on.
pub type Progress<'a> = dyn FnMut(u64) -> bool + 'a;

/// Packs the `size` bytes of `raw` into `image`, which is empty, or a device.
///
/// The header is written last, so that what was written until then is no image.
///
/// # Errors
///
/// If `raw` is empty or too large, is changed while it is read, or anything fails.
pub fn pack(
    raw: &File,
    size: u64,
    image: &File,
    options: &PackOptions,
    progress: &mut Progress<'_>,
) -> Result<Packed, PackError> {
    let started = Instant::now();
    if size == 0 {
        return Err(PackError::Empty);
    }
    let image_size = if options.pad { padded(size) } else { size };
    if image_size > options.target_size {
        return Err(PackError::TooLarge { found: image_size, most: options.target_size });
    }
    let source = Source { file: raw, size, image_size };
    let mut compressed = None;
    if let Some(level) = options.level {
        compressed = compress::compress(&source, image, level, options.threads, progress)?;
    }
    let incompressible = options.level.is_some() && compressed.is_none();
    let (data_size, checksum) = match compressed {
        Some(compressed) => compressed,
        None => (image_size, store(&source, image, progress)?),
    };
    let header = Header {
        compressed: options.level.is_some() && !incompressible,
        data_size,
        image_size,
        target_size: options.target_size,
        checksum,
        dataset: options.dataset,
        image_name: options.image_name,
    };
    write_at(image, &header.emit(), 0)?;
    let padding = image_size - size;
    Ok(Packed { header, padding, incompressible, time: started.elapsed() })
}

/// The least size of at least `size` bytes that boots over the network.
fn padded(size: u64) -> u64 {
    size.max(1 << 20).checked_next_multiple_of(128 << 10).unwrap_or(size)
}

/// Copies the contents behind the place of the header, and returns their checksum. Zeros
/// become holes where the file system has them.
fn store(
    source: &Source<'_>,
    image: &File,
    progress: &mut Progress<'_>,
) -> Result<Checksum, PackError> {
    let is_file = image.metadata().map_err(PackError::Write)?.is_file();
    if is_file {
        // What a vain attempt to compress has left behind must not show through the holes.
        image.set_len(0).map_err(PackError::Write)?;
        image.set_len(Header::LEN as u64 + source.image_size).map_err(PackError::Write)?;
    }
    hashed(|hasher| {
        let mut at = 0;
        while at < source.image_size {
            let block = source.read(at, BLOCK)?;
            let is_hole = is_file && is_zero(&block);
            hasher.send(Arc::clone(&block))?;
            if !is_hole {
                write_at(image, &block, Header::LEN as u64 + at)?;
            }
            at += block.len() as u64;
            if !progress(at) {
                return Err(PackError::Interrupted);
            }
        }
        source.check_unchanged()
    })
    .map(|((), checksum)| checksum)
}

/// Bytes read at a time.
const BLOCK: usize = 1 << 20;

/// The contents: those of a file, and zeros behind them.
#[derive(Clone, Copy)]
struct Source<'a> {
    file: &'a File,
    size: u64,
    image_size: u64,
}

impl Source<'_> {
    /// Up to `most` bytes from `at` on.
    fn read(&self, at: u64, most: usize) -> Result<Arc<Vec<u8>>, PackError> {
        let length = (self.image_size - at).min(most as u64) as usize;
        let mut block = vec![0; length];
        let there = self.size.saturating_sub(at).min(length as u64) as usize;
        let mut filled = 0;
        while filled < there {
            match self.file.read_at(&mut block[filled..there], at + filled as u64) {
                Ok(0) => {
                    return Err(PackError::Shrunk { found: at + filled as u64, wanted: self.size });
                }
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(PackError::Read(error)),
            }
        }
        Ok(Arc::new(block))
    }

    /// Whether the file is as long as it was; one that grew has changed too.
    fn check_unchanged(&self) -> Result<(), PackError> {
        let file = self.file.metadata().map_err(PackError::Read)?;
        let found = file.len();
        if !file.is_file() || found == self.size {
            Ok(())
        } else if found < self.size {
            Err(PackError::Shrunk { found, wanted: self.size })
        } else {
            Err(PackError::Changed)
        }
    }
}

/// Where blocks go to be hashed, by a thread of its own.
struct Hasher {
    blocks: Sender<Arc<Vec<u8>>>,
}

impl Hasher {
    /// Blocks that may wait: enough to be never idle.
    const QUEUE: usize = 4;

    fn send(&self, block: Arc<Vec<u8>>) -> Result<(), PackError> {
        self.blocks.send(block).map_err(|_| PackError::Worker("the one that hashes"))
    }
}

/// Runs `feed`, and hashes what it sends, in order.
fn hashed<T>(
    feed: impl FnOnce(&Hasher) -> Result<T, PackError>,
) -> Result<(T, Checksum), PackError> {
    let (blocks, received) = channel::bounded::<Arc<Vec<u8>>>(Hasher::QUEUE);
    std::thread::scope(|scope| {
        let hash = scope.spawn(move || {
            let mut hash = Sha256::new();
            for block in received {
                hash.update(&*block);
            }
            Checksum::from_bytes(hash.finalize().into())
        });
        let hasher = Hasher { blocks };
        let fed = feed(&hasher);
        drop(hasher);
        let checksum = hash.join().map_err(|_| PackError::Worker("the one that hashes"))?;
        Ok((fed?, checksum))
    })
}

/// Whether all bytes are zero.
fn is_zero(bytes: &[u8]) -> bool {
    static ZEROS: [u8; 4096] = [0; 4096];
    bytes.chunks(ZEROS.len()).all(|chunk| chunk == &ZEROS[..chunk.len()])
}

fn write_at(image: &File, bytes: &[u8], at: u64) -> Result<(), PackError> {
    image.write_all_at(bytes, at).map_err(PackError::Write)
}
