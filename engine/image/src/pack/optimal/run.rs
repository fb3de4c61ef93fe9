//! Runs of one byte, however long, in the fewest bits.

use std::iter::repeat_n;
use std::ops::Range;

use super::bits::BitWriter;
use super::block::{Codes, Histogram};
use super::places::{LONGEST, same};
use super::symbols::{Item, SHORTEST};

/// Bytes of a run that is worth a block of its own: about what that takes is saved by it.
pub(super) const LONG_RUN: usize = 64 << 10;

/// Writes a block that gives `count` times `byte`: two bits for each 258 of them, and deflate has
/// nothing shorter. It refers to nothing before it, unless that byte stands there and it `goes_on`.
pub(in super::super) fn put_run(byte: u8, count: usize, goes_on: bool, out: &mut BitWriter) {
    let mut literals = usize::from(!goes_on).min(count);
    let (mut longest, mut rest) = ((count - literals) / LONGEST, (count - literals) % LONGEST);
    let mut last = None;
    if (1..SHORTEST).contains(&rest) {
        if longest > 0 {
            // A match can't be that short: the last two share what there is.
            longest -= 1;
            rest += LONGEST - SHORTEST;
            last = Some(SHORTEST);
        } else {
            literals += rest;
            rest = 0;
        }
    }
    let ends = [Some(rest).filter(|&rest| rest > 0), last].into_iter().flatten();
    let symbols = repeat_n((Item::LITERAL, byte), literals)
        .chain(repeat_n((Item::LONGEST_OF_RUN, byte), longest))
        .chain(ends.map(|length| (Item::new(length, 1), byte)));
    let codes = Codes::best(&Histogram::of(symbols.clone()));
    codes.put(symbols, out);
}

/// The first long run in `range` of `bytes`.
pub(super) fn long_run(bytes: &[u8], range: Range<usize>) -> Option<Range<usize>> {
    /// Bytes that are looked at first.
    const PROBE: usize = 64;
    let bytes = &bytes[..range.end];
    // Any long run has two of these in it.
    let mut at = range.start + LONG_RUN / 2;
    while at + LONG_RUN / 2 <= range.end {
        let probe = &bytes[at..at + PROBE];
        if probe[1..] == probe[..PROBE - 1] {
            let before = bytes[range.start..at].iter().rev().take_while(|&&byte| byte == probe[0]);
            let start = at - before.count();
            let end = start + 1 + same(&bytes[start + 1..], &bytes[start..], 0);
            if end - start >= LONG_RUN {
                return Some(start..end);
            }
            at = at.max(end);
        }
        at += LONG_RUN / 2;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_runs_are_found_wherever_they_are() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..300 {
            let (before, length) = (random.usize(..100_000), random.usize(60_000..200_000));
            let mut bytes: Vec<u8> = (0..before).map(|at| at as u8 | 1).collect();
            bytes.resize(before + length, 2);
            bytes.extend((0..random.usize(..100_000)).map(|at| at as u8 | 1));
            let from = random.usize(..=before);
            let found = long_run(&bytes, from..bytes.len());
            let wanted = (length >= LONG_RUN).then_some(before..before + length);
            assert_eq!(found, wanted);
        }
    }
}
