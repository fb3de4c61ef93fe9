//! A rack of 32 sleds in virtual time, in all the situations by which the server is judged, and
//! beside them the tool that this project replaces. The figures are exact: the same on every
//! machine, and the same each time.
//!
//! `cargo bench --bench rack -- MIB GBIT` simulates another image than one of 64 MiB, or another
//! rate than 1 Gbit/s.

use boot_image::Contents;
use boot_netboot::sim::{Outcome, judged};

const SLEDS: u16 = 32;

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|text| text.parse::<u64>().ok());
    let mebibytes = numbers.next().unwrap_or(64).max(1) as usize;
    let gigabits = numbers.next().unwrap_or(1).max(1);
    let image = Contents::build(mebibytes << 20, 4 << 30, "", "rpool/ROOT/ramdisk", |bytes| {
        for (block, number) in bytes.chunks_exact_mut(1024).zip(0_u64..) {
            block[..8].copy_from_slice(&number.to_le_bytes());
        }
    })
    .expect("there is memory for the image");
    println!("{SLEDS} sleds, {mebibytes} MiB, {gigabits} Gbit/s");
    println!(
        "{:<47} {:>6} {:>9} {:>7} {:>7} {:>9} {:>8}  {:>13}",
        "", "booted", "seconds", "wire", "Jain", "needless", "timeouts", "replaced tool"
    );
    for (name, mut scenario) in judged(SLEDS, &image, gigabits * 1_000_000_000) {
        let outcome = scenario.run();
        // It never boots more sleds than it does at once: no need to wait for an hour.
        scenario.limit = 2 * outcome.time;
        print_row(&name, &outcome, scenario.run_naive().booted);
    }
}

fn print_row(name: &str, outcome: &Outcome, replaced: u16) {
    println!(
        "{name:<47} {:>6} {:>9.3} {:>6.1}% {:>7.4} {:>8.2}% {:>8}  boots {replaced:>2} of {}",
        outcome.booted,
        outcome.time.as_secs_f64(),
        100.0 * outcome.efficiency(),
        outcome.fairness,
        100.0 * outcome.unwanted_share(),
        outcome.timeouts(),
        outcome.sleds.len(),
    );
}
