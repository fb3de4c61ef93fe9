//! How a block describes its codes (RFC 1951, 3.2.7).

use super::bits::BitWriter;
use super::huffman::{codes_of, lengths_of};

const SYMBOLS: usize = 19;
const ORDER: [usize; SYMBOLS] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
/// Extra bits of the symbols that repeat: 16, 17 and 18.
const REPEAT_BITS: [u32; 3] = [2, 3, 7];

/// What stands before the symbols of a block.
pub(super) struct Head {
    /// Codes of literals, and of distances, whose lengths are written.
    counts: [usize; 2],
    /// The lengths, as symbols and the extra bits of those.
    told: Vec<(u8, u8)>,
    /// The lengths of the codes of these symbols, and how many are written.
    lengths: [u8; SYMBOLS],
    length_count: usize,
    /// Bits of all.
    pub(super) bits: u64,
}

impl Head {
    /// For codes of such lengths, by each of the symbols that repeat which is `allowed`.
    pub(super) fn new(literals: &[u8], distances: &[u8], allowed: [bool; 3]) -> Self {
        let used = |lengths: &[u8]| {
            lengths.iter().rposition(|&length| length > 0).map_or(0, |last| last + 1)
        };
        let counts = [used(literals).max(257), used(distances).max(1)];
        let all = [&literals[..counts[0]], &distances[..counts[1]]].concat();
        let mut told = Vec::with_capacity(all.len());
        for run in all.chunk_by(|one, other| one == other) {
            tell(run[0], run.len(), allowed, &mut told);
        }
        let mut frequencies = [0; SYMBOLS];
        for &(symbol, _) in &told {
            frequencies[usize::from(symbol)] += 1;
        }
        let mut lengths = [0; SYMBOLS];
        lengths_of(&frequencies, 7, &mut lengths);
        let last = ORDER.iter().rposition(|&symbol| lengths[symbol] > 0).unwrap_or(0);
        let length_count = (last + 1).max(4);
        let bits_of = |(symbol, &frequency): (usize, &u32)| {
            let extra = if symbol < 16 { 0 } else { REPEAT_BITS[symbol - 16] };
            u64::from(frequency) * u64::from(u32::from(lengths[symbol]) + extra)
        };
        let bits = 17 + 3 * length_count as u64;
        let bits = bits + frequencies.iter().enumerate().map(bits_of).sum::<u64>();
        Self { counts, told, lengths, length_count, bits }
    }

    /// The shortest one, whatever symbols that takes.
    pub(super) fn shortest(literals: &[u8], distances: &[u8]) -> Self {
        let of = |choice: u8| {
            Self::new(literals, distances, [0, 1, 2].map(|repeat| choice >> repeat & 1 == 0))
        };
        let mut best = of(0);
        for choice in 1..8 {
            let other = of(choice);
            if other.bits < best.bits {
                best = other;
            }
        }
        best
    }

    pub(super) fn put(&self, out: &mut BitWriter) {
        // No final block, with codes of its own.
        out.put(0b100, 3);
        out.put(self.counts[0] as u64 - 257, 5);
        out.put(self.counts[1] as u64 - 1, 5);
        out.put(self.length_count as u64 - 4, 4);
        for &symbol in &ORDER[..self.length_count] {
            out.put(self.lengths[symbol].into(), 3);
        }
        let mut codes = [0; SYMBOLS];
        codes_of(&self.lengths, &mut codes);
        for &(symbol, extra) in &self.told {
            let at = usize::from(symbol);
            out.put(codes[at].into(), self.lengths[at].into());
            if symbol >= 16 {
                out.put(extra.into(), REPEAT_BITS[at - 16]);
            }
        }
    }
}

/// Tells that the next `count` codes are of this `length`.
fn tell(length: u8, count: usize, allowed: [bool; 3], told: &mut Vec<(u8, u8)>) {
    let mut left = count;
    if length == 0 {
        while left >= 11 && allowed[2] {
            let now = left.min(138);
            told.push((18, (now - 11) as u8));
            left -= now;
        }
        while left >= 3 && allowed[1] {
            let now = left.min(10);
            told.push((17, (now - 3) as u8));
            left -= now;
        }
    } else {
        told.push((length, 0));
        left -= 1;
        while left >= 3 && allowed[0] {
            // Seven are four and three, not six and one.
            let now = if left == 7 { 4 } else { left.min(6) };
            told.push((16, (now - 3) as u8));
            left -= now;
        }
    }
    told.extend(std::iter::repeat_n((length, 0), left));
}

/// Frequencies that are near to these, and more often the same for symbols beside each other, so
/// that their codes take fewer bits to tell: as zopfli does it.
pub(super) fn smoothed(frequencies: &[u32], out: &mut [u32]) {
    out.copy_from_slice(frequencies);
    let end = frequencies.iter().rposition(|&count| count > 0).map_or(0, |last| last + 1);
    // What repeats already is left alone.
    let mut repeats = vec![false; end];
    let mut at = 0;
    for run in frequencies[..end].chunk_by(|one, other| one == other) {
        let least = if run[0] == 0 { 5 } else { 7 };
        repeats[at..at + run.len()].fill(run.len() >= least);
        at += run.len();
    }
    let (mut start, mut limit) = (0, frequencies.first().copied().unwrap_or(0));
    for at in 0..=end {
        let goes_on = at < end && !repeats[at] && frequencies[at].abs_diff(limit) < 4;
        if goes_on {
            continue;
        }
        let stride = &mut out[start..at];
        let sum: u32 = stride.iter().sum();
        if stride.len() >= 4 || stride.len() >= 3 && sum == 0 {
            let count = stride.len() as u32;
            let mean = if sum == 0 { 0 } else { ((sum + count / 2) / count).max(1) };
            stride.fill(mean);
        }
        start = at;
        let next = &frequencies[at.min(end)..end];
        limit = match next {
            [a, b, c, d, ..] => (a + b + c + d + 2) / 4,
            [a, ..] => *a,
            [] => 0,
        };
    }
}
