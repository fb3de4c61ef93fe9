//! Chunks that were compressed independently, joined into one standard zlib stream.

use super::optimal::{BitWriter, put_run};
use crate::adler::Adler;
use crate::deflate::{BrokenStream, Walk, Yields};
use crate::slice_trap::{BUFFER, Follower, SLICES};

/// The first bytes of a zlib stream: deflate, a window of 32 KiB, no dictionary.
pub(super) const ZLIB_HEADER: [u8; 2] = [0x78, 0xda];

/// An empty stored block, at a byte boundary: it has no output and may stand between any two
/// blocks.
const EMPTY_BLOCK: [u8; 5] = [0, 0, 0, 0xff, 0xff];

/// A compressed chunk that another can follow: whole blocks, none of them final, up to a byte
/// boundary.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    bytes: Vec<u8>,
    /// The bit by which its last block becomes the final one, and the bytes up to the end of that.
    final_bit: u64,
    open: usize,
    yields: Yields,
    pub(super) adler: Adler,
}

/// A compressor made a wrong stream: never observed, always checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BadPiece;

/// A sled would give up wherever the piece is put: never observed, always checked. The payload
/// offset of the slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trapped(pub(super) u64);

impl Piece {
    /// The piece made of the blocks of `stream`, of which only the last is final. To check it, it is
    /// inflated into `memory`, behind the first `window` bytes of `bytes`: it must give the rest.
    pub(super) fn checked(
        stream: Vec<u8>,
        bytes: &[u8],
        window: usize,
        memory: &mut Vec<u8>,
    ) -> Result<Self, BadPiece> {
        let longest = SLICES[0].max(SLICES[1]);
        memory.clear();
        memory.reserve_exact(bytes.len());
        memory.extend_from_slice(&bytes[..window]);
        let (yields, walk) = Yields::inflate(&stream, memory, longest, BUFFER)
            .map_err(|BrokenStream { .. }| BadPiece)?;
        if memory != bytes {
            return Err(BadPiece);
        }
        Self::sealed(stream, yields, walk, Adler::of(&bytes[window..]))
    }

    /// The piece that gives `count` times `byte`.
    pub(super) fn run(byte: u8, count: u64) -> Result<Self, BadPiece> {
        let mut out = BitWriter::default();
        put_run(byte, count as usize, false, &mut out);
        let stream = out.finish();
        let (yields, walk) = Yields::of_all(&stream).map_err(|BrokenStream { .. }| BadPiece)?;
        if yields.total() != count {
            return Err(BadPiece);
        }
        Self::sealed(stream, yields, walk, Adler::of_run(byte, count))
    }

    /// Makes the last block of `bytes` one that others can follow, at the start of a byte.
    fn sealed(
        mut bytes: Vec<u8>,
        yields: Yields,
        walk: Walk,
        adler: Adler,
    ) -> Result<Self, BadPiece> {
        let (open, final_bit) = (bytes.len(), walk.final_block);
        if walk.end.div_ceil(8) != open as u64 {
            return Err(BadPiece);
        }
        bytes[(final_bit / 8) as usize] &= !(1 << (final_bit % 8));
        // Three bits of an empty stored block's head follow where the last block ended, and then
        // padding: all zeros, as are the unused bits of the last byte.
        let head_fits = (1..=5).contains(&(walk.end % 8));
        bytes.extend_from_slice(&EMPTY_BLOCK[usize::from(head_fits)..]);
        Ok(Self { bytes, final_bit, open, yields, adler })
    }

    /// The piece as the last one of a stream.
    fn ending(mut self) -> Self {
        self.bytes.truncate(self.open);
        self.bytes[(self.final_bit / 8) as usize] |= 1 << (self.final_bit % 8);
        self
    }
}

/// Joins pieces so that no slice of the payload is a trap for the sled (F11).
#[derive(Clone, Debug)]
pub(super) struct Seam {
    followers: [Follower; 2],
    /// Bytes of payload, and of their output.
    length: u64,
    output: u64,
    adler: Adler,
}

impl Seam {
    /// After a piece, no slice should end within this many bytes that is a trap if they give no
    /// output. Once one does, no shift of what follows helps: the end of the stream gives
    /// nothing, and nor does the head of a block, which takes 290 bytes at most, and what
    /// follows may have to be shifted itself. Less than half of the smallest slice, so that a
    /// piece can always be shifted past it.
    const ENOUGH_ROOM: u64 = 400;

    pub(super) fn new() -> Self {
        let length = ZLIB_HEADER.len() as u64;
        Self { followers: SLICES.map(Follower::new), length, output: 0, adler: Adler::EMPTY }
    }

    /// Adds `piece`, and returns what is to be written: usually the piece alone, or empty blocks
    /// before it that shift it out of a trap, and away from where the next piece would have no
    /// place.
    pub(super) fn add(&mut self, piece: Piece) -> Result<Vec<u8>, Trapped> {
        let mut bytes = self.before(&piece)?;
        if bytes.is_empty() {
            return Ok(piece.bytes);
        }
        bytes.extend_from_slice(&piece.bytes);
        Ok(bytes)
    }

    /// Adds the last piece, which ends the stream.
    pub(super) fn end(&mut self, piece: Piece) -> Result<Vec<u8>, Trapped> {
        let mut bytes = self.add(piece.ending())?;
        let sum = self.adler.to_bytes();
        // A slice that ends with the stream can't be a trap.
        let inside = self.length + sum.len() as u64 - 1;
        let ended = Self { followers: self.followed(inside, |_| Some(self.output)), ..*self };
        bytes.extend_from_slice(&sum);
        ended.trap().map_or(Ok(bytes), Err)
    }

    /// Adds `piece`, and returns what must precede it.
    fn before(&mut self, piece: &Piece) -> Result<Vec<u8>, Trapped> {
        // Every place within a slice.
        let most = (SLICES[0] as usize).div_ceil(EMPTY_BLOCK.len());
        let mut best: Option<(u64, usize, Self)> = None;
        for count in 0..=most {
            let placed = self.with(piece, (count * EMPTY_BLOCK.len()) as u64);
            if placed.trap().is_some() {
                continue;
            }
            let room = placed.room();
            if best.as_ref().is_none_or(|&(before, ..)| room > before) {
                best = Some((room, count, placed));
            }
            if room >= Self::ENOUGH_ROOM {
                break;
            }
        }
        let Some((_, count, placed)) = best else {
            return Err(self.with(piece, 0).trap().unwrap_or(Trapped(self.length)));
        };
        *self = placed;
        Ok(EMPTY_BLOCK.repeat(count))
    }

    /// The state with `piece` added, `shift` bytes further on.
    fn with(&self, piece: &Piece, shift: u64) -> Self {
        let start = self.length + shift;
        let end = start + piece.bytes.len() as u64;
        let followers = self.followed(end, |at| {
            piece.yields.of_first(at.saturating_sub(start)).map(|output| self.output + output)
        });
        Self {
            followers,
            length: end,
            output: self.output + piece.yields.total(),
            adler: self.adler.then(piece.adler),
        }
    }

    fn trap(&self) -> Option<Trapped> {
        self.followers.iter().find_map(Follower::trap).map(Trapped)
    }

    /// Bytes that follow before a slice ends which is a trap if they give nothing.
    fn room(&self) -> u64 {
        let at_risk = self.followers.iter().filter(|follower| follower.traps(self.output));
        at_risk.map(|follower| follower.next() - self.length).min().unwrap_or(u64::MAX)
    }

    /// The Adler-32 of all pieces.
    pub(super) fn adler(&self) -> Adler {
        self.adler
    }

    /// The followers, when they have followed up to byte `end` of the payload; `output` returns
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
    use std::sync::atomic::AtomicBool;

    use super::super::workers::Workers;
    use super::*;
    use crate::deflate::walk_observed;
    use crate::slice_trap::Finder;
    use boot_format::boot_source::SliceTraps;

    fn compressed(level: u8, bytes: &[u8]) -> Piece {
        Workers::new(level, &AtomicBool::new(false)).compress(bytes).unwrap()
    }

    #[test]
    fn a_piece_that_would_be_trapped_is_shifted() {
        for piece in [compressed(6, &vec![0; 2 << 20]), Piece::run(0, 2 << 20).unwrap()] {
            assert!(shifts_out_of_traps(&piece) > 0, "no place is a trap");
        }
    }

    /// At how many offsets the piece has to be shifted.
    fn shifts_out_of_traps(piece: &Piece) -> u64 {
        let mut shifted = 0;
        for lead in 0..4096 {
            let mut seam = Seam::new();
            seam.length += lead;
            seam.followers = seam.followed(seam.length, |_| Some(0));
            let start = seam.length;
            let shift = seam.before(piece).unwrap().len() as u64;
            assert!(shift.is_multiple_of(EMPTY_BLOCK.len() as u64) && shift < 500);
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
        shifted
    }

    #[test]
    fn no_stream_of_pieces_is_a_trap_or_ends_in_one() {
        let unit = 64 << 10;
        let units = [1, 2, 3, 4, 6, 8, 14, 15, 16, 30, 32];
        let zeros = units.map(|units| Piece::run(0, units * unit as u64).unwrap());
        let units = units.map(|units| vec![0; units as usize * unit]);
        // Few bytes, and zeros up to a whole number of units, as chunks are cut.
        let mut random = fastrand::Rng::with_seed(1);
        let some = (0..40).map(|index| {
            let mut bytes = vec![0; (1 + index % 4) * unit];
            let length = random.usize(1..1100);
            let kinds = random.u8(1..);
            bytes[..length].fill_with(|| random.u8(..kinds));
            bytes
        });
        let ends = [1, 5, 700, unit + 1].map(|length| vec![7; length]);
        let pieces: Vec<_> = units.into_iter().chain(some).chain(ends).collect();
        let compressed = |raw: &Vec<u8>| [9, 10].map(|level| compressed(level, raw));
        let pieces: Vec<_> = pieces.iter().flat_map(compressed).chain(zeros).collect();
        let mut shifted = 0;
        for _ in 0..20_000 {
            let mut seam = Seam::new();
            let mut payload = ZLIB_HEADER.to_vec();
            for _ in 0..random.usize(1..14) {
                let piece = pieces[random.usize(..pieces.len())].clone();
                let length = piece.bytes.len();
                let added = seam.add(piece).unwrap();
                shifted += usize::from(added.len() > length);
                payload.extend_from_slice(&added);
            }
            let last = pieces[random.usize(..pieces.len())].clone();
            payload.extend_from_slice(&seam.end(last).unwrap());
            let stream = ZLIB_HEADER.len();
            let mut finder = Finder::new(stream as u64);
            let first = finder.next();
            let walk = walk_observed(&payload[stream..], &mut finder, first).unwrap();
            let traps = finder.finish(payload.len() as u64, walk.output);
            assert_eq!(traps, SliceTraps::default());
        }
        assert!(shifted > 100, "{shifted} pieces had to be shifted");
    }
}
