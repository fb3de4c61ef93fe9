//! Streams inflated to memory step by step, one alone or two at the same time.

#![expect(unsafe_code, reason = "memory that nothing was written to yet")]

use super::BrokenStream;
use super::fast::{Work, fast_path, fast_path_both};
use super::output::Memory;
use super::walk::{Next, Tables, Walker, broken};

/// How far a stream has been inflated.
pub(crate) struct Inflation {
    tables: Box<Tables>,
    place: Position,
}

#[derive(Clone, Copy)]
struct Position {
    /// The next bit.
    bit: u64,
    /// What that bit begins.
    next: Next,
    /// Whether the current block, or the last one, is the final one.
    is_final: bool,
}

impl Inflation {
    pub(crate) fn new() -> Self {
        Self { tables: Box::new(Tables::new()), place: Position::START }
    }

    /// Begins at the start of another stream.
    pub(crate) fn restart(&mut self) {
        self.place = Position::START;
    }
}

impl Position {
    const START: Self = Self { bit: 0, next: Next::Block, is_final: false };
}

/// The input and output of an inflation, which must stay the same until its end.
pub(crate) struct Blocks<'a> {
    pub(crate) inflation: &'a mut Inflation,
    /// They begin with a stream; or, unless it `has_end`, are whole blocks of one, none final.
    pub(crate) bytes: &'a [u8],
    pub(crate) has_end: bool,
    /// The output so far, and room for more.
    pub(crate) output: &'a mut Vec<u8>,
}

/// The result: how many bytes it took, once it is done. An error is final.
pub(crate) type Inflated = Result<Option<usize>, BrokenStream>;

impl Blocks<'_> {
    /// Continues for about a block.
    pub(crate) fn go_on(mut self) -> Inflated {
        let mut stream = Stream::new(&mut self);
        let mut outcome = stream.symbols();
        if outcome == Ok(None) {
            fast_path(stream.work());
            outcome = stream.symbols();
        }
        let left = stream.leave();
        self.left(left);
        outcome
    }

    /// Continues with both until one of them is at its end or out of room.
    pub(crate) fn go_on_both(mut self, mut other: Blocks<'_>) -> [Inflated; 2] {
        let (mut stream, mut beside) = (Stream::new(&mut self), Stream::new(&mut other));
        let outcomes = loop {
            match [stream.symbols(), beside.symbols()] {
                [Ok(None), Ok(None)] => fast_path_both(stream.work(), beside.work()),
                outcomes => break outcomes,
            }
        };
        let left = [stream.leave(), beside.leave()];
        self.left(left[0]);
        other.left(left[1]);
        outcomes
    }

    fn left(&mut self, (place, length): (Position, usize)) {
        self.inflation.place = place;
        // SAFETY: `length` bytes have been written.
        unsafe { self.output.set_len(length) };
    }
}

struct Stream<'a> {
    walker: Walker<'a, (), Memory<'a>>,
    tables: &'a mut Tables,
    place: Position,
    has_end: bool,
}

impl<'a> Stream<'a> {
    fn new(blocks: &'a mut Blocks<'_>) -> Self {
        let Inflation { tables, place } = &mut *blocks.inflation;
        let length = blocks.output.len();
        // The output so far is part of the room.
        blocks.output.clear();
        let output = Memory { room: blocks.output.spare_capacity_mut(), length };
        let walker = Walker::new(blocks.bytes, place.bit, output, u64::MAX, ());
        Self { walker, tables, place: *place, has_end: blocks.has_end }
    }

    /// Where it is, and the bytes of output.
    fn leave(self) -> (Position, usize) {
        (Position { bit: self.walker.bits.at(), ..self.place }, self.walker.output.length)
    }

    /// The slow path: inflates some symbols, and whatever precedes the next ones.
    fn symbols(&mut self) -> Inflated {
        if let Some(codes) = self.tables.codes(self.place.next)
            && self.walker.symbols(codes)?
        {
            self.place.next = Next::Block;
        }
        while self.place.next == Next::Block {
            let at = self.walker.bits.at();
            let length = self.walker.bits.len();
            if self.place.is_final || !self.has_end && at == length as u64 * 8 {
                return Ok(Some(at.div_ceil(8) as usize));
            }
            let (is_final, next) = self.walker.begin_block(self.tables)?;
            if is_final && !self.has_end {
                return Err(broken(at));
            }
            (self.place.is_final, self.place.next) = (is_final, next);
        }
        Ok(None)
    }

    fn work(&mut self) -> Work<'_, 'a, 'a> {
        let codes = self.tables.codes(self.place.next).expect("symbols come next");
        let Walker { output, bits, .. } = &mut self.walker;
        Work { output, bits, codes, most: usize::MAX }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::deflate::inflate_to;

    fn deflated(bytes: &[u8], level: i32) -> Vec<u8> {
        let level = libdeflater::CompressionLvl::new(level).unwrap();
        let mut compressor = libdeflater::Compressor::new(level);
        let mut stream = vec![0; compressor.deflate_compress_bound(bytes.len())];
        let length = compressor.deflate_compress(bytes, &mut stream).unwrap();
        stream.truncate(length);
        stream
    }

    /// Runs of words, of one byte, and of anything.
    fn contents(seed: u64, length: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut bytes = Vec::new();
        while bytes.len() < length {
            match random.u8(..8) {
                0 => bytes.extend(std::iter::repeat_n(random.u8(..), random.usize(..600))),
                1 => bytes.extend((0..random.usize(..60)).map(|_| random.u8(..))),
                2..5 if !bytes.is_empty() => {
                    let from = bytes.len() - random.usize(1..=bytes.len().min(32 << 10));
                    let to = bytes.len().min(from + random.usize(..300));
                    bytes.extend_from_within(from..to);
                }
                _ => bytes.extend((0..random.usize(..9)).map(|_| random.u8(b'a'..b'k'))),
            }
        }
        bytes
    }

    /// The output of a whole stream, and how many bytes the stream takes.
    type Given = Result<(Vec<u8>, usize), BrokenStream>;

    fn alone(stream: &[u8], room: usize) -> Given {
        let mut bytes = vec![0; room];
        let walk = inflate_to(stream, &mut bytes)?;
        bytes.truncate(walk.output as usize);
        Ok((bytes, walk.end.div_ceil(8) as usize))
    }

    fn beside(streams: [&[u8]; 2], room: usize) -> [Given; 2] {
        let mut inflations = [Inflation::new(), Inflation::new()];
        let mut outputs = [0; 2].map(|_| Vec::with_capacity(room));
        let mut given = [None, None];
        while given.iter().any(Option::is_none) {
            let [one, other] = &mut inflations;
            let [output, of_other] = &mut outputs;
            let [bytes, behind] = streams;
            let one = Blocks { inflation: one, bytes, has_end: true, output };
            let other = Blocks { inflation: other, bytes: behind, has_end: true, output: of_other };
            let outcomes = match given {
                [None, None] => one.go_on_both(other),
                [None, _] => [one.go_on(), Ok(None)],
                _ => [Ok(None), other.go_on()],
            };
            for ((given, output), outcome) in given.iter_mut().zip(&outputs).zip(outcomes) {
                let of_end = |taken| (output.clone(), taken);
                if let Some(now) = outcome.map(|taken| taken.map(of_end)).transpose() {
                    *given = Some(now);
                }
            }
        }
        given.map(Option::unwrap)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn two_beside_each_other_give_what_each_gives_alone(
            seeds in any::<[u64; 2]>(), lengths in [0_usize..120_000, 0..120_000],
            level in 1..=12, flips in proptest::collection::vec((any::<usize>(), 0_u8..8), 0..3),
            short in 0_usize..400,
        ) {
            let raw = [0, 1].map(|place: usize| contents(seeds[place], lengths[place]));
            let mut streams = raw.each_ref().map(|raw| deflated(raw, level));
            for (at, bit) in flips {
                let place = at % streams[0].len();
                streams[0][place] ^= 1 << bit;
            }
            // Sometimes there is not enough room either.
            let room = (raw[1].len() + 400).max(1) - short.min(raw[1].len());
            let both = beside([&streams[0], &streams[1]], room);
            for (stream, given) in streams.iter().zip(both) {
                prop_assert_eq!(given, alone(stream, room));
            }
        }
    }
}
