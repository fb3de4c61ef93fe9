//! Contents stored as they are, and hashed meanwhile.

use std::fs::File;
use std::time::{Duration, Instant};

use boot_format::{Checksum, Header};
use crossbeam::channel::{self, Receiver, Sender};
use sha2::{Digest, Sha256};

use super::source::Source;
use super::{PackError, Progress, Stages, write_at};
use crate::{clone, holes};

/// Bytes read at a time.
const BLOCK: usize = 1 << 20;

/// A part of the contents, on its way to be hashed.
enum Part {
    Bytes(Vec<u8>),
    Zeros(u64),
}

/// Copies the contents to where the payload begins, and returns their checksum. Zeros become holes
/// where the file system supports them, and what it can share is not copied.
pub(super) fn store(
    source: &Source<'_>,
    image: &File,
    progress: &mut Progress<'_>,
    stages: &mut Stages,
) -> Result<Checksum, PackError> {
    let is_file = image.metadata().map_err(PackError::Write)?.is_file();
    let mut cloned = 0;
    if is_file {
        // What is left of a failed attempt to compress must not show through the holes.
        image.set_len(0).map_err(PackError::Write)?;
        image.set_len(Header::LEN as u64 + source.image_size).map_err(PackError::Write)?;
        cloned = clone::clone_start(source.file, source.size, image, Header::LEN as u64);
    }
    let (parts, received) = channel::bounded(Hasher::QUEUE);
    let (spent, fresh) = channel::bounded(Hasher::QUEUE + 2);
    let (copied, hashed) = std::thread::scope(|scope| {
        let hash = scope.spawn(move || hash(&received, &spent));
        let hasher = Hasher { parts, fresh };
        let mut copy = Copy { source, image, is_file, cloned, progress, time: Duration::ZERO };
        let copied = copy.copy(&hasher).map(|()| copy.time);
        drop(hasher);
        (copied, hash.join().map_err(|_| PackError::Worker("the hashing thread")))
    });
    let (checksum, time) = hashed?;
    stages.write += copied?;
    stages.hash += time;
    Ok(checksum)
}

fn hash(parts: &Receiver<Part>, spent: &Sender<Vec<u8>>) -> (Checksum, Duration) {
    let mut time = Duration::ZERO;
    let mut hash = Sha256::new();
    for part in parts {
        let started = Instant::now();
        match part {
            Part::Bytes(bytes) => {
                hash.update(&bytes);
                // If the receiver is gone, the part is dropped.
                let _ = spent.try_send(bytes);
            }
            Part::Zeros(length) => holes::zeros(length).for_each(|zeros| hash.update(zeros)),
        }
        time += started.elapsed();
    }
    (Checksum::from_bytes(hash.finalize().into()), time)
}

/// Sends parts to the hashing thread, and gets blocks back.
struct Hasher {
    parts: Sender<Part>,
    fresh: Receiver<Vec<u8>>,
}

impl Hasher {
    /// Parts that may wait: enough that the thread is never idle.
    const QUEUE: usize = 4;

    fn send(&self, part: Part) -> Result<(), PackError> {
        self.parts.send(part).map_err(|_| PackError::Worker("the hashing thread"))
    }

    fn block(&self, length: usize) -> Vec<u8> {
        let mut block = self.fresh.try_recv().unwrap_or_default();
        block.resize(length, 0);
        block
    }
}

struct Copy<'a, 'b> {
    source: &'a Source<'a>,
    image: &'a File,
    is_file: bool,
    /// Bytes of the contents that are in the image already.
    cloned: u64,
    progress: &'a mut Progress<'b>,
    /// Spent in reading and writing.
    time: Duration,
}

impl Copy<'_, '_> {
    fn copy(&mut self, hasher: &Hasher) -> Result<(), PackError> {
        let mut at = 0;
        while at < self.source.image_size {
            let extent = self.source.extent(at);
            if extent.is_hole && self.is_file {
                hasher.send(Part::Zeros(extent.end - at))?;
                at = extent.end;
                self.go_on(at)?;
                continue;
            }
            while at < extent.end {
                let block = hasher.block((extent.end - at).min(BLOCK as u64) as usize);
                at = self.block(at, block, hasher)?;
                self.go_on(at)?;
            }
        }
        self.source.check_unchanged()
    }

    fn block(&mut self, at: u64, mut block: Vec<u8>, hasher: &Hasher) -> Result<u64, PackError> {
        let started = Instant::now();
        self.source.read(at, &mut block)?;
        let end = at + block.len() as u64;
        let place = Header::LEN as u64 + at;
        if end > self.cloned && self.is_file {
            holes::write_sparse(self.image, &block, place).map_err(PackError::Write)?;
        } else if !self.is_file {
            write_at(self.image, &block, place)?;
        }
        self.time += started.elapsed();
        hasher.send(Part::Bytes(block))?;
        Ok(end)
    }

    fn go_on(&mut self, at: u64) -> Result<(), PackError> {
        if (self.progress)(at) { Ok(()) } else { Err(PackError::Interrupted) }
    }
}
