//! Chunks that were compressed apart, joined to one standard zlib stream.

use libdeflater::{CompressionLvl, Compressor};

use crate::image::deflate_walk::{BrokenStream, Walk, Yields, walk};
use crate::image::slice_trap::{Follower, SLICES};

/// The first bytes of a zlib stream: deflate, a window of 32 KiB, no dictionary.
pub(super) const ZLIB_HEADER: [u8; 2] = [0x78, 0xda];

/// A stored block without contents, at a byte boundary: it gives nothing and may stand between
/// any two others.
const EMPTY_BLOCK: [u8; 5] = [0, 0, 0, 0xff, 0xff];
const FINAL_EMPTY_BLOCK: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// A compressed chunk that others can follow: whole blocks, none of them final, to the end of
/// a byte.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    yields: Yields,
    pub(super) adler: Adler,
}

/// The Adler-32 of a part of the contents, and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Adler {
    sum: u32,
    length: u64,
}

/// libdeflate gave a stream that is not what it should be: never seen, always checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadPiece;

impl Piece {
    /// Compresses one chunk.
    pub(super) fn compress(compressor: &mut Compressor, chunk: &[u8]) -> Result<Self, BadPiece> {
        let most = compressor.deflate_compress_bound(chunk.len());
        let mut bytes = vec![0; most + EMPTY_BLOCK.len() + 1];
        let length = compressor.deflate_compress(chunk, &mut bytes).map_err(|_| BadPiece)?;
        bytes.truncate(length);
        let Walk { final_block, end, output, yields } =
            walk(&bytes).map_err(|BrokenStream(_)| BadPiece)?;
        if output != chunk.len() as u64 || end.div_ceil(8) != length as u64 {
            return Err(BadPiece);
        }
        bytes[(final_block / 8) as usize] &= !(1 << (final_block % 8));
        // Three bits of an empty stored block's head follow where the last block ended, and
        // then padding: all zeros, as are the unused bits of the last byte.
        if end % 8 == 0 || end % 8 > 5 {
            bytes.push(0);
        }
        bytes.extend_from_slice(&EMPTY_BLOCK[1..]);
        bytes.shrink_to_fit();
        let adler = Adler { sum: libdeflater::adler32(chunk), length: chunk.len() as u64 };
        Ok(Self { bytes, yields, adler })
    }

    /// A compressor for `level`, 1 to 12.
    pub(super) fn compressor(level: u8) -> Compressor {
        let level = CompressionLvl::new(level.into()).unwrap_or(CompressionLvl::best());
        Compressor::new(level)
    }
}

impl Adler {
    pub(super) const EMPTY: Self = Self { sum: 1, length: 0 };
    const BASE: u64 = 65_521;

    /// The sum of this part and the `next` one together.
    pub(super) fn then(self, next: Self) -> Self {
        let halves = |sum: u32| (u64::from(sum & 0xffff), u64::from(sum >> 16));
        let ((a1, b1), (a2, b2)) = (halves(self.sum), halves(next.sum));
        // The second part was summed from 1 on, not from where the first one ended.
        let shift = a1 + Self::BASE - 1;
        let a = (a2 + shift) % Self::BASE;
        let b = (b1 + b2 + next.length % Self::BASE * (shift % Self::BASE)) % Self::BASE;
        Self { sum: (b << 16 | a) as u32, length: self.length + next.length }
    }

    /// As it ends a zlib stream.
    pub(super) fn to_bytes(self) -> [u8; 4] {
        self.sum.to_be_bytes()
    }
}

/// Joins pieces, and sees to it that no slice of the payload is a trap for the sled.
pub(super) struct Seam {
    followers: [Follower; 2],
    adler: Adler,
}

impl Seam {
    pub(super) fn new() -> Self {
        let mut followers = SLICES.map(Follower::new);
        for follower in &mut followers {
            follower.follow(ZLIB_HEADER.len() as u64, None);
        }
        Self { followers, adler: Adler::EMPTY }
    }

    /// What has to stand before `piece`: usually nothing, or empty blocks that shift it out of
    /// a trap.
    pub(super) fn before(&mut self, piece: &Piece) -> Vec<u8> {
        let mut shift = Vec::new();
        loop {
            let mut followers = self.followers;
            let trapped = followers.iter_mut().any(|follower| {
                follower.follow(shift.len() as u64, None).is_some()
                    || follower.follow(piece.bytes.len() as u64, Some(&piece.yields)).is_some()
            });
            // A piece can't be trapped at every place; should it be, a bad payload is found out
            // when it is checked, and an endless one never.
            if !trapped || shift.len() > SLICES[0] as usize {
                self.followers = followers;
                self.adler = self.adler.then(piece.adler);
                return shift;
            }
            shift.extend_from_slice(&EMPTY_BLOCK);
        }
    }

    /// What ends the stream, behind the last piece.
    pub(super) fn end(&self) -> Vec<u8> {
        let mut end = Vec::new();
        loop {
            let length = end.len() + FINAL_EMPTY_BLOCK.len() + size_of::<u32>();
            // A slice that ends with the stream is none that more is expected of.
            let inside = length as u64 - 1;
            let trapped = |mut follower: Follower| follower.follow(inside, None).is_some();
            if !self.followers.into_iter().any(trapped) {
                end.extend_from_slice(&FINAL_EMPTY_BLOCK);
                end.extend_from_slice(&self.adler.to_bytes());
                return end;
            }
            end.extend_from_slice(&EMPTY_BLOCK);
        }
    }
}
