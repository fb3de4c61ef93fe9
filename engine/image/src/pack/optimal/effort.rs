//! How much is done at each level.

use super::places::Search;
use super::split::Grain;

/// What finds matches.
#[derive(Clone, Copy, Debug)]
pub(super) enum FinderKind {
    Chains,
    /// With hashes of three bytes, of this many bits: a collision hides a match.
    Trees(u32),
}

/// How much is done. All numbers were chosen by the table that the benches make of their corpus.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Effort {
    pub(super) finder: FinderKind,
    pub(super) search: Search,
    /// Bytes that are looked at together.
    pub(super) unit: usize,
    /// Where blocks may end.
    pub(super) grain: Grain,
    /// A match of this many bytes is tried only as a whole.
    pub(super) whole: usize,
    /// How often blocks are looked for, and the symbols that take least with the codes of the last
    /// time: at most.
    pub(super) passes: &'static [u32],
    /// How often the symbols that take least are looked for after that with the codes that a block
    /// has, in whole bits: at most.
    pub(super) last_passes: u32,
    /// Whether all that is compressed is one stretch: otherwise what follows a marker does not
    /// refer to what precedes it, so that it can be inflated on another core.
    pub(in super::super) is_one: bool,
}

impl Effort {
    /// The least level that has one.
    pub(in super::super) const LEAST: u8 = 10;

    /// Of a `level`, 10 to 13.
    pub(in super::super) fn of(level: u8) -> Self {
        let (finder, depth, nice, whole) = match level {
            ..=10 => (FinderKind::Chains, 20, 80, 19),
            11 => (FinderKind::Trees(15), 25, 60, 24),
            12 => (FinderKind::Trees(15), 35, 100, 32),
            _ => (FinderKind::Trees(18), 400, 258, 258),
        };
        let (unit, symbols, marks, passes): (_, _, _, &[u32]) = match level {
            ..=10 => (256 << 10, 256, 128, &[1]),
            11 => (256 << 10, 512, 128, &[1]),
            12 => (512 << 10, 256, 256, &[1, 1]),
            _ => (1 << 20, 256, 400, &[3, 8]),
        };
        let (far, fine, told, last_passes) =
            if level > 12 { (2000.0, 16, 3.0, 15) } else { (500.0, usize::MAX, 2.5, 0) };
        Self {
            finder,
            search: Search { depth, nice },
            unit,
            grain: Grain { symbols, marks, far, fine, told },
            whole,
            passes,
            last_passes,
            is_one: level >= 12,
        }
    }
}
