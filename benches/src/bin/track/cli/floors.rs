//! The ratios that no change may make worse.

use crate::cli::entry::Entry;

/// Ratios, and what each may be at most.
///
/// Each is of CPU times that were taken within one round, so other work on the machine does not move
/// it far. Another machine does. On one of two, system calls cost less, and making fewer saves less:
/// in nine runs there, boots with sendmmsg took 0.69 to 0.79 of the model's CPU time, and with AF_XDP
/// 0.61 to 0.67; raw packing took 1.1 to 2.2 times the hash's. In three runs on the other, the medians
/// of the ways out lay within 4% of each other, those of boots within 14%, those of images within 10%.
/// Each limit is at least 7% above the largest median of both.
pub(crate) const FLOORS: [(&str, f64); 8] = [
    ("sendmmsg to naive", 0.96),
    ("io_uring to naive", 0.97),
    ("AF_XDP to naive", 0.72),
    ("boot with sendmmsg to the model's, CPU", 0.85),
    ("boot with AF_XDP to the model's, CPU", 0.75),
    ("pack raw to hash, CPU", 2.5),
    ("verify raw to hash, CPU", 1.5),
    ("verify to peer, CPU", 0.95),
];

/// Whether every ratio keeps to its floor; says which does not. What was left out is said too, and
/// fails nothing: a check without root sees what it can.
pub(crate) fn hold(entry: &Entry) -> bool {
    let mut hold = true;
    println!("\n{:<40} {:>7} {:>7}", "floors", "found", "at most");
    for (name, most) in FLOORS {
        let Some(found) = entry.ratio(name) else {
            println!("{name:<40} {:>7} {most:>7}", "-");
            continue;
        };
        let verdict = if found > most { "  over" } else { "" };
        println!("{name:<40} {found:>7.3} {most:>7}{verdict}");
        hold &= found <= most;
    }
    hold
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::entry::RATIOS;
    use crate::cli::subjects::Extent;

    #[test]
    fn every_floor_is_of_a_ratio_that_is_measured() {
        for (name, _) in FLOORS {
            assert!(RATIOS.iter().any(|ratio| ratio.0 == name), "{name}");
        }
    }

    #[test]
    fn a_ratio_over_its_floor_fails() {
        let entry = |cpu: f64| {
            let round = [("mmsg frame", cpu), ("naive frame", 1000.0)];
            let round = round.map(|(name, figure)| (name.to_owned(), figure)).into();
            Entry::new(Extent::Quick, &[round], Vec::new()).unwrap()
        };
        assert!(hold(&entry(600.0)));
        assert!(!hold(&entry(990.0)));
    }
}
