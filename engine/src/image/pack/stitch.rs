//! Chunks that were compressed apart, joined to one standard zlib stream.

use libdeflater::{CompressionLvl, Compressor};

use crate::image::adler::Adler;
use crate::image::deflate::{BrokenStream, Yields};
use crate::image::slice_trap::{BUFFER, Follower, SLICES};

/// The first bytes of a zlib stream: deflate, a window of 32 KiB, no dictionary.
pub(super) const ZLIB_HEADER: [u8; 2] = [0x78, 0xda];

/// A stored block without contents, at a byte boundary: it gives nothing and may stand between
/// any two others.
const EMPTY_BLOCK: [u8; 5] = [0, 0, 0, 0xff, 0xff];
const FINAL_EMPTY_BLOCK: [u8; 5] = [1, 0, 0, 0xff, 0xff];

/// Compresses chunks, one after the other, with memory that it keeps.
pub(super) struct Workbench {
    compressor: Compressor,
    bytes: Vec<u8>,
}

/// A compressed chunk that others can follow: whole blocks, none of them final, to the end of
/// a byte.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) bytes: Vec<u8>,
    yields: Yields,
    pub(super) adler: Adler,
}

/// libdeflate gave a stream that is not what it should be: never seen, always checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadPiece;

impl Workbench {
    /// For `level`, 1 to 12.
    pub(super) fn new(level: u8) -> Self {
        let level = CompressionLvl::new(level.into()).unwrap_or(CompressionLvl::best());
        Self { compressor: Compressor::new(level), bytes: Vec::new() }
    }

    /// Compresses one chunk.
    pub(super) fn compress(&mut self, chunk: &[u8]) -> Result<Piece, BadPiece> {
        let most = self.compressor.deflate_compress_bound(chunk.len());
        if self.bytes.len() < most {
            self.bytes.resize(most, 0);
        }
        let compressed = self.compressor.deflate_compress(chunk, &mut self.bytes);
        let stream = &mut self.bytes[..compressed.map_err(|_| BadPiece)?];
        let longest = SLICES[0].max(SLICES[1]);
        let (yields, walk) =
            Yields::walk(stream, longest, BUFFER).map_err(|BrokenStream { .. }| BadPiece)?;
        if walk.output != chunk.len() as u64 || walk.end.div_ceil(8) != stream.len() as u64 {
            return Err(BadPiece);
        }
        stream[(walk.final_block / 8) as usize] &= !(1 << (walk.final_block % 8));
        // Three bits of an empty stored block's head follow where the last block ended, and
        // then padding: all zeros, as are the unused bits of the last byte.
        let head_fits = (1..=5).contains(&(walk.end % 8));
        let seam = &EMPTY_BLOCK[usize::from(head_fits)..];
        let mut bytes = Vec::with_capacity(stream.len() + seam.len());
        bytes.extend_from_slice(stream);
        bytes.extend_from_slice(seam);
        Ok(Piece { bytes, yields, adler: Adler::of(chunk) })
    }
}

/// Joins pieces, and sees to it that no slice of the payload is a trap for the sled.
pub(super) struct Seam {
    followers: [Follower; 2],
    /// Bytes of payload, and what comes out of them.
    length: u64,
    output: u64,
    adler: Adler,
}

impl Seam {
    pub(super) fn new() -> Self {
        let length = ZLIB_HEADER.len() as u64;
        Self { followers: SLICES.map(Follower::new), length, output: 0, adler: Adler::EMPTY }
    }

    /// Takes `piece` in, and returns what has to stand before it: usually nothing, or empty
    /// blocks that shift it out of a trap.
    pub(super) fn before(&mut self, piece: &Piece) -> Vec<u8> {
        let mut shift = Vec::new();
        loop {
            let start = self.length + shift.len() as u64;
            let end = start + piece.bytes.len() as u64;
            let followers = self.followed(end, |at| {
                piece.yields.of_first(at.saturating_sub(start)).map(|output| self.output + output)
            });
            // A piece can't be trapped at every place; should it be, a bad payload is found out
            // when it is checked, and an endless one never.
            if followers.iter().all(|follower| follower.trap().is_none())
                || shift.len() > SLICES[0] as usize
            {
                *self = Self {
                    followers,
                    length: end,
                    output: self.output + piece.yields.total(),
                    adler: self.adler.then(piece.adler),
                };
                return shift;
            }
            shift.extend_from_slice(&EMPTY_BLOCK);
        }
    }

    /// What ends the stream, behind the last piece.
    pub(super) fn end(&self) -> Vec<u8> {
        let mut end = Vec::new();
        loop {
            // A slice that ends with the stream is none that more is expected of.
            let inside = FINAL_EMPTY_BLOCK.len() + size_of::<u32>() - 1;
            let length = self.length + (end.len() + inside) as u64;
            let followers = self.followed(length, |_| Some(self.output));
            if followers.iter().all(|follower| follower.trap().is_none()) {
                end.extend_from_slice(&FINAL_EMPTY_BLOCK);
                end.extend_from_slice(&self.adler.to_bytes());
                return end;
            }
            end.extend_from_slice(&EMPTY_BLOCK);
        }
    }

    /// The Adler-32 of all pieces.
    pub(super) fn adler(&self) -> Adler {
        self.adler
    }

    /// The followers, when they have followed up to byte `end` of the payload; `output` tells
    /// what comes out up to a byte of it.
    fn followed(&self, end: u64, output: impl Fn(u64) -> Option<u64>) -> [Follower; 2] {
        self.followers.map(|mut follower| {
            while follower.next() <= end {
                follower.pass(output(follower.next()));
            }
            follower
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_that_would_be_trapped_is_shifted() {
        let piece = Workbench::new(6).compress(&vec![0; 2 << 20]).unwrap();
        let mut shifted = 0;
        for lead in 0..4096 {
            let mut seam = Seam::new();
            seam.length += lead;
            seam.followers = seam.followed(seam.length, |_| Some(0));
            let start = seam.length;
            let shift = seam.before(&piece).len() as u64;
            assert!(shift.is_multiple_of(EMPTY_BLOCK.len() as u64) && shift < 100);
            assert_eq!(seam.length, start + shift + piece.bytes.len() as u64);
            shifted += u64::from(shift > 0);
            // What comes out by the boundaries of slices, counted from what is known of it.
            for slice in SLICES {
                let outputs: Vec<_> = (0..seam.length)
                    .step_by(slice as usize)
                    .map(|at| piece.yields.of_first(at.saturating_sub(start + shift)))
                    .collect();
                assert!(outputs.windows(2).all(|pair| match (pair[0], pair[1]) {
                    (Some(before), Some(now)) =>
                        now == before || !(now - before).is_multiple_of(BUFFER),
                    _ => true,
                }));
            }
        }
        assert!(shifted > 0, "no place is a trap");
    }
}
