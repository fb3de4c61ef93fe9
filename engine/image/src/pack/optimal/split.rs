//! Where one block should end and the next begin.

use std::ops::Range;
use std::sync::LazyLock;

use super::block::Histogram;
use super::logs::log2;
use super::places::LONGEST;
use super::symbols::{END, Item, LITERALS};

/// Places where a block may begin.
struct Marks {
    places: Vec<Mark>,
    /// Symbols that occur at all: those of distances are behind the others.
    occurring: Vec<usize>,
    /// How many of them are of literals and lengths.
    literals: usize,
    /// Bits that tell the code of a symbol.
    told: f32,
}

struct Mark {
    /// The byte.
    at: usize,
    /// How often each symbol that occurs at all does before it, and the extra bits of all these.
    before: Vec<u32>,
    extra: u64,
}

/// How finely blocks are looked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grain {
    /// Symbols at multiples of which a block may end.
    pub(super) symbols: usize,
    /// Places at which a block may end, at most.
    pub(super) marks: usize,
    /// If a block takes more bits than the best one with its end by this, none that begins earlier
    /// is looked at. With 500, level 10 takes 1,300 bytes more of the corpus of the benches than
    /// with 1000, and 4% less time.
    pub(super) far: f32,
    /// Symbols between the places to which an end is moved then, if that takes less.
    pub(super) fine: usize,
    /// Bits taken to tell the code of one symbol, in the mean of blocks of that size.
    pub(super) told: f32,
}

/// Splits `bytes`, of which `items` make `count` symbols, into the blocks that take least in all.
/// Returns each block, and how often each symbol occurs in it.
pub(super) fn split(
    items: &[Item],
    bytes: &[u8],
    count: usize,
    grain: Grain,
) -> Vec<(Range<usize>, Histogram)> {
    let coarse = grain.symbols.max(count.div_ceil(grain.marks));
    let mut places = marks(items, bytes, coarse, grain.told);
    let mut ends = coarsely(&places, grain.far);
    if grain.fine < coarse {
        places = marks(items, bytes, grain.fine, grain.told);
        move_ends(&mut ends, &places, coarse / grain.fine);
    }
    let mut start = 0;
    let block = |end| {
        let range = std::mem::replace(&mut start, end)..end;
        (range.clone(), places.histogram(range))
    };
    ends.into_iter().map(block).collect()
}

/// The marks at which blocks should end, if they may end at any, such that all take least.
fn coarsely(marks: &Marks, far: f32) -> Vec<usize> {
    /// Blocks in a row that would be stored, before which one that begins earlier is not better.
    /// Without it, level 10 takes 2% longer for what hardly shrinks (`image-table 10 packed share`),
    /// and as many bytes.
    const STORED: u32 = 16;
    // The least bits of all up to each mark, and the mark at which the last block begins then.
    let mut least = vec![(0.0_f32, 0)];
    for end in 1..marks.places.len() {
        let all = |start: usize| {
            let (bits, is_stored) = marks.bits(start, end);
            (least[start].0 + bits, is_stored)
        };
        // First that the block before goes on: that is the best one most often.
        let on = least[end - 1].1;
        let mut best = (all(on).0, on);
        let mut stored = 0;
        for start in (0..end).rev() {
            let (bits, is_stored) = all(start);
            stored = if is_stored { stored + 1 } else { 0 };
            if bits < best.0 {
                best = (bits, start);
            } else if bits > best.0 + far || stored == STORED {
                break;
            }
        }
        least.push(best);
    }
    let mut ends = Vec::new();
    let mut end = marks.places.len() - 1;
    while end > 0 {
        ends.push(marks.places[end].at);
        end = least[end].1;
    }
    ends.reverse();
    ends
}

/// Moves each of the `ends`, but the last one, to the one of `near` marks before and behind it at
/// which both blocks take least.
fn move_ends(ends: &mut [usize], marks: &Marks, near: usize) {
    let index = |end: usize| marks.places.partition_point(|mark| mark.at < end);
    let mut start = 0;
    for block in 0..ends.len().saturating_sub(1) {
        let (end, next) = (index(ends[block]), index(ends[block + 1]));
        let both = |&at: &usize| marks.bits(start, at).0 + marks.bits(at, next).0;
        let places = (start + 1).max(end.saturating_sub(near))..next.min(end + near + 1);
        let best = places.min_by(|one, other| both(one).total_cmp(&both(other)));
        if let Some(best) = best {
            ends[block] = marks.places[best].at;
        }
        start = best.unwrap_or(end);
    }
}

/// Marks at multiples of `grain` symbols, and where long runs of equal bytes begin and end.
fn marks(items: &[Item], bytes: &[u8], grain: usize, told: f32) -> Marks {
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
    Marks::new(marks, &histogram, told)
}

impl Mark {
    fn new(at: usize, histogram: &Histogram) -> Self {
        let before = [&histogram.literals[..], &histogram.distances].concat();
        Self { at, before, extra: histogram.extra_bits() }
    }
}

impl Marks {
    /// Of `places`, which have all symbols: those of `all` are to be looked at.
    fn new(mut places: Vec<Mark>, all: &Histogram, told: f32) -> Self {
        let counts = all.literals.iter().chain(&all.distances);
        let occurring: Vec<_> = (0..).zip(counts).filter(|(_, count)| **count > 0).collect();
        let occurring: Vec<usize> = occurring.into_iter().map(|(symbol, _)| symbol).collect();
        for place in &mut places {
            place.before = occurring.iter().map(|&symbol| place.before[symbol]).collect();
        }
        let literals = occurring.partition_point(|&symbol| symbol < LITERALS);
        Self { places, occurring, literals, told }
    }

    /// How often each symbol occurs in a block between two marks.
    fn histogram(&self, block: Range<usize>) -> Histogram {
        let mark = |at: usize| &self.places[self.places.partition_point(|mark| mark.at < at)];
        let (start, end) = (&mark(block.start).before, &mark(block.end).before);
        let mut histogram = Histogram::new();
        for ((&symbol, before), after) in self.occurring.iter().zip(start).zip(end) {
            let Histogram { literals, distances } = &mut histogram;
            let place = literals.iter_mut().chain(distances).nth(symbol);
            *place.expect("there is such a symbol") = after - before;
        }
        histogram.literals[END] = 1;
        histogram
    }

    /// About how many bits a block takes from the place `start` to `end`, and whether it is stored.
    fn bits(&self, start: usize, end: usize) -> (f32, bool) {
        /// What tells the codes besides the symbols', fitted to blocks of programs and texts.
        const HEAD: f32 = 200.0;
        /// What stands before bytes that are stored.
        const STORED: f32 = 40.0;
        let (start, end) = (&self.places[start], &self.places[end]);
        let weights = &WEIGHTS[..];
        let of = |symbols: Range<usize>| {
            let (mut total, mut sum, mut used) = (0, 0.0, 0);
            for (&before, &after) in start.before[symbols.clone()].iter().zip(&end.before[symbols])
            {
                let count = after - before;
                total += count;
                sum += weight(weights, count);
                used += u32::from(count > 0);
            }
            weight(weights, total) - sum + used as f32 * self.told
        };
        let extra = (end.extra - start.extra) as f32;
        let stored = (end.at - start.at) as f32 * 8.0 + STORED;
        let coded = HEAD + of(0..self.literals) + of(self.literals..end.before.len()) + extra;
        (coded.min(stored), stored < coded)
    }
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
