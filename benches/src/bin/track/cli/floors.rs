//! The ratios that no change may make worse.

use crate::cli::entry::Entry;

/// Ratios, and what each may be at most.
///
/// Of a frame's CPU time, all of it in one thread, and of the time of everything else: what several
/// threads use together moves with how their cores share the processor, and what they save by waiting
/// less with what a system call costs. On one machine, within a day, boots of 64 MiB took 0.49 to 0.62
/// of the model's time, and 0.58 to 1.06 of its CPU time. In some thirty runs on three machines, the
/// medians were up to 0.79, 0.90, 0.60, 0.73, 0.72, 0.91, 0.77, 0.42, 1.06 and 0.66; beside work that
/// kept a core busy, the last five were up to 1.21, 1.10, 0.55, 1.25 and 1.07. Each limit is at least
/// a twentieth above that.
pub(crate) const FLOORS: [(&str, f64); 10] = [
    ("sendmmsg to naive", 0.96),
    ("io_uring to naive", 0.97),
    ("AF_XDP to naive", 0.72),
    ("boot with sendmmsg to the model's", 0.85),
    ("boot with AF_XDP to the model's", 0.85),
    ("pack raw to hash", 1.4),
    ("pack raw to peer", 1.2),
    ("pack to peer", 0.65),
    ("verify raw to peer", 1.4),
    ("verify to peer", 1.2),
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
