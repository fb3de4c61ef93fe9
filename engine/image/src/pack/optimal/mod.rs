//! Our own compressor: all matches within the window, also of what was compressed before and
//! elsewhere; of these the symbols that take least; and blocks that begin where it pays.
//!
//! That is how libdeflate's slow levels and zopfli go about it. Neither can be told what comes
//! before the bytes that it is handed, so that nothing could be compressed beside it without loss.

mod bits;
mod block;
mod chains;
mod costs;
mod cpu;
mod effort;
mod head;
mod huffman;
#[cfg(target_arch = "x86_64")]
mod lanes;
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
use self::cpu::Avx2;
pub(super) use self::effort::Effort;
use self::effort::FinderKind;
use self::matches::Matches;
use self::parse::{Block, Cheapest, lazily};
pub(super) use self::places::WINDOW;
use self::places::{LONGEST, LOOKAHEAD};
pub(super) use self::run::put_run;
use self::run::{LONG_RUN, long_run};
use self::split::split;
use self::symbols::Item;
use self::trees::Trees;

/// Compresses stretches of bytes, with memory that it keeps.
pub(super) struct Encoder {
    effort: Effort,
    avx2: Option<Avx2>,
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
        Self::with(effort, Avx2::detect())
    }

    /// One that uses AVX2 if it may.
    fn with(effort: Effort, avx2: Option<Avx2>) -> Self {
        let finder = match effort.finder {
            FinderKind::Chains => AnyFinder::Chains(Chains::new(effort.search, avx2)),
            FinderKind::Trees(order) => AnyFinder::Trees(Trees::new(effort.search, order)),
        };
        Self {
            effort,
            avx2,
            finder,
            matches: Matches::default(),
            cheapest: Cheapest::new(avx2),
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
            AnyFinder::Chains(chains) => {
                chains.restart(window.start);
                chains.insert(bytes, window);
            }
            AnyFinder::Trees(trees) => {
                trees.restart(window.start);
                for at in window.start..window.end.min((bytes.len() + 1).saturating_sub(LOOKAHEAD))
                {
                    trees.insert(bytes, at, (bytes.len() - at).min(LONGEST));
                }
            }
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
            AnyFinder::Chains(chains) => match self.avx2 {
                Some(avx2) => avx2.find_by_chains(matches, chains, bytes, range.clone(), nice),
                None => matches.find_by_chains(chains, bytes, range.clone(), nice),
            },
            AnyFinder::Trees(trees) => matches.find_by_trees(trees, bytes, range.clone(), nice),
        }
        let unit = &bytes[range];
        self.items.resize(unit.len(), Item::LITERAL);
        self.trial.resize(unit.len(), Item::LITERAL);
        let mut count = lazily(&self.matches, unit, &mut self.items);
        let mut blocks: Vec<(Range<usize>, Histogram)> = Vec::new();
        // What takes least depends on the blocks, and these on what takes least.
        let mut is_first = true;
        for passes in self.effort.passes {
            if *passes > 0 {
                blocks = split(&self.items, unit, count, self.effort.grain);
                // With more of them the costs come out by themselves, and slightly better.
                let guess = is_first && *passes == 1;
                let costs = if guess { Costs::after_lazy } else { Costs::of };
                for (block, histogram) in &mut blocks {
                    self.improve(unit, block.clone(), *passes, costs, histogram);
                }
                is_first = false;
                count = blocks.iter().map(|(_, histogram)| histogram.symbols()).sum();
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

    /// Finds better symbols for a block, in at most `passes` passes, until they save no more bits:
    /// with `costs` by how often each occurs, to which `best` is set.
    fn improve(
        &mut self,
        unit: &[u8],
        block: Range<usize>,
        passes: u32,
        costs: fn(&Histogram) -> Costs,
        best: &mut Histogram,
    ) {
        /// The least gain in bits, and the passes without one after which the search ends.
        const GAIN: u64 = 8;
        const IDLE: u32 = 3;
        let bytes = &unit[block.clone()];
        let items = &mut self.items[block.clone()];
        let trial = &mut self.trial[block.clone()];
        let mut least = Codes::best(best).bits;
        if least >= stored_bits(bytes.len(), 0) {
            return;
        }
        let (matches, whole) = (&self.matches, self.effort.whole);
        let parsed = Block { bytes, matches, first: block.start, whole };
        let mut histogram = best.clone();
        let mut idle = 0;
        for _ in 0..passes {
            let costs = costs(&histogram);
            histogram = self.cheapest.find(&parsed, &costs, trial);
            let bits = Codes::best(&histogram).bits;
            idle = if bits + GAIN < least { 0 } else { idle + 1 };
            if bits < least {
                least = bits;
                best.clone_from(&histogram);
                items.copy_from_slice(trial);
            }
            if idle == IDLE {
                break;
            }
        }
        // Now with codes as they are. What takes less with these takes still less with its own.
        for _ in 0..self.effort.last_passes {
            let costs = Costs::with(&Codes::best(best));
            let histogram = self.cheapest.find(&parsed, &costs, trial);
            let bits = Codes::best(&histogram).bits;
            if bits >= least {
                break;
            }
            least = bits;
            *best = histogram;
            items.copy_from_slice(trial);
        }
    }
}

#[cfg(test)]
mod tests;
