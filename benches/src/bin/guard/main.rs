//! Fixed pieces of work, whose instructions `scripts/bench-guard` counts.
//!
//! `guard` lists their names; `guard NAME` does one, and prints how many units it was and how often
//! it allocated memory. `guard virtual` prints what racks in virtual time come to. Only what happens inside [`measured`] is counted, so that preparations cost
//! nothing.

mod image;
#[cfg(target_os = "linux")]
mod link;
mod log;
mod server;
mod simulated;
mod wire;

use std::alloc::System;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};

use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Allocations inside [`measured`].
static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

/// One piece of work, which returns how many units it did.
type Work = fn() -> u64;

fn works() -> impl Iterator<Item = &'static (&'static str, Work)> {
    let works = wire::WORKS.iter().chain(server::WORKS).chain(image::WORKS);
    #[cfg(target_os = "linux")]
    let works = works.chain(link::WORKS);
    works.chain(log::WORKS)
}

fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        works().for_each(|(name, _)| println!("{name}"));
        return ExitCode::SUCCESS;
    };
    if name == "virtual" {
        simulated::print();
        return ExitCode::SUCCESS;
    }
    let Some((_, work)) = works().find(|work| work.0 == name) else {
        eprintln!("guard: there is no work {name:?}");
        return ExitCode::FAILURE;
    };
    println!("{} {}", work(), ALLOCATIONS.load(Ordering::Relaxed));
    ExitCode::SUCCESS
}

/// The one function in which instructions are counted: by its name, so it may not be inlined.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
    // Something has to come after the call, or it becomes a jump that never returns here.
    black_box(());
}

/// Measures `work`, and counts how often it allocates.
fn measure(mut work: impl FnMut()) {
    let region = Region::new(ALLOCATOR);
    measured(&mut work);
    let change = region.change();
    ALLOCATIONS.fetch_add(change.allocations + change.reallocations, Ordering::Relaxed);
}
