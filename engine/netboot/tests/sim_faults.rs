//! Thousands of racks in virtual time, each with faults of its own, all from seeds.
//!
//! `BOOT_SIM_SEEDS` says how many seeds are run, `BOOT_SIM_SEED` runs one alone.

mod trial;

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use self::trial::{Tally, Trial};

const SEEDS: u64 = 2000;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// Runs a rack; a panic is a broken invariant too.
fn boot(trial: &Trial) -> Result<Tally, String> {
    let run = catch_unwind(|| trial.boot());
    run.unwrap_or_else(|_| Err("panicked; its message is above".to_owned()))
}

#[test]
fn every_sled_boots_whatever_happens() {
    boot_all(Trial::from_seed);
}

#[test]
fn every_sled_boots_whatever_happens_to_it_or_to_others_in_step() {
    boot_all(|seed| Trial::from_seed(seed).together());
}

/// Boots the rack that `trial` makes of each seed.
fn boot_all(trial: impl Fn(u64) -> Trial + Sync) {
    let one = number("BOOT_SIM_SEED");
    let (first, count) = one.map_or((0, number("BOOT_SIM_SEEDS").unwrap_or(SEEDS)), |s| (s, 1));
    let began = Instant::now();
    let next = AtomicU64::new(first);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut total = Tally::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed - first >= count {
                return Ok(total);
            }
            total.add(&boot(&trial(seed)).map_err(|broken| (seed, broken))?);
        }
    };
    let mut total = Tally::default();
    thread::scope(|scope| {
        let running: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        for worker in running {
            match worker.join().expect("a worker catches its panics") {
                Ok(outcome) => total.add(&outcome),
                Err((seed, broken)) => panic!(
                    "seed {seed}: {broken}\n  {:?}\n  once more: BOOT_SIM_SEED={seed} cargo \
                     test -p boot-netboot --test sim_faults -- --nocapture",
                    trial(seed)
                ),
            }
        }
    });
    println!("{count} seeds, {total} in {:.1} s", began.elapsed().as_secs_f64());
}
