//! The contents cut into chunks, the same way every time: runs of zeros, and what is between
//! them.

use super::PackError;
use super::source::Source;
use crate::holes::{Extent, is_zero};

/// Bytes in a chunk at most: larger ones compress hardly better, and take more memory.
pub(super) const CHUNK: usize = 2 << 20;

/// Zeros are split off in such units: the window would be full of them anyway, and nothing else
/// makes them as small as quickly.
const UNIT: u64 = 64 << 10;

/// A chunk of contents.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    Bytes(Vec<u8>),
    /// So many zeros.
    Zeros(u64),
}

/// Reads the contents chunk by chunk.
pub(super) struct Chunks<'a> {
    source: &'a Source<'a>,
    at: u64,
    /// The extent last asked for.
    extent: Extent,
}

impl<'a> Chunks<'a> {
    pub(super) fn new(source: &'a Source<'a>) -> Self {
        Self { source, at: 0, extent: Extent { is_hole: false, end: 0 } }
    }

    /// Bytes of the contents that are in the chunks so far.
    pub(super) fn at(&self) -> u64 {
        self.at
    }

    /// The next chunk, in `buffer` if it is not all zeros; nothing at the end.
    pub(super) fn next(&mut self, mut buffer: Vec<u8>) -> Result<Option<Chunk>, PackError> {
        buffer.clear();
        buffer.reserve_exact(CHUNK);
        let mut zeros = 0;
        while self.at < self.source.image_size {
            let length = (self.source.image_size - self.at).min(UNIT);
            let before = buffer.len();
            let is_zero = self.is_hole(length) || {
                buffer.resize(before + length as usize, 0);
                self.source.read(self.at, &mut buffer[before..])?;
                is_zero(&buffer[before..])
            };
            let ends = if is_zero {
                buffer.truncate(before);
                before > 0
            } else {
                zeros > 0
            };
            if ends {
                break;
            }
            self.at += length;
            if is_zero {
                zeros += length;
            }
            if zeros.max(buffer.len() as u64) + UNIT > CHUNK as u64 {
                break;
            }
        }
        Ok(match (zeros, buffer.len()) {
            (0, 0) => None,
            (0, _) => Some(Chunk::Bytes(buffer)),
            _ => Some(Chunk::Zeros(zeros)),
        })
    }

    /// Whether the next `length` bytes are known to be zeros.
    fn is_hole(&mut self, length: u64) -> bool {
        if self.at >= self.extent.end {
            self.extent = self.source.extent(self.at);
        }
        self.extent.is_hole && self.at + length <= self.extent.end
    }
}
