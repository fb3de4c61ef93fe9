//! The command line.

mod chart;
mod compare;
mod complexity;
mod entry;
mod floors;
mod history;
mod machine;
mod plot;
mod subjects;
mod table;
mod write;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;

use self::entry::Entry;
use self::history::History;
use self::subjects::{Extent, Round, Subjects};

/// Measures this project beside its peers and floors, by turns, and keeps a history of it.
///
/// Without an option it measures, says what it found, and appends a line of JSON to the history.
/// What sends frames takes root, and is left out without.
#[derive(Debug, Parser)]
#[command(about, long_about)]
struct Args {
    /// Measure small inputs in few rounds, in less than a minute.
    #[arg(long)]
    quick: bool,
    /// Rounds to measure; 9 unless it is quick, which takes 5.
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Fail unless every ratio keeps to its floor.
    #[arg(long)]
    check: bool,
    /// The history, one line of JSON for each time.
    #[arg(long, value_name = "FILE", default_value = "target/track/history.jsonl")]
    history: PathBuf,
    /// Print the tables of README and docs/performance.md, from the history's newest line that has
    /// everything.
    #[arg(long, group = "what")]
    table: bool,
    /// Put those tables into README and docs/performance.md.
    #[arg(long, group = "what")]
    write: bool,
    /// Draw the history as target/track/history.svg.
    #[arg(long, group = "what")]
    plot: bool,
    /// Build two commits and judge them side by side on this machine; fail if B is slower.
    #[arg(long, group = "what", num_args = 2, value_names = ["A", "B"])]
    compare: Option<Vec<String>>,
    /// Measure how costs grow with sleds and sizes, and draw that for docs/performance.md.
    #[arg(long, group = "what")]
    complexity: bool,
    /// One round of figures, as JSON: for `--compare`.
    #[arg(long, group = "what", hide = true)]
    round: bool,
    /// The peak memory of one piece of work, in KiB: for `--complexity`.
    #[arg(long, group = "what", hide = true, num_args = 2)]
    peak: Option<Vec<String>>,
}

pub(crate) fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("track: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Does what is asked. Returns whether nothing is slower than it may be.
fn run(args: &Args) -> anyhow::Result<bool> {
    let history = History::new(&args.history);
    let extent = if args.quick { Extent::Quick } else { Extent::Full };
    if args.table {
        write::print(&history.newest_whole()?);
    } else if args.write {
        write::write(&history.newest_whole()?)?;
    } else if args.plot {
        plot::draw(&history.read()?, &history.beside("history.svg"))?;
    } else if let Some([one, other]) = args.compare.as_deref() {
        return compare::compare(one, other, args.rounds);
    } else if args.complexity {
        complexity::draw()?;
    } else if args.round {
        let round = Subjects::new(extent)?.round(0);
        println!("{}", serde_json::to_string(&round)?);
    } else if let Some([work, amount]) = args.peak.as_deref() {
        complexity::peak(work, amount.parse().context("how much")?)?;
    } else {
        let within = |entry: &Entry| !args.check || floors::hold(entry);
        let (entry, within) = measure(extent, args.rounds, within)?;
        history.append(&entry)?;
        println!("appended to {}", args.history.display());
        return Ok(within);
    }
    Ok(true)
}

/// Series of rounds, of which each but the first is there to confirm what the ones before it found. A
/// choice: beside other work, the second or the third was within bounds where the first was not.
const SERIES: usize = 3;

/// Measures everything. Returns all rounds' figures, and whether they are `within` bounds.
fn measure(
    extent: Extent,
    rounds: Option<usize>,
    within: impl Fn(&Entry) -> bool,
) -> anyhow::Result<(Entry, bool)> {
    let subjects = Subjects::new(extent)?;
    let judge = |measured: &[Round]| {
        let entry = Entry::new(extent, measured, subjects.left_out.clone())?;
        entry.print();
        let within = within(&entry);
        Ok((entry, within))
    };
    in_series(rounds.unwrap_or(extent.rounds()).max(1), |number| subjects.round(number), judge)
}

/// Measures round by round, and once more, twice at most, as long as `judge` does not find all rounds
/// so far within bounds: a busy machine may have been all there was to it. Returns what it found last.
fn in_series<T>(
    rounds: usize,
    round: impl Fn(usize) -> Round,
    judge: impl Fn(&[Round]) -> anyhow::Result<(T, bool)>,
) -> anyhow::Result<(T, bool)> {
    let mut measured = Vec::new();
    let mut series = 1;
    loop {
        for number in 1..=rounds {
            eprintln!("round {number} of {rounds}");
            measured.push(round(measured.len()));
        }
        let (found, within) = judge(&measured)?;
        if within || series == SERIES {
            return Ok((found, within));
        }
        println!("\nonce more, to confirm that");
        series += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many rounds are measured in series of two, if all are within bounds once there are `enough`;
    /// and whether they were in the end.
    fn rounds_until(enough: usize) -> (usize, bool) {
        let judge = |measured: &[Round]| Ok((measured.len(), measured.len() >= enough));
        in_series(2, |_| Round::new(), judge).unwrap()
    }

    #[test]
    fn what_is_within_bounds_is_measured_once() {
        assert_eq!(rounds_until(1), (2, true));
    }

    #[test]
    fn what_is_not_is_measured_with_more_rounds_and_judged_by_all() {
        assert_eq!(rounds_until(3), (4, true));
        assert_eq!(rounds_until(6), (6, true));
    }

    #[test]
    fn what_never_is_fails_after_three_series() {
        assert_eq!(rounds_until(usize::MAX), (6, false));
    }

    #[test]
    fn rounds_are_numbered_through_all_series() {
        let number = |number| Round::from([("number".to_owned(), number as f64)]);
        let judge = |measured: &[Round]| {
            let numbers = measured.iter().map(|round| round["number"]);
            assert!(numbers.eq((0..measured.len()).map(|number| number as f64)));
            Ok(((), false))
        };
        in_series(2, number, judge).unwrap();
    }
}
