//! Our own compressor: all matches within the window, also of what was compressed before and
//! elsewhere; of these the symbols that take least; and blocks that begin where it pays.
//!
//! That is how libdeflate's slow levels and zopfli go about it. Neither can be told what comes
//! before the bytes that it is handed, so that nothing could be compressed beside it without loss.

mod bits;
mod block;
mod chains;
mod costs;
mod effort;
mod head;
mod huffman;
mod logs;
mod matches;
mod parse;
mod places;
mod run;
mod split;
mod symbols;
mod trees;

use std::ops::Range;

pub(super) use self::bits::BitWriter;
use self::block::{Codes, Histogram, put_stored, stored_bits, symbols};
use self::chains::Chains;
use self::costs::Costs;
pub(super) use self::effort::Effort;
use self::effort::FinderKind;
use self::matches::Matches;
use self::parse::{Cheapest, lazily};
pub(super) use self::places::WINDOW;
use self::places::{Finder, LONGEST, LOOKAHEAD};
pub(super) use self::run::put_run;
use self::run::{LONG_RUN, long_run};
use self::split::split;
use self::symbols::Item;
use self::trees::Trees;

/// Compresses stretches of bytes, with memory that it keeps.
pub(super) struct Encoder {
    effort: Effort,
    finder: AnyFinder,
    matches: Matches,
    cheapest: Cheapest,
    /// The symbols of each position of a stretch, and those that may be better.
    items: Vec<Item>,
    trial: Vec<Item>,
}

enum AnyFinder {
    Chains(Chains),
    Trees(Trees),
}

impl Encoder {
    pub(super) fn new(effort: Effort) -> Self {
        let finder = match effort.finder {
            FinderKind::Chains => AnyFinder::Chains(Chains::new(effort.search)),
            FinderKind::Trees(order) => AnyFinder::Trees(Trees::new(effort.search, order)),
        };
        Self {
            effort,
            finder,
            matches: Matches::default(),
            cheapest: Cheapest::default(),
            items: Vec::new(),
            trial: Vec::new(),
        }
    }

    /// Compresses the bytes `range` of `bytes` to whole blocks, none of them final, which may
    /// refer to the bytes before. Ends early once `go_on`, called with the number of bytes just
    /// done, returns false.
    pub(super) fn encode(
        &mut self,
        bytes: &[u8],
        range: Range<usize>,
        go_on: impl Fn(usize) -> bool,
    ) -> BitWriter {
        let unit = self.effort.unit;
        self.encode_by(bytes, range, unit, go_on)
    }

    /// The same where little comes out: as one unit, since every block counts. If `both`, with and
    /// without blocks for long runs, which may not be worth it.
    pub(super) fn encode_whole(
        &mut self,
        bytes: &[u8],
        range: Range<usize>,
        both: bool,
        go_on: impl Fn(usize) -> bool,
    ) -> BitWriter {
        let unit = range.len();
        let with_runs = self.encode_by(bytes, range.clone(), unit, &go_on);
        if !both {
            return with_runs;
        }
        let mut out = BitWriter::default();
        self.restart(bytes, range.start);
        if unit > 0 {
            self.unit(bytes, range, &mut out);
        }
        if out.length() < with_runs.length() { out } else { with_runs }
    }

    /// Starts over with the bytes before `at`.
    fn restart(&mut self, bytes: &[u8], at: usize) {
        let window = at.saturating_sub(WINDOW)..at;
        match &mut self.finder {
            AnyFinder::Chains(finder) => take_in(finder, bytes, window),
            AnyFinder::Trees(finder) => take_in(finder, bytes, window),
        }
    }

    fn encode_by(
        &mut self,
        bytes: &[u8],
        range: Range<usize>,
        unit: usize,
        go_on: impl Fn(usize) -> bool,
    ) -> BitWriter {
        let mut out = BitWriter::default();
        self.restart(bytes, range.start);
        let mut at = range.start;
        while at < range.end {
            let mut end = range.end.min(at + unit);
            // A run goes on behind the unit, or may.
            let run = long_run(bytes, at..range.end.min(end + LONG_RUN));
            match run {
                Some(run) if run.start == at => {
                    let goes_on = at > 0 && bytes[at - 1] == bytes[at];
                    let byte = bytes[at];
                    let rest = bytes[run.end..range.end].iter();
                    end = run.end + rest.take_while(|&&other| other == byte).count();
                    put_run(byte, end - at, goes_on, &mut out);
                }
                run => {
                    end = run.map_or(end, |run| end.min(run.start));
                    self.unit(bytes, at..end, &mut out);
                }
            }
            if !go_on(end - at) {
                break;
            }
            at = end;
        }
        out
    }

    fn unit(&mut self, bytes: &[u8], range: Range<usize>, out: &mut BitWriter) {
        let (matches, nice) = (&mut self.matches, self.effort.search.nice);
        match &mut self.finder {
            AnyFinder::Chains(finder) => matches.find(finder, bytes, range.clone(), nice),
            AnyFinder::Trees(finder) => matches.find(finder, bytes, range.clone(), nice),
        }
        let unit = &bytes[range];
        self.items.resize(unit.len(), Item::LITERAL);
        self.trial.resize(unit.len(), Item::LITERAL);
        lazily(&self.matches, unit, &mut self.items);
        let mut blocks: Vec<(Range<usize>, Histogram)> = Vec::new();
        // What takes least depends on the blocks, and these on what takes least.
        for passes in self.effort.passes {
            if *passes > 0 {
                let ranges = ranges(split(&self.items, unit, self.effort.grain));
                let improve = |block: Range<usize>| {
                    let histogram = self.improve(unit, block.clone(), *passes);
                    (block, histogram)
                };
                blocks = ranges.into_iter().map(improve).collect();
            }
        }
        for (block, histogram) in blocks {
            let (items, bytes) = (&self.items[block.clone()], &unit[block]);
            let codes = Codes::smallest(&histogram);
            if stored_bits(bytes.len(), out.length()) <= codes.bits {
                put_stored(bytes, out);
            } else {
                codes.put(symbols(items, bytes), out);
            }
        }
    }

    /// Finds better symbols for a block, in at most `passes` passes, until they save no more bits.
    /// Returns how often each occurs.
    fn improve(&mut self, unit: &[u8], block: Range<usize>, passes: u32) -> Histogram {
        /// The least gain in bits, and the passes without one after which the search ends.
        const GAIN: u64 = 8;
        const IDLE: u32 = 3;
        let bytes = &unit[block.clone()];
        let items = &mut self.items[block.clone()];
        let trial = &mut self.trial[block.clone()];
        let mut best = Histogram::of(symbols(items, bytes));
        let mut least = Codes::best(&best).bits;
        if least >= stored_bits(bytes.len(), 0) {
            return best;
        }
        let mut histogram = best.clone();
        let mut idle = 0;
        for _ in 0..passes {
            let costs = Costs::of(&histogram);
            let whole = self.effort.whole;
            self.cheapest.find(&self.matches, block.start, bytes, &costs, whole, trial);
            histogram = Histogram::of(symbols(trial, bytes));
            let bits = Codes::best(&histogram).bits;
            idle = if bits + GAIN < least { 0 } else { idle + 1 };
            if bits < least {
                least = bits;
                best = histogram.clone();
                items.copy_from_slice(trial);
            }
            if idle == IDLE {
                break;
            }
        }
        // Now with codes as they are. What takes less with these takes still less with its own.
        for _ in 0..self.effort.last_passes {
            let costs = Costs::with(&Codes::best(&best));
            let whole = self.effort.whole;
            self.cheapest.find(&self.matches, block.start, bytes, &costs, whole, trial);
            let histogram = Histogram::of(symbols(trial, bytes));
            let bits = Codes::best(&histogram).bits;
            if bits >= least {
                break;
            }
            least = bits;
            best = histogram;
            items.copy_from_slice(trial);
        }
        best
    }
}

/// Starts over with a window of bytes.
fn take_in(finder: &mut impl Finder, bytes: &[u8], window: Range<usize>) {
    finder.restart(window.start);
    for at in window {
        if at + LOOKAHEAD <= bytes.len() {
            finder.insert(bytes, at, (bytes.len() - at).min(LONGEST));
        }
    }
}

fn ranges(ends: Vec<usize>) -> Vec<Range<usize>> {
    let mut start = 0;
    let range = |end| std::mem::replace(&mut start, end)..end;
    ends.into_iter().map(range).collect()
}

#[cfg(test)]
mod tests;
