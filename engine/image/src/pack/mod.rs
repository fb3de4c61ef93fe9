//! Raw file to image: hashed while it is written or compressed.

mod chunks;
mod compress;
#[cfg(feature = "internals")]
pub mod internals;
mod optimal;
mod source;
mod stitch;
mod store;
mod work;
mod workers;

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use boot_format::wire::{BATCH, LEAST_SIZE};
use boot_format::{Header, Name};

use self::source::Source;

/// What to pack, and how.
#[derive(Clone, Debug)]
pub struct PackOptions {
    /// The image's name.
    pub image_name: Name,
    /// The dataset to boot from.
    pub dataset: Name,
    /// Bytes of the ramdisk that the sled creates.
    pub target_size: u64,
    /// How hard to compress: 1 to 12, or [`PackOptions::MOST`]; `None` stores the contents as they
    /// are.
    pub level: Option<u8>,
    /// Threads that compress; `None` for as many as there are cores.
    pub threads: Option<NonZeroUsize>,
    /// Extend the contents with zeros to what can boot over the network: at least 1 MiB (P11), and
    /// a multiple of 128 KiB (P28).
    pub pad: bool,
}

impl PackOptions {
    /// The default level: a smaller image saves time in every recovery, which is worth more than
    /// the time of a build.
    pub const LEVEL: u8 = 10;
    /// The level that makes the smallest image, however long it takes.
    pub const MOST: u8 = 13;
    /// The default size of the ramdisk in bytes.
    pub const TARGET_SIZE: u64 = 4096 << 20;
}

/// What was packed.
#[derive(Clone, Debug)]
pub struct Packed {
    /// The image's header, as it was written.
    pub header: Header,
    /// Bytes of zeros that were added to the contents.
    pub padding: u64,
    /// Whether compression was asked for but would not have made the payload smaller.
    pub incompressible: bool,
    /// From the first byte read to the last one written.
    pub time: Duration,
    /// What the time was spent on.
    pub stages: Stages,
}

/// How long each part of the work took. The parts overlap, so the sum exceeds the time that
/// passed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stages {
    /// Hashing the contents; of a compressed image, reading them too.
    pub hash: Duration,
    /// Compressing, of all threads together.
    pub compress: Duration,
    /// Writing the payload; of an uncompressed image, reading the contents too.
    pub write: Duration,
}

/// Why nothing was packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// The raw file can't be read.
    #[error("reading: {0}")]
    Read(io::Error),
    /// The image can't be written.
    #[error("writing: {0}")]
    Write(io::Error),
    /// There is nothing to pack.
    #[error("the input is empty")]
    Empty,
    /// It was changed meanwhile.
    #[error("the input shrank while it was being read: from {wanted} to {found} bytes")]
    Shrunk {
        /// Where it ends now.
        found: u64,
        /// Its size at the start.
        wanted: u64,
    },
    /// It was changed meanwhile.
    #[error("the input changed while it was being read")]
    Changed,
    /// It does not fit.
    #[error(
        "the input has {found} bytes, more than the target size of {most}: ask for a larger one (-s)"
    )]
    TooLarge {
        /// Bytes of contents.
        found: u64,
        /// The target size.
        most: u64,
    },
    /// Every stream that was tried has a slice that is a trap (F11): never observed.
    #[error(
        "at this level a sled's inflater would stop at byte {at} of the payload: try another \
         level, or none"
    )]
    Trapped {
        /// The payload offset of the slice.
        at: u64,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// A thread failed that never should.
    #[error("{0} failed")]
    Worker(&'static str),
}

/// Receives the bytes of contents packed so far; returns whether to continue.
pub type Progress<'a> = dyn FnMut(u64) -> bool + 'a;

/// Packs the `size` bytes of `raw` into `image`, which is empty, or a device.
///
/// The header is written last, so what is there until then is not an image.
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
    let source = Source::new(raw, size, image_size)?;
    let mut stages = Stages::default();
    let mut compressed = None;
    if let Some(level) = options.level {
        let threads = options.threads;
        compressed = compress::compress(&source, image, level, threads, progress, &mut stages)?;
    }
    let incompressible = options.level.is_some() && compressed.is_none();
    let (data_size, checksum) = match compressed {
        Some(compressed) => compressed,
        None => (image_size, store::store(&source, image, progress, &mut stages)?),
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
    Ok(Packed { header, padding, incompressible, time: started.elapsed(), stages })
}

/// The least size of at least `size` bytes that boots over the network (P11, P28).
fn padded(size: u64) -> u64 {
    size.max(LEAST_SIZE).checked_next_multiple_of(BATCH as u64).unwrap_or(size)
}

fn write_at(image: &File, bytes: &[u8], at: u64) -> Result<(), PackError> {
    image.write_all_at(bytes, at).map_err(PackError::Write)
}
