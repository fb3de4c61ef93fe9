//! Racks in virtual time, whose results are the same on every machine.

use std::time::Duration;

use boot_benches::images::contents;
use boot_netboot::server::Together;
use boot_netboot::sim::{Faults, Scenario, judged};
use boot_netboot::sled::AnswerTimes;

const GIGABIT: u64 = 1_000_000_000;

/// Prints a line for each rack: sleds that booted, the time in nanoseconds, frames that were sent
/// and that were lost on the way, retransmits, frames that sleds did not want, waits for a sled's
/// own timer, and Jain's index.
pub(crate) fn print() {
    println!("# What racks in virtual time come to. scripts/bench-guard --bless writes it.");
    println!("# booted, ns, frames, lost, retransmits, unwanted, timeouts, Jain");
    for (name, scenario) in judged(8, &contents(4 << 20), GIGABIT).into_iter().chain(alone()) {
        let outcome = scenario.run();
        let (server, ports) = (outcome.server, outcome.ports);
        println!(
            "{} {} {} {} {} {} {} {:.6} {name}",
            outcome.booted,
            outcome.time.as_nanos(),
            server.sent,
            [server.trunk_drops, ports.trunk_drops, ports.port_drops, ports.lost]
                .iter()
                .sum::<u64>(),
            outcome.early,
            outcome.sleds.iter().map(|report| report.unwanted).sum::<u64>(),
            outcome.timeouts(),
            outcome.fairness,
        );
    }
}

/// One sled, for what its answers and its console are like, what is lost, and how fast its link is;
/// and a rack that boots in step.
fn alone() -> Vec<(String, Scenario)> {
    let image = contents(8 << 20);
    let mut scenarios = Vec::new();
    for gigabits in [1, 10] {
        for (answers, console) in [
            (AnswerTimes::Quiet, 0),
            (AnswerTimes::Quiet, 150),
            (AnswerTimes::Busy, 150),
            (AnswerTimes::TwiceBusy, 1000),
        ] {
            for percent in [0.0, 0.1, 1.0] {
                let rack = Scenario::new(1, image.clone(), gigabits * GIGABIT);
                let faults = Faults::loss(percent / 100.0);
                let name = format!(
                    "alone, {gigabits} Gbit/s, {answers}, console {console}, {percent}% lost"
                );
                let console = Duration::from_micros(console);
                scenarios.push((name, Scenario { answers, console, faults, ..rack }));
            }
        }
    }
    for percent in [0.0, 0.1] {
        let together = Some(Together { expect: Some(8), ..Together::default() });
        let faults = Faults::loss(percent / 100.0);
        let rack = Scenario::new(8, image.clone(), GIGABIT);
        scenarios
            .push((format!("8 in step, {percent}% lost"), Scenario { together, faults, ..rack }));
    }
    scenarios
}
