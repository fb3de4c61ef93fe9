//! Parts that benches measure separately. Only with the feature `internals`; nothing here is kept
//! stable.

use std::sync::atomic::AtomicBool;

use super::stitch::{Piece, Seam};
use super::workers::Workers;
use crate::adler::Adler;
use crate::{deflate, holes};

/// Whether all bytes are zero.
pub fn is_zero(bytes: &[u8]) -> bool {
    holes::is_zero(bytes)
}

/// The Adler-32 of two parts, from the sums of each and the bytes in the second.
pub fn combine_adler(first: u32, second: u32, length: u64) -> [u8; 4] {
    Adler::from_parts(first, 0).then(Adler::from_parts(second, length)).to_bytes()
}

/// Inflates the deflate stream at the start of `bytes` to the start of `room`. Returns the bytes of
/// output, or `None` if there is no such stream or too little room.
pub fn inflate(bytes: &[u8], room: &mut [u8]) -> Option<u64> {
    deflate::inflate_to(bytes, room).ok().map(|walk| walk.output)
}

/// Parts of a raw image, each compressed by itself.
#[derive(Clone, Debug)]
pub struct Pieces(Vec<Piece>);

impl Pieces {
    /// Compresses `parts` at `level`.
    ///
    /// # Panics
    ///
    /// If the compressor makes a wrong stream.
    pub fn new<'a>(level: u8, parts: impl Iterator<Item = &'a [u8]>) -> Self {
        let stop = AtomicBool::new(false);
        let workers = Workers::new(level, &stop);
        let compress = |part| workers.compress(part).expect("the stream is right");
        Self(parts.map(compress).collect())
    }

    /// Joins them to one zlib stream. Returns its length in bytes.
    ///
    /// # Panics
    ///
    /// If there are none, or a sled could not take the stream.
    pub fn stitch(mut self) -> usize {
        let mut seam = Seam::new();
        let last = self.0.pop().expect("there are pieces");
        let mut length = 0;
        for piece in self.0 {
            length += seam.add(piece).expect("a place is found").len();
        }
        length + seam.end(last).expect("a place is found").len()
    }
}
