//! One line of the history.

use std::collections::BTreeMap;

use boot_benches::stats::{deviation, median};
use serde::{Deserialize, Serialize};

use crate::cli::machine::{self, Machine};
use crate::cli::subjects::{Extent, Round};

/// Figures by their names.
pub(crate) type Figures = BTreeMap<String, f64>;

/// What was measured at one time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The commit, `+` behind it if files were changed.
    pub(crate) commit: String,
    /// When, in UTC.
    pub(crate) date: String,
    pub(crate) machine: Machine,
    pub(crate) extent: Extent,
    pub(crate) rounds: usize,
    /// The median of each figure over all rounds. Less is better; `subjects` names the units.
    pub(crate) medians: Figures,
    /// The median absolute deviation of each, as a share of its median.
    pub(crate) deviations: Figures,
    /// The median of each ratio within a round.
    pub(crate) ratios: Figures,
    /// The median absolute deviation of each ratio, as a share of it.
    pub(crate) ratio_deviations: Figures,
    /// Instructions per unit of guarded work, which the guard holds to 3%.
    pub(crate) instructions: Figures,
    /// What could not be measured, and why.
    pub(crate) left_out: Vec<String>,
}

/// Ratios, each of one figure to another: their names, and the names of the two.
pub(crate) const RATIOS: [(&str, &str, &str); 16] = [
    ("sendmmsg to naive", "mmsg frame", "naive frame"),
    ("io_uring to naive", "uring frame", "naive frame"),
    ("AF_XDP to naive", "xdp frame", "naive frame"),
    ("server on AF_XDP to naive", "served frame", "naive frame"),
    ("boot with sendmmsg to the model's, CPU", "mmsg boot, CPU", "model boot, CPU"),
    ("boot with AF_XDP to the model's, CPU", "xdp boot, CPU", "model boot, CPU"),
    ("boot with sendmmsg to the model's", "mmsg boot", "model boot"),
    ("boot with AF_XDP to the model's", "xdp boot", "model boot"),
    ("pack raw to hash", "pack raw", "hash"),
    ("pack raw to peer", "pack raw", "peer pack raw"),
    ("pack level 6 to peer", "pack level 6", "peer pack"),
    ("pack to peer", "pack", "peer pack"),
    ("pack to peer, bytes", "pack bytes", "peer pack bytes"),
    ("verify raw to hash", "verify raw", "hash"),
    ("verify raw to peer", "verify raw", "peer verify raw"),
    ("verify to peer", "verify", "peer verify"),
];

impl Entry {
    /// What some rounds come to.
    pub(crate) fn new(
        extent: Extent,
        rounds: &[Round],
        left_out: Vec<String>,
    ) -> anyhow::Result<Self> {
        let mut samples: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for (name, figure) in rounds.iter().flatten() {
            samples.entry(name).or_default().push(*figure);
        }
        let ratios = RATIOS.iter().map(|&(name, one, other)| {
            let both = |round: &Round| Some(round.get(one)? / round.get(other)?);
            (name, rounds.iter().filter_map(both).collect::<Vec<_>>())
        });
        let ratios: BTreeMap<_, _> = ratios.filter(|(_, all)| !all.is_empty()).collect();
        let of = |all: &BTreeMap<&str, Vec<f64>>, figure: fn(&[f64]) -> f64| {
            all.iter().map(|(name, all)| ((*name).to_owned(), rounded(figure(all)))).collect()
        };
        let middle = |all: &[f64]| median(all.iter().copied());
        Ok(Self {
            commit: machine::commit(),
            date: machine::date(),
            machine: Machine::this(),
            extent,
            rounds: rounds.len(),
            medians: of(&samples, middle),
            deviations: of(&samples, deviation),
            ratios: of(&ratios, middle),
            ratio_deviations: of(&ratios, deviation),
            instructions: machine::instructions()?,
            left_out,
        })
    }

    /// Whether nothing was left out, and nothing made smaller to save time.
    pub(crate) fn is_whole(&self) -> bool {
        self.extent == Extent::Full && self.left_out.is_empty()
    }

    /// A ratio; what was left out has none.
    pub(crate) fn ratio(&self, name: &str) -> Option<f64> {
        self.ratios.get(name).copied()
    }

    /// Prints what was found.
    pub(crate) fn print(&self) {
        println!("{:<40} {:>12} {:>10}", "", "median", "deviation");
        for (name, figure) in &self.medians {
            println!("{name:<40} {figure:>12.4} {:>9.1}%", 100.0 * self.deviations[name]);
        }
        println!("\n{:<40} {:>12} {:>10}", "ratio", "median", "deviation");
        for (name, ratio) in &self.ratios {
            println!("{name:<40} {ratio:>12.3} {:>9.1}%", 100.0 * self.ratio_deviations[name]);
        }
        for left_out in &self.left_out {
            println!("left out: {left_out}");
        }
    }
}

/// To five digits: more would only make lines longer.
fn rounded(figure: f64) -> f64 {
    format!("{figure:.4e}").parse().unwrap_or(figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(figures: &[(&str, f64)]) -> Round {
        figures.iter().map(|&(name, figure)| (name.to_owned(), figure)).collect()
    }

    #[test]
    fn ratios_are_those_within_a_round() {
        // The machine is ten times as slow in the second round: the ratio stays.
        let rounds = [
            round(&[("mmsg frame", 600.0), ("naive frame", 1000.0)]),
            round(&[("mmsg frame", 6000.0), ("naive frame", 10000.0)]),
            round(&[("mmsg frame", 660.0), ("naive frame", 1100.0)]),
        ];
        let entry = Entry::new(Extent::Quick, &rounds, Vec::new()).unwrap();
        assert!((entry.ratio("sendmmsg to naive").unwrap() - 0.6).abs() < 1e-9);
        assert_eq!(entry.ratio("AF_XDP to naive"), None);
        assert!((entry.medians["mmsg frame"] - 660.0).abs() < 1e-9);
    }

    #[test]
    fn a_quick_entry_makes_no_tables() {
        let of = |extent, left_out| Entry::new(extent, &[], left_out).unwrap().is_whole();
        assert!(of(Extent::Full, Vec::new()));
        assert!(!of(Extent::Quick, Vec::new()));
        assert!(!of(Extent::Full, vec!["links: no root".to_owned()]));
    }
}
