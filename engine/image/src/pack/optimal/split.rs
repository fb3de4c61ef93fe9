//! Where one block should end and the next begin.

use std::ops::Range;
use std::sync::LazyLock;

use super::block::{Histogram, symbols};
use super::logs::log2;
use super::places::LONGEST;
use super::symbols::{DISTANCES, Item, LITERALS};

const ALL: usize = LITERALS + DISTANCES;

/// A place where a block may begin.
struct Mark {
    /// The byte.
    at: usize,
    /// How often each symbol occurs before it, and the extra bits of all these.
    before: [u32; ALL],
    extra: u64,
}

/// How finely blocks are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grain {
    /// Symbols at multiples of which a block may end.
    pub(super) symbols: usize,
    /// Places at which a block may end, at most: every two of them are looked at.
    pub(super) marks: usize,
}

/// Where blocks should end, if `items` make symbols of `bytes`, such that all take least.
pub(super) fn split(items: &[Item], bytes: &[u8], grain: Grain) -> Vec<usize> {
    let count = symbols(items, bytes).count();
    let grain = grain.symbols.max(count.div_ceil(grain.marks));
    let marks = marks(items, bytes, grain);
    // The least bits of all up to each mark, and the mark at which the last block begins then.
    let mut least = vec![(0.0_f32, 0)];
    for (index, end) in marks.iter().enumerate().skip(1) {
        let all = |start: usize| least[start].0 + bits(&marks[start], end);
        let mut best = (f32::INFINITY, 0);
        for start in (0..index).rev() {
            let bits = all(start);
            if bits < best.0 {
                best = (bits, start);
            }
        }
        least.push(best);
    }
    let mut ends = Vec::new();
    let mut end = marks.len() - 1;
    while end > 0 {
        ends.push(marks[end].at);
        end = least[end].1;
    }
    ends.reverse();
    ends
}

/// Marks at multiples of `grain` symbols, and where long runs of equal bytes begin and end.
fn marks(items: &[Item], bytes: &[u8], grain: usize) -> Vec<Mark> {
    /// Longest matches that may make a block of their own.
    const RUN: usize = 64;
    let mut marks = Vec::new();
    let mut histogram = Histogram::new();
    let (mut at, mut symbols, mut run_end) = (0, grain, 0);
    while at < bytes.len() {
        let is_run = items[at] == Item::LONGEST_OF_RUN;
        let begins = is_run && at >= run_end && {
            let run = (at..bytes.len()).step_by(LONGEST);
            let run = run.take_while(|&at| items[at] == Item::LONGEST_OF_RUN).count();
            run_end = at + run * LONGEST;
            run >= RUN
        };
        if symbols >= grain || begins || (at == run_end && symbols >= RUN) {
            marks.push(Mark::new(at, &histogram));
            symbols = 0;
        }
        histogram.add(items[at], bytes[at]);
        at += items[at].length();
        symbols += 1;
    }
    marks.push(Mark::new(at, &histogram));
    marks
}

impl Mark {
    fn new(at: usize, histogram: &Histogram) -> Self {
        let mut before = [0; ALL];
        before[..LITERALS].copy_from_slice(&histogram.literals);
        before[LITERALS..].copy_from_slice(&histogram.distances);
        Self { at, before, extra: histogram.extra_bits() }
    }
}

/// About how many bits a block takes.
fn bits(start: &Mark, end: &Mark) -> f32 {
    /// What tells the codes, fitted to blocks of programs and texts: in all, and for each symbol.
    const HEAD: f32 = 200.0;
    const USED: f32 = 2.5;
    /// What stands before bytes that are stored.
    const STORED: f32 = 40.0;
    let weights = &WEIGHTS[..];
    let of = |symbols: Range<usize>| {
        let (mut total, mut sum, mut used) = (0, 0.0, 0);
        for (&before, &after) in start.before[symbols.clone()].iter().zip(&end.before[symbols]) {
            let count = after - before;
            total += count;
            sum += weight(weights, count);
            used += u32::from(count > 0);
        }
        weight(weights, total) - sum + used as f32 * USED
    };
    let extra = (end.extra - start.extra) as f32;
    let stored = (end.at - start.at) as f32 * 8.0 + STORED;
    (HEAD + of(0..LITERALS) + of(LITERALS..ALL) + extra).min(stored)
}

/// Counts by their logarithms.
static WEIGHTS: LazyLock<Vec<f32>> = LazyLock::new(|| {
    let weight = |count| if count == 0 { 0.0 } else { count as f32 * log2(count) };
    (0..4096).map(weight).collect()
});

#[inline]
fn weight(weights: &[f32], count: u32) -> f32 {
    match weights.get(count as usize) {
        Some(&weight) => weight,
        None => count as f32 * log2(count),
    }
}
