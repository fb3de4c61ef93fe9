//! Where the processor has AVX2: the cheapest length at each position, eight lengths at a time, and
//! the nearest places, all of a position at once. Results are those of the plain code, to the bit.

#![expect(unsafe_code, reason = "vectors are loaded and stored by pointers")]

use std::arch::x86_64::{
    __m256i, _mm_add_epi32, _mm_and_si128, _mm_blendv_epi8, _mm_castps_si128, _mm_castsi128_ps,
    _mm_cmpgt_epi32, _mm_cvtepi32_ps, _mm_cvtsi128_si32, _mm_loadu_si128, _mm_max_epi32,
    _mm_min_epi32, _mm_min_epu32, _mm_movemask_ps, _mm_or_si128, _mm_set1_epi32, _mm_setr_epi32,
    _mm_setzero_si128, _mm_shuffle_epi8, _mm_shuffle_epi32, _mm_slli_epi32, _mm_slli_si128,
    _mm_srli_epi32, _mm_storeu_si128, _mm_sub_epi32, _mm256_add_epi32, _mm256_add_epi64,
    _mm256_and_si256, _mm256_andnot_si256, _mm256_blendv_epi8, _mm256_castsi256_ps,
    _mm256_castsi256_si128, _mm256_cmpeq_epi8, _mm256_cmpeq_epi32, _mm256_cmpgt_epi32,
    _mm256_extracti128_si256, _mm256_i32gather_epi64, _mm256_loadu_si256, _mm256_min_epu32,
    _mm256_movemask_ps, _mm256_permutevar8x32_epi32, _mm256_sad_epu8, _mm256_set1_epi8,
    _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setr_epi32, _mm256_setzero_si256,
    _mm256_sub_epi32,
};
use std::ops::Range;

use super::chains::{BATCH, Batch, COMPARED, Chains};
use super::costs::{Costs, LENGTHS_HELD};
use super::matches::Matches;
use super::parse::{Block, TOO_MUCH, cheapest, settle};
use super::places::{Base, eight};
use super::symbols::{Item, SHORTEST};

/// Lengths in a vector: 256 bits of AVX2, 32 bits each.
const LANES: usize = 8;
/// What a length takes that no match has: more than all literals in its place, and it does not
/// overflow when added to `TOO_MUCH`.
const NONE: u32 = 1 << 30;

/// See [`super::parse::lengths`].
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn lengths(
    block: &Block<'_>,
    positions: Range<usize>,
    costs: &Costs,
    rest: &mut [u32],
    items: &mut [Item],
) {
    if block.whole <= SHORTEST + 2 * LANES {
        lengths_by::<2>(block, positions, costs, rest, items);
    } else {
        lengths_by::<3>(block, positions, costs, rest, items);
    }
}

/// The same, with `SHORT` vectors of short lengths. Most matches have no others, so these are tried for
/// all matches of a position at once.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn lengths_by<const SHORT: usize>(
    block: &Block<'_>,
    positions: Range<usize>,
    costs: &Costs,
    rest: &mut [u32],
    items: &mut [Item],
) {
    let first_long = SHORTEST + SHORT * LANES;
    let short: [__m256i; SHORT] = std::array::from_fn(|v| numbers(SHORTEST + v * LANES));
    let prices: [__m256i; SHORT] =
        std::array::from_fn(|v| load(&costs.lengths, SHORTEST + v * LANES));
    let mut next = rest[positions.end];
    for at in positions.rev() {
        let ahead: &[u32; LENGTHS_HELD] =
            rest[at..at + LENGTHS_HELD].try_into().expect("it is as long");
        let (mut least, mut best) = (TOO_MUCH, 0);
        let mut candidates = block.matches.of(block.first + at);
        if let Some(last) = candidates.last()
            && last.length() >= block.whole
            && at + last.length() > block.bytes.len()
        {
            (least, best) = cheapest(block, at, ahead, costs);
            candidates = &[];
        }
        while let [shorter @ .., candidate] = candidates
            && candidate.length() >= block.whole
        {
            let length = candidate.length();
            let all = costs.distances[candidate.distance_symbol()]
                + costs.lengths[length % LENGTHS_HELD]
                + ahead[length % LENGTHS_HELD];
            if all < least {
                (least, best) = (all, length);
            }
            candidates = shorter;
        }
        if let Some(last) = candidates.last() {
            if last.length() >= first_long {
                let (all, length) = long(candidates, first_long, ahead, costs);
                if all < least {
                    (least, best) = (all, length);
                }
            }
            let mut distances = [_mm256_set1_epi32(NONE.cast_signed()); SHORT];
            for candidate in candidates.iter().rev() {
                let price = costs.distances[candidate.distance_symbol()];
                let price = _mm256_set1_epi32(price.cast_signed());
                let beyond = _mm256_set1_epi32(candidate.length() as i32 + 1);
                for v in 0..SHORT {
                    let has = _mm256_cmpgt_epi32(beyond, short[v]);
                    distances[v] = _mm256_blendv_epi8(distances[v], price, has);
                }
            }
            let all: [__m256i; SHORT] = std::array::from_fn(|v| {
                let behind = load(ahead, SHORTEST + v * LANES);
                _mm256_add_epi32(_mm256_add_epi32(prices[v], distances[v]), behind)
            });
            let lanes = all[1..].iter().fold(all[0], |one, &other| _mm256_min_epu32(one, other));
            let smallest = minimum(lanes);
            if smallest < least {
                let wanted = _mm256_set1_epi32(smallest.cast_signed());
                let are = all.iter().rev().fold(0, |are, &all| {
                    let is = _mm256_castsi256_ps(_mm256_cmpeq_epi32(all, wanted));
                    are << LANES | _mm256_movemask_ps(is)
                });
                let lane = are.cast_unsigned().ilog2() as usize;
                (least, best) = (smallest, SHORTEST + lane);
            }
        }
        next = settle(block, at, (least, best), next, costs, rest, items);
    }
}

/// The least that a match of `first_long` bytes or more takes, and the longest that takes it.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
fn long(
    candidates: &[Item],
    first_long: usize,
    ahead: &[u32; LENGTHS_HELD],
    costs: &Costs,
) -> (u32, usize) {
    let mut least = _mm256_set1_epi32(TOO_MUCH.cast_signed());
    let mut best = _mm256_set1_epi32(0);
    let mut from = first_long;
    for candidate in candidates {
        let price = costs.distances[candidate.distance_symbol()];
        let price = _mm256_set1_epi32(price.cast_signed());
        let last = _mm256_set1_epi32(candidate.length() as i32);
        let none = _mm256_set1_epi32(NONE.cast_signed());
        for first in (from..=candidate.length()).step_by(LANES) {
            let lengths = numbers(first);
            let price = _mm256_blendv_epi8(price, none, _mm256_cmpgt_epi32(lengths, last));
            let all = _mm256_add_epi32(load(&costs.lengths, first), load(ahead, first));
            let all = _mm256_add_epi32(all, price);
            least = _mm256_min_epu32(least, all);
            best = _mm256_blendv_epi8(best, lengths, _mm256_cmpeq_epi32(least, all));
        }
        from = from.max(candidate.length() + 1);
    }
    let smallest = minimum(least);
    let is = _mm256_cmpeq_epi32(least, _mm256_set1_epi32(smallest.cast_signed()));
    // As what is left to a number that is longer than all: then the longest has the least.
    let left = _mm256_sub_epi32(_mm256_set1_epi32(LENGTHS_HELD as i32), _mm256_and_si256(best, is));
    (smallest, LENGTHS_HELD - minimum(left) as usize)
}

/// `first` and the numbers that follow.
#[target_feature(enable = "avx2")]
fn numbers(first: usize) -> __m256i {
    let lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    _mm256_add_epi32(lanes, _mm256_set1_epi32(first as i32))
}

#[target_feature(enable = "avx2")]
fn load(from: &[u32; LENGTHS_HELD], first: usize) -> __m256i {
    let lanes: &[u32; LANES] = from[first..first + LANES].try_into().expect("it is as long");
    // SAFETY: as many bytes as a vector has are there, and it need not be aligned.
    unsafe { _mm256_loadu_si256(lanes.as_ptr().cast()) }
}

/// Of 32-bit lanes, those at the front whose bits are set in a number, in their order: as bytes.
static PACKED: [[u8; 16]; 16] = packed();

const fn packed() -> [[u8; 16]; 16] {
    let mut packed = [[0; 16]; 16];
    let mut kept = 0;
    while kept < 16 {
        let (mut lane, mut to) = (0, 0);
        while lane < 4 {
            if kept >> lane & 1 == 1 {
                let mut byte = 0;
                while byte < 4 {
                    packed[kept][4 * to + byte] = (4 * lane + byte) as u8;
                    byte += 1;
                }
                to += 1;
            }
            lane += 1;
        }
        kept += 1;
    }
    packed
}

/// What [`Batch::compare`] does, all places of a position at once.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn compare(batch: &mut Batch, bytes: &[u8], step: usize, base: Base) {
    let positions = batch.positions.clone();
    assert!(positions.end + COMPARED <= bytes.len() + 1 && bytes.len() < i32::MAX as usize);
    let zero = _mm_set1_epi32(base.zero() as i32);
    let one = _mm_set1_epi32(1);
    batch.counts.fill(0);
    let mut index = 0;
    while index < positions.len().min(BATCH) {
        let at = positions.start + index;
        let numbers = &batch.numbers[index];
        let last = _mm_set1_epi32(base.last_outside(at));
        let here = _mm_set1_epi32(at as i32);
        let numbers = numbers.map(i32::from);
        let [three, four, five, six] = numbers;
        let numbers = _mm_setr_epi32(three, four, five, six);
        let is_near = _mm_cmpgt_epi32(numbers, last);
        let place = _mm_blendv_epi8(here, _mm_add_epi32(numbers, zero), is_near);
        let place = _mm_max_epi32(_mm_min_epi32(place, here), _mm_setzero_si128());
        // SAFETY: each place is from 0 to `at`, and eight bytes follow `at` (asserted above).
        let there = unsafe { _mm256_i32gather_epi64::<1>(bytes.as_ptr().cast(), place) };
        let word = _mm256_set1_epi64x(eight(bytes, at).cast_signed());
        // Bytes that are the same are all ones, so that one more makes zeros of the first of them.
        let same = _mm256_cmpeq_epi8(there, word);
        let carried = _mm256_add_epi64(same, _mm256_set1_epi64x(1));
        let first = _mm256_andnot_si256(carried, same);
        let ones = _mm256_and_si256(first, _mm256_set1_epi8(1));
        let lengths = _mm256_sad_epu8(ones, _mm256_setzero_si256());
        let even = _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6);
        let lengths = _mm256_castsi256_si128(_mm256_permutevar8x32_epi32(lengths, even));
        let lengths = _mm_and_si128(lengths, is_near);
        // The exponent and the first bit behind it, as a float has them, are a distance's symbol.
        let less = _mm_sub_epi32(_mm_sub_epi32(here, place), one);
        let float = _mm_castps_si128(_mm_cvtepi32_ps(less));
        let symbol = _mm_sub_epi32(_mm_srli_epi32::<22>(float), _mm_set1_epi32(2 * 127));
        let symbol = _mm_max_epi32(symbol, _mm_min_epi32(less, one));
        let items = _mm_or_si128(_mm_slli_epi32::<20>(lengths), _mm_slli_epi32::<15>(symbol));
        let items = _mm_or_si128(items, less);
        // The longest of those before each.
        let before = _mm_slli_si128::<4>(lengths);
        let before = _mm_max_epi32(before, _mm_slli_si128::<4>(before));
        let before = _mm_max_epi32(before, _mm_slli_si128::<8>(before));
        let before = _mm_max_epi32(before, _mm_set1_epi32(SHORTEST as i32 - 1));
        let is_longer = _mm_castsi128_ps(_mm_cmpgt_epi32(lengths, before));
        let kept = _mm_movemask_ps(is_longer);
        // SAFETY: sixteen bytes are there, and none of these need be aligned.
        unsafe {
            let order = _mm_loadu_si128(PACKED[kept as usize & 15].as_ptr().cast());
            let packed = _mm_shuffle_epi8(items, order);
            _mm_storeu_si128(batch.matches[index].as_mut_ptr().cast(), packed);
        }
        batch.counts[index] = kept.count_ones() as u8;
        index += step;
    }
}

/// [`Matches::find_by_chains`], compiled for such processors.
#[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
pub(super) fn find_by_chains(
    matches: &mut Matches,
    chains: &mut Chains,
    bytes: &[u8],
    range: Range<usize>,
    nice: usize,
) {
    matches.find_by_chains(chains, bytes, range, nice);
}

/// The least number in `lanes`.
#[target_feature(enable = "avx2")]
fn minimum(lanes: __m256i) -> u32 {
    let half = _mm_min_epu32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    let pair = _mm_min_epu32(half, _mm_shuffle_epi32(half, 0b01_00_11_10));
    let one = _mm_min_epu32(pair, _mm_shuffle_epi32(pair, 0b00_01_00_01));
    _mm_cvtsi128_si32(one).cast_unsigned()
}
