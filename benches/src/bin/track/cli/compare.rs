//! Two commits, built and measured side by side on this machine.
//!
//! Both are measured by the benches of the tree that this runs from, so that a change of the ruler
//! is no change of what it measures.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail, ensure};
use boot_benches::stats::{bounds, median};

use crate::cli::machine::repository;
use crate::cli::subjects::Round;

/// By how much B has to be slower than A to count as slower, whatever the bounds say. Of one commit
/// measured against itself in eleven rounds (`benches/track --compare HEAD HEAD`), the medians of 54
/// figures were up to 2.2% apart.
const LIMIT: f64 = 1.03;
/// Rounds, if nobody says how many. Each takes a few seconds for both.
const ROUNDS: usize = 11;

/// Judges commit `b` against commit `a`. Returns whether it is no slower.
///
/// A figure is slower if the 99% bounds of the median of its ratios within rounds lie above 1, and
/// that median over the limit, in a first series and in a second one that is run to confirm it.
pub(crate) fn compare(a: &str, b: &str, rounds: Option<usize>) -> anyhow::Result<bool> {
    let rounds = rounds.unwrap_or(ROUNDS).max(2);
    let both = [Built::new(a)?, Built::new(b)?];
    let mut verdicts = judge(&series(&both, rounds)?);
    print(&verdicts, [a, b]);
    let slower: Vec<_> = slower(&verdicts).map(|verdict| verdict.name.clone()).collect();
    if slower.is_empty() {
        println!("\n{b} is no slower than {a}");
        return Ok(true);
    }
    println!("\nslower: {}; once more, to confirm that", slower.join("; "));
    verdicts = judge(&series(&both, rounds)?);
    verdicts.retain(|verdict| slower.contains(&verdict.name));
    print(&verdicts, [a, b]);
    let slower: Vec<_> = self::slower(&verdicts).map(|verdict| verdict.name.as_str()).collect();
    let all = if slower.is_empty() { "in nothing".to_owned() } else { slower.join("; ") };
    println!("\n{b} is slower than {a}: {all}");
    Ok(slower.is_empty())
}

/// How one figure of B is to that of A.
#[derive(Debug, PartialEq)]
struct Verdict {
    name: String,
    /// Medians of A and B.
    medians: [f64; 2],
    /// The median of the ratios within rounds, and its bounds.
    ratio: f64,
    bounds: (f64, f64),
}

impl Verdict {
    fn is_slower(&self) -> bool {
        self.bounds.0 > 1.0 && self.ratio > LIMIT
    }

    fn word(&self) -> &'static str {
        match self {
            slower if slower.is_slower() => "slower",
            faster if faster.bounds.1 < 1.0 && faster.ratio < 1.0 / LIMIT => "faster",
            _ => "",
        }
    }
}

fn slower(verdicts: &[Verdict]) -> impl Iterator<Item = &Verdict> {
    verdicts.iter().filter(|verdict| verdict.is_slower())
}

fn judge(rounds: &[[Round; 2]]) -> Vec<Verdict> {
    let names = rounds.first().map(|[a, _]| a.keys()).into_iter().flatten();
    let verdict = |name: &String| {
        let pairs: Option<Vec<_>> =
            rounds.iter().map(|[a, b]| Some([*a.get(name)?, *b.get(name)?])).collect();
        let pairs = pairs?;
        // What is exact may be nothing in both.
        let ratio = |[a, b]: &[f64; 2]| if (a - b).abs() < f64::EPSILON { 1.0 } else { b / a };
        let ratios: Vec<_> = pairs.iter().map(ratio).collect();
        Some(Verdict {
            name: name.clone(),
            medians: [0, 1].map(|side| median(pairs.iter().map(|pair| pair[side]))),
            ratio: median(ratios.iter().copied()),
            bounds: bounds(&ratios),
        })
    };
    names.filter_map(verdict).collect()
}

fn print(verdicts: &[Verdict], [a, b]: [&str; 2]) {
    println!("\n{:<40} {a:>14.14} {b:>14.14} {:>7}  99% bounds", "", "B / A");
    for verdict in verdicts {
        let ([a, b], (low, high)) = (verdict.medians, verdict.bounds);
        let (name, ratio, word) = (&verdict.name, verdict.ratio, verdict.word());
        println!("{name:<40} {a:>14.5} {b:>14.5} {ratio:>7.3}  {low:.3} to {high:.3}  {word}");
    }
}

/// Rounds of both by turns, either of them first as often.
fn series(both: &[Built; 2], rounds: usize) -> anyhow::Result<Vec<[Round; 2]>> {
    let round = |number: usize| {
        eprintln!("round {} of {rounds}", number + 1);
        let first = both[number % 2].round()?;
        let second = both[1 - number % 2].round()?;
        Ok(if number.is_multiple_of(2) { [first, second] } else { [second, first] })
    };
    (0..rounds).map(round).collect()
}

/// A commit's own `track`.
#[derive(Debug)]
struct Built {
    program: PathBuf,
}

impl Built {
    /// Checks a commit out beside the history, and builds it with this tree's benches.
    fn new(revision: &str) -> anyhow::Result<Self> {
        let root = repository();
        let folder = root.join("target/track");
        let commit = git(&root, &["rev-parse", "--verify", &format!("{revision}^{{commit}}")])?;
        let tree = folder.join("trees").join(&commit[..12]);
        let program = folder.join("trees").join(format!("track-{}", &commit[..12]));
        let shown = tree.to_string_lossy().into_owned();
        let clear = || git(&root, &["worktree", "remove", "--force", &shown]);
        if tree.exists() {
            clear()?;
        }
        git(&root, &["worktree", "prune"])?;
        git(&root, &["worktree", "add", "--quiet", "--detach", &shown, &commit])?;
        eprintln!("building {revision}, {}", &commit[..12]);
        let built = build(&root, &tree, &folder.join("build"), &program);
        clear()?;
        built.with_context(|| format!("{revision} with this tree's benches"))?;
        Ok(Self { program })
    }

    fn round(&self) -> anyhow::Result<Round> {
        let mut program = Command::new(&self.program);
        let output = program
            .args(["--round", "--quick"])
            .env("BOOT_BENCH_DIR", repository().join("target/corpus"))
            .output()
            .with_context(|| self.program.display().to_string())?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{}: {said}", self.program.display());
        Ok(serde_json::from_slice(&output.stdout)?)
    }
}

/// Builds `tree` with the benches of `root`, and leaves its `track` at `program`.
fn build(root: &Path, tree: &Path, target: &Path, program: &Path) -> anyhow::Result<()> {
    for part in ["benches", "backends/tests/netns"] {
        fs::remove_dir_all(tree.join(part))?;
        copy(&root.join(part), &tree.join(part))?;
    }
    // The lock file of old commits lacks what this tree's benches need.
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--release", "--quiet", "-p", "boot-benches", "--bin", "track"]);
    let status = cargo.current_dir(tree).env("CARGO_TARGET_DIR", target).status()?;
    if !status.success() {
        bail!("it does not build");
    }
    fs::copy(target.join("release/track"), program)?;
    Ok(())
}

fn copy(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

fn git(root: &Path, arguments: &[&str]) -> anyhow::Result<String> {
    let output = Command::new("git").arg("-C").arg(root).args(arguments).output();
    let output = output.context("git is missing: install the package git")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "git {}: {}", arguments.join(" "), said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds in which B costs `factor` times what A costs, each off by up to a twentieth.
    fn rounds(factor: f64, seed: u64) -> Vec<[Round; 2]> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut off = move || 0.95 + 0.1 * random.f64();
        let round = |cost: f64| Round::from([("frame".to_owned(), cost)]);
        std::iter::repeat_with(|| [round(100.0 * off()), round(100.0 * factor * off())])
            .take(ROUNDS)
            .collect()
    }

    #[test]
    fn what_is_a_tenth_slower_is_found_in_noise_of_a_twentieth() {
        let found = (0..100).filter(|&seed| judge(&rounds(1.1, seed))[0].is_slower()).count();
        assert!(found >= 95, "{found} of 100");
    }

    #[test]
    fn the_same_is_seldom_slower_and_never_twice() {
        let is_slower = |seed| judge(&rounds(1.0, seed))[0].is_slower();
        let found = (0..200).filter(|&seed| is_slower(seed)).count();
        assert!(found <= 2, "{found} of 200");
    }

    #[test]
    fn what_is_nothing_in_both_is_the_same() {
        let round = || Round::from([("sleds that do not boot".to_owned(), 0.0)]);
        let verdicts = judge(&[[round(), round()], [round(), round()]]);
        assert_eq!(verdicts[0].word(), "");
    }
}
