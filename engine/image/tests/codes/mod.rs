//! Blocks made bit by bit, with codes that no compressor emits: what zlib refuses is refused.

use crate::decoders::zlib_inflates;
use crate::{stored, unpack, zlib};

/// Bits as a deflate stream has them, first the lowest of each byte.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    count: usize,
}

impl Bits {
    fn bit(&mut self, bit: bool) {
        if self.count.is_multiple_of(8) {
            self.bytes.push(0);
        }
        *self.bytes.last_mut().unwrap() |= u8::from(bit) << (self.count % 8);
        self.count += 1;
    }

    /// A number, lowest bit first.
    fn number(&mut self, number: usize, bits: usize) {
        for bit in 0..bits {
            self.bit(number >> bit & 1 == 1);
        }
    }

    /// A symbol's code, highest bit first.
    fn symbol(&mut self, lengths: &[u8], symbol: usize) {
        let before = |other: usize| (lengths[other], other) < (lengths[symbol], symbol);
        let used = (0..lengths.len()).filter(|&other| lengths[other] > 0 && before(other));
        let place: u64 = used.map(|other| 1 << (16 - lengths[other])).sum();
        let code = place >> (16 - lengths[symbol]);
        for bit in (0..lengths[symbol]).rev() {
            self.bit(code >> bit & 1 == 1);
        }
    }
}

/// What a block's body is made of. No symbol here has extra bits.
#[derive(Clone, Copy)]
enum Item {
    Literal(usize),
    Distance(usize),
    /// A bit of its own.
    Bit(bool),
}
use Item::{Bit, Distance, Literal};

const END: Item = Literal(256);
/// Length 3, and distance 1.
const MATCH: [Item; 2] = [Literal(257), Distance(0)];

/// The codes of a block.
struct Codes {
    literals: Vec<u8>,
    distances: Vec<u8>,
    are_fixed: bool,
}

impl Codes {
    /// With these numbers of lengths, all zero except the listed ones.
    fn new(literals: (usize, &[(usize, u8)]), distances: (usize, &[(usize, u8)])) -> Self {
        let lengths = |(count, of): (usize, &[(usize, u8)])| {
            let mut lengths = vec![0; count];
            for &(symbol, length) in of {
                lengths[symbol] = length;
            }
            lengths
        };
        Self { literals: lengths(literals), distances: lengths(distances), are_fixed: false }
    }

    fn fixed() -> Self {
        let literals = [vec![8; 144], vec![9; 112], vec![7; 24], vec![8; 8]].concat();
        Self { literals, distances: vec![5; 32], are_fixed: true }
    }

    /// Blocks that end with a marker: one with some bytes, so that they are a segment, and one
    /// with these codes and this body, with many literals on either side.
    fn blocks(&self, body: &[Item]) -> Vec<u8> {
        let mut bits = Bits { bytes: stored(false, &[b'.'; 600]), count: 0 };
        bits.bit(false);
        if self.are_fixed {
            bits.number(1, 2);
        } else {
            bits.number(2, 2);
            bits.number(self.literals.len() - 257, 5);
            bits.number(self.distances.len() - 1, 5);
            // All lengths but repetitions have a code, of four bits.
            bits.number(15, 4);
            for place in 0..19 {
                bits.number(if place < 3 { 0 } else { 4 }, 3);
            }
            for &length in self.literals.iter().chain(&self.distances) {
                bits.symbol(&[4; 16], length.into());
            }
        }
        for &item in body {
            match item {
                Literal(symbol) => bits.symbol(&self.literals, symbol),
                Distance(symbol) => bits.symbol(&self.distances, symbol),
                Bit(bit) => bits.bit(bit),
            }
        }
        bits.number(0, 3);
        [&bits.bytes[..], &[0, 0, 0xff, 0xff]].concat()
    }
}

/// `items` with many literals on either side, so that it does not depend on where a block ends.
fn amid(items: &[Item]) -> Vec<Item> {
    let around = [Literal(97), Literal(98)].repeat(2000);
    [&around, items, &around, &[END]].concat()
}

/// Whether these blocks, which would give `given` bytes if they were good, are accepted: as a
/// stream's start, middle and end, by zlib as by us.
fn is_taken(name: &str, blocks: &[u8], given: &[u8]) -> bool {
    let other = [&stored(false, &[b'-'; 700])[..], &stored(false, b"")].concat();
    let end = stored(true, b"");
    let given = [&[b'.'; 600], given].concat();
    let dashes = [b'-'; 700];
    let cases = [
        (vec![blocks, &end], given.clone()),
        (vec![blocks, &other, &end], [&given, &dashes[..]].concat()),
        (vec![&other, blocks, &other, &end], [&dashes, &given[..], &dashes].concat()),
    ];
    let taken = cases.map(|(blocks, raw)| {
        let payload = zlib(&blocks, &raw);
        let result = unpack(&payload, &raw);
        assert_eq!(result.is_ok(), zlib_inflates(&payload, &raw), "{name}: {result:?}");
        result.is_ok()
    });
    assert!(taken == [taken[0]; 3], "{name}: {taken:?}");
    taken[0]
}

const GOOD: &[(usize, u8)] = &[(97, 2), (98, 2), (256, 2), (257, 2)];
const ONE: &[(usize, u8)] = &[(0, 1)];

#[test]
fn codes_that_zlib_refuses_are_refused() {
    let literals = |lengths| Codes::new((258, lengths), (1, ONE));
    let distances = |lengths| Codes::new((258, GOOD), (4, lengths));
    let text = amid(&[]);
    let only_end = [END];
    for (name, is_good, codes, body) in [
        ("plain", true, literals(GOOD), &text),
        ("286 codes", true, Codes::new((286, GOOD), (1, ONE)), &text),
        ("287 codes", false, Codes::new((287, GOOD), (1, ONE)), &text),
        ("288 codes", false, Codes::new((288, GOOD), (1, ONE)), &text),
        ("30 distances", true, Codes::new((258, GOOD), (30, ONE)), &text),
        ("31 distances", false, Codes::new((258, GOOD), (31, ONE)), &text),
        ("32 distances", false, Codes::new((258, GOOD), (32, ONE)), &text),
        ("incomplete", false, literals(&[(97, 2), (98, 2), (256, 2)]), &text),
        ("incomplete by little", false, literals(&[(97, 1), (98, 2), (256, 15)]), &text),
        ("too many", false, literals(&[(97, 1), (98, 1), (256, 1)]), &text),
        ("too many by one", false, literals(&[(97, 1), (98, 2), (256, 2), (257, 15)]), &text),
        ("no end", false, literals(&[(97, 2), (98, 2), (99, 2), (257, 2)]), &text),
        ("no symbol", false, literals(&[]), &text),
        ("an end alone", true, literals(&[(256, 1)]), &only_end.to_vec()),
        ("an end alone of two bits", false, literals(&[(256, 2)]), &only_end.to_vec()),
        ("no end but one symbol", false, literals(&[(97, 1)]), &only_end.to_vec()),
        ("not an end alone", false, literals(&[(256, 1)]), &vec![Bit(true), END]),
        ("no distance", true, distances(&[]), &text),
        ("two distances", true, distances(&[(0, 1), (3, 1)]), &text),
        ("incomplete distances", false, distances(&[(0, 2), (3, 2)]), &text),
        ("one distance of two bits", false, distances(&[(0, 2)]), &text),
        ("too many distances", false, distances(&[(0, 1), (1, 1), (3, 1)]), &text),
    ] {
        let there = |symbol: &usize| codes.literals[*symbol] > 0;
        let body: Vec<Item> = body
            .iter()
            .copied()
            .filter(|item| !matches!(item, Literal(symbol) if !there(symbol)))
            .collect();
        let given: Vec<u8> = body
            .iter()
            .filter_map(|item| match item {
                &Literal(symbol) => u8::try_from(symbol).ok(),
                _ => None,
            })
            .collect();
        assert_eq!(is_taken(name, &codes.blocks(&body), &given), is_good, "{name}");
    }
}

#[test]
fn symbols_that_there_are_not_are_refused() {
    let dynamic = |distances| Codes::new((258, GOOD), (2, distances));
    let matching = |distance| [Literal(257), Distance(distance)];
    let beyond = |symbol| [Literal(symbol), Distance(0)];
    for (name, is_good, codes, items) in [
        ("a match", true, Codes::fixed(), MATCH),
        ("the last length", true, Codes::fixed(), beyond(285)),
        ("length symbol 286", false, Codes::fixed(), beyond(286)),
        ("length symbol 287", false, Codes::fixed(), beyond(287)),
        ("distance symbol 3", true, Codes::fixed(), matching(3)),
        ("distance symbol 30", false, Codes::fixed(), matching(30)),
        ("distance symbol 31", false, Codes::fixed(), matching(31)),
        ("a match with one distance", true, dynamic(ONE), MATCH),
        ("no such distance", false, dynamic(ONE), [Literal(257), Bit(true)]),
        ("a match without distances", false, dynamic(&[]), [Literal(257), Bit(false)]),
    ] {
        let around = b"ab".repeat(2000);
        // As if the symbols were defined.
        let repeated = match items {
            [Literal(285), _] => vec![b'b'; 258],
            [_, Distance(3)] => b"aba".to_vec(),
            _ => b"bbb".to_vec(),
        };
        let given = [&around, &repeated[..], &around].concat();
        assert_eq!(is_taken(name, &codes.blocks(&amid(&items)), &given), is_good, "{name}");
    }
}
