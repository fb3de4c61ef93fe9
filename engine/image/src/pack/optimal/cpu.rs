//! What is compiled a second time for processors with AVX2, and makes the same.

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "only here is it known that the processor has AVX2")
)]

use std::ops::Range;

use super::chains::{Batch, Chains};
use super::costs::Costs;
use super::matches::Matches;
use super::parse::Block;
use super::places::Base;
use super::symbols::Item;

/// There is one where the processor has AVX2, and what came with it.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    #[cfg(target_arch = "x86_64")]
    pub(super) fn detect() -> Option<Self> {
        use std::arch::is_x86_feature_detected as has;
        (has!("avx2") && has!("bmi1") && has!("bmi2") && has!("lzcnt") && has!("popcnt"))
            .then_some(Self(()))
    }

    #[cfg(not(target_arch = "x86_64"))]
    pub(super) fn detect() -> Option<Self> {
        None
    }

    /// See [`super::parse::lengths`].
    pub(super) fn lengths(
        self,
        block: &Block<'_>,
        positions: Range<usize>,
        costs: &Costs,
        rest: &mut [u32],
        items: &mut [Item],
    ) {
        let Self(()) = self;
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has these features, or there would be no `self`.
        unsafe {
            super::lanes::lengths(block, positions, costs, rest, items);
        }
        #[cfg(not(target_arch = "x86_64"))]
        super::parse::lengths(block, positions, costs, rest, items);
    }

    /// See [`Matches::find_by_chains`].
    pub(super) fn find_by_chains(
        self,
        matches: &mut Matches,
        chains: &mut Chains,
        bytes: &[u8],
        range: Range<usize>,
        nice: usize,
    ) {
        let Self(()) = self;
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has these features, or there would be no `self`.
        unsafe {
            super::lanes::find_by_chains(matches, chains, bytes, range, nice);
        }
        #[cfg(not(target_arch = "x86_64"))]
        matches.find_by_chains(chains, bytes, range, nice);
    }

    /// See [`Batch::compare`].
    #[inline(never)]
    pub(super) fn compare(self, batch: &mut Batch, bytes: &[u8], step: usize, base: Base) {
        let Self(()) = self;
        #[cfg(target_arch = "x86_64")]
        // SAFETY: the processor has these features, or there would be no `self`.
        unsafe {
            super::lanes::compare(batch, bytes, step, base);
        }
        #[cfg(not(target_arch = "x86_64"))]
        batch.compare(bytes, step, base);
    }
}
