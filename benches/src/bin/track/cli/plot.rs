//! The history as a picture: ratios over time, which other machines and days move little.

use std::path::Path;

use anyhow::ensure;

use crate::cli::chart::{self, Chart, Line, Scales};
use crate::cli::entry::{Entry, RATIOS};

/// Draws all entries, the oldest on the left.
pub(crate) fn draw(entries: &[Entry], path: &Path) -> anyhow::Result<()> {
    ensure!(!entries.is_empty(), "the history is empty: measure first");
    chart::draw(path, &charts(entries))?;
    println!("drew {}", path.display());
    Ok(())
}

fn charts(entries: &[Entry]) -> Vec<Chart> {
    let is_of_links = |name: &str| name.contains("naive") || name.contains("boot");
    let ratios = |of_links: bool| {
        let names = RATIOS.iter().map(|ratio| ratio.0);
        names
            .filter(move |name| is_of_links(name) == of_links)
            .map(|name| line(entries, name, |entry| entry.ratio(name)))
    };
    let instructions = ["server-frame-64-sleds", "handle-read-64-sleds", "inflate-kib"];
    let first = |name: &str| entries.iter().find_map(|entry| entry.instructions.get(name));
    let instructions = instructions.iter().map(|&name| {
        let first = first(name).copied().unwrap_or(1.0);
        line(entries, name, |entry| Some(entry.instructions.get(name)? / first))
    });
    let chart = |title: &str, lines: Vec<Line>| Chart {
        title: title.to_owned(),
        across: "entry of the history",
        lines: lines.into_iter().filter(|line| !line.points.is_empty()).collect(),
        scales: Scales::Linear,
    };
    let charts = [
        chart(
            "Frames and boots, to the plain loop and the replaced tool's model",
            ratios(true).collect(),
        ),
        chart("Images, to a bare hash and the replaced tool's way", ratios(false).collect()),
        chart("Instructions, to the first entry's", instructions.collect()),
    ];
    charts.into_iter().filter(|chart| !chart.lines.is_empty()).collect()
}

fn line(entries: &[Entry], name: &str, figure: impl Fn(&Entry) -> Option<f64>) -> Line {
    let points = entries.iter().enumerate();
    let points = points.filter_map(|(index, entry)| Some((index as f64, figure(entry)?)));
    Line { name: name.to_owned(), points: points.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::subjects::Extent;

    #[test]
    fn a_history_of_one_entry_or_of_many_becomes_a_small_picture() {
        let figures = [("mmsg frame", 600.0), ("naive frame", 1000.0), ("hash, CPU", 1.0)];
        let round = figures.map(|(name, figure)| (name.to_owned(), figure)).into();
        let entry = Entry::new(Extent::Quick, &[round], Vec::new()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.svg");
        assert!(draw(&[], &path).is_err());
        for count in [1, 300] {
            draw(&vec![entry.clone(); count], &path).unwrap();
            let svg = std::fs::read_to_string(&path).unwrap();
            assert!(svg.contains("sendmmsg to naive") && svg.ends_with("</svg>\n"), "{svg}");
        }
    }
}
