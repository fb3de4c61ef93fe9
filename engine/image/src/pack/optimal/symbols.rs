//! The alphabets of deflate (RFC 1951, 3.2.5).

/// Symbols of the literal and length alphabet, and of that of distances, that may be used.
pub(super) const LITERALS: usize = 286;
pub(super) const DISTANCES: usize = 30;
/// Symbols of literals and lengths that the fixed codes have: two of them are never used.
pub(super) const FIXED_LITERALS: usize = 288;
/// The end of a block.
pub(super) const END: usize = 256;
/// Bytes of the shortest match.
pub(super) const SHORTEST: usize = 3;

/// The base and the extra bits of each length symbol, from 257 on.
pub(super) const LENGTHS: [(u16, u8); 29] = [
    (3, 0),
    (4, 0),
    (5, 0),
    (6, 0),
    (7, 0),
    (8, 0),
    (9, 0),
    (10, 0),
    (11, 1),
    (13, 1),
    (15, 1),
    (17, 1),
    (19, 2),
    (23, 2),
    (27, 2),
    (31, 2),
    (35, 3),
    (43, 3),
    (51, 3),
    (59, 3),
    (67, 4),
    (83, 4),
    (99, 4),
    (115, 4),
    (131, 5),
    (163, 5),
    (195, 5),
    (227, 5),
    (258, 0),
];

/// The length symbol of each length, counted from 257.
pub(super) static LENGTH_SYMBOLS: [u8; 259] = length_symbols();

const fn length_symbols() -> [u8; 259] {
    let mut symbols = [0; 259];
    let mut length = 3;
    let mut symbol = 0;
    while length < 259 {
        while symbol + 1 < LENGTHS.len() && LENGTHS[symbol + 1].0 as usize <= length {
            symbol += 1;
        }
        symbols[length] = symbol as u8;
        length += 1;
    }
    symbols
}

/// The symbol of a distance.
#[inline]
pub(super) fn distance_symbol(distance: usize) -> usize {
    let less = (distance - 1) as u32;
    // Without a branch: which one it would be is hard to foresee.
    let log = (less | 2).ilog2();
    let symbol = 2 * log + (less >> (log - 1) & 1);
    (if less < 2 { less } else { symbol }) as usize
}

/// Extra bits of a distance symbol.
#[inline]
pub(super) fn distance_bits(symbol: usize) -> u32 {
    (symbol as u32 / 2).saturating_sub(1)
}

/// The least distance of a symbol.
#[inline]
pub(super) fn distance_base(symbol: usize) -> usize {
    if symbol < 4 { symbol + 1 } else { ((2 + (symbol & 1)) << (symbol / 2 - 1)) + 1 }
}

/// A literal, or a match: its length, its distance, and the symbol of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(transparent)]
pub(super) struct Item(u32);

impl Item {
    /// No symbol at all.
    pub(super) const NONE: Self = Self(0);
    pub(super) const LITERAL: Self = Self(1 << 20);
    /// 258 bytes that are the same as the one before.
    pub(super) const LONGEST_OF_RUN: Self = Self(258 << 20);

    #[inline]
    pub(super) fn new(length: usize, distance: usize) -> Self {
        let symbol = distance_symbol(distance);
        Self((length << 20 | symbol << 15 | (distance - 1)) as u32)
    }

    #[inline]
    pub(super) fn with_length(self, length: usize) -> Self {
        Self(self.0 & 0xf_ffff | (length as u32) << 20)
    }

    #[inline]
    pub(super) fn length(self) -> usize {
        (self.0 >> 20) as usize
    }

    #[inline]
    pub(super) fn is_literal(self) -> bool {
        self.length() == 1
    }

    #[inline]
    pub(super) fn distance(self) -> usize {
        (self.0 & 0x7fff) as usize + 1
    }

    #[inline]
    pub(super) fn distance_symbol(self) -> usize {
        (self.0 >> 15 & 31) as usize
    }
}
