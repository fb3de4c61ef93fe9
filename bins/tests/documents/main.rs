//! The documents: every command that a reader is to type works, and every link leads somewhere.
//!
//! The word after `sh` on the fence of a block sets how it is run: none, by a shell in a folder
//! with small images; `netns`, as root, with a link at either end; `dev`, not at all, but the
//! targets and scripts that it names must exist.

mod blocks;
mod dependencies;
#[cfg(target_os = "linux")]
#[path = "../lab/mod.rs"]
mod lab;
#[cfg(target_os = "linux")]
mod on_links;
mod sources;
#[path = "../tool/mod.rs"]
mod tool;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use self::blocks::{Block, Kind, blocks, documents, repository};
use self::tool::{Desk, path, raw};

/// The name of the first link of the tests.
const NEAR: &str = "near";

/// A folder with all files that the documents mention.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.write("zfs.raw", &raw());
    desk.write("recovery.raw", &raw());
    for (name, link) in [("rack.toml", NEAR), ("loopback.toml", "lo")] {
        let text = format!("links = [\"{link}\"]\nimages = [\"zfs.img\"]\n");
        desk.write(name, text.as_bytes());
    }
    fs::create_dir(desk.path("images")).unwrap();
    for line in [
        "mkimage -q -i zfs.raw -o zfs.img -O boot_image_csum -N ci",
        "mkimage -q -i zfs.raw -o images/other.img -N another",
        "mkimage -q -z -i recovery.raw -o recovery.img -N recovery",
    ] {
        assert!(desk.pipe(line).status.success(), "{line}");
    }
    desk
}

/// Blocks whose commands are run as written.
#[test]
fn every_command_works() {
    for block in blocks().into_iter().filter(|block| block.kind == Kind::Run) {
        let desk = desk();
        let tools = desk.path("tools");
        fs::create_dir(&tools).unwrap();
        for name in ["mkimage", "lookimage", "bootserver", "sledsim"] {
            symlink(path(name), tools.join(name)).unwrap();
        }
        let paths = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap());
        let mut shell = Command::new("sh");
        shell.args(["-eu", "-c", &block.without_cargo()]).env("PATH", paths);
        let output = shell.current_dir(desk.path(".")).output().unwrap();
        assert!(
            output.status.success(),
            "{block}: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

#[test]
fn what_a_block_for_developers_names_exists() {
    for block in blocks().into_iter().filter(|block| block.kind == Kind::Named) {
        for line in block.text.lines() {
            assert!(exists(line), "{block}: {line}");
        }
    }
}

fn exists(line: &str) -> bool {
    // Variables for the command precede it.
    let words: Vec<_> = line.split(' ').skip_while(|word| word.contains('=')).collect();
    let program = words[0];
    if program == "cargo" {
        let named = |option, folder: &str| {
            let at = words.iter().position(|word| *word == option)?;
            Some(repository().join(folder).join(format!("{}.rs", words[at + 1])).exists())
        };
        return named("--bench", "benches/benches")
            .or_else(|| named("--example", "examples"))
            .unwrap_or(true);
    }
    repository().join(program).exists()
}

#[test]
fn every_link_leads_to_a_file() {
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for (_, rest) in text.match_indices("](").map(|(at, _)| text.split_at(at + 2)) {
            let (target, _) = rest.split_once(')').unwrap();
            let (file, _) = target.split_once('#').unwrap_or((target, ""));
            let there = file.is_empty() || file.contains("://") || beside(&document, file).exists();
            assert!(there, "{}: no such file: {file}", document.display());
        }
    }
}

/// Files and folders of this repository are named from its root: `engine/format/`.
#[test]
fn every_path_that_a_document_names_exists() {
    let folders =
        [".ci", "backends", "benches", "bins", "docs", "engine", "examples", "scripts", "smf"];
    let mut named = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        // Between two marks of code, on one line.
        let marked = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2));
        for path in marked.filter(|path| !path.contains([' ', '*'])) {
            let folder = path.split_once('/').map(|(folder, _)| folder);
            if folder.is_some_and(|folder| folders.contains(&folder)) {
                assert!(repository().join(path).exists(), "{}: no {path}", document.display());
                named += 1;
            }
        }
    }
    assert!(named > 40, "{named} paths");
}

#[test]
fn twenty_tasks_name_the_place_where_they_are_done() {
    let text = fs::read_to_string(repository().join("CONTRIBUTING.md")).unwrap();
    let tasks: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once(". "))
        .filter(|(number, _)| number.parse::<usize>().is_ok())
        .collect();
    assert!(tasks.len() >= 20, "{} tasks", tasks.len());
    for (number, task) in tasks {
        let (_, place) = task.split_once(" | ").unwrap();
        assert!(place.starts_with('`') && place.contains('/'), "{number}: {place}");
    }
}

fn beside(document: &Path, file: &str) -> std::path::PathBuf {
    document.parent().unwrap().join(file)
}

#[test]
fn the_readme_fits_on_two_screens() {
    let lines = fs::read_to_string(repository().join("README.md")).unwrap().lines().count();
    assert!(lines <= 120, "{lines} lines");
}

#[test]
fn the_rules_are_numbered_without_a_gap() {
    for (document, letter) in [("docs/protocol.md", 'P'), ("docs/image-format.md", 'F')] {
        let text = fs::read_to_string(repository().join(document)).unwrap();
        let numbers: Vec<usize> = text
            .lines()
            .filter_map(|line| line.strip_prefix("**")?.strip_prefix(letter)?.split_once(".**"))
            .map(|(number, _)| number.parse().unwrap())
            .collect();
        assert_eq!(numbers, (1..=numbers.len()).collect::<Vec<_>>(), "{document}");
    }
}

/// Comments cite rules as `P12` and `F7`, in brackets or at the start.
#[test]
fn every_rule_that_the_code_cites_is_there() {
    let rules = ["docs/protocol.md", "docs/image-format.md"]
        .map(|document| fs::read_to_string(repository().join(document)).unwrap())
        .concat();
    let sources = sources();
    let comments =
        sources.lines().filter_map(|line| line.split_once("// ").or(line.split_once("/// ")));
    let mut cited = 0;
    for (_, comment) in comments {
        let words = comment.split(|c: char| !c.is_ascii_alphanumeric());
        let rule = |word: &&str| {
            let number = word.strip_prefix(['P', 'F']);
            number.is_some_and(|number| number.parse::<u8>().is_ok())
        };
        for word in words.filter(rule) {
            assert!(rules.contains(&format!("**{word}.**")), "no rule {word}: {comment}");
            cited += 1;
        }
    }
    assert!(cited > 30, "{cited} citations");
}

#[test]
fn few_blocks_are_not_run() {
    let (text, run): (Vec<Block>, _) =
        blocks().into_iter().partition(|block| block.kind == Kind::Text);
    assert!(text.len() < run.len(), "{} of {}", text.len(), text.len() + run.len());
}

/// Symptoms are looked up by the tools' messages, so they must quote them exactly.
#[test]
fn what_the_troubleshooting_quotes_is_said() {
    let text = fs::read_to_string(repository().join("docs/serving.md")).unwrap();
    let (_, table) = text.split_once("## Troubleshooting").unwrap();
    let sources = sources();
    let rows: Vec<_> = table.lines().filter_map(|line| line.split('|').nth(1)).collect();
    assert!(rows.len() > 10, "{rows:?}");
    for quoted in rows.iter().flat_map(|row| row.split('`').skip(1).step_by(2)) {
        for part in quoted.split("...").map(str::trim) {
            let part = part.trim_end_matches('=');
            assert!(sources.contains(part) || part == "RestrictAddressFamilies", "{part:?}");
        }
    }
}

/// All sources of the tools in one text, without line breaks inside strings.
fn sources() -> String {
    let mut text = String::new();
    let mut folders: Vec<_> =
        ["bins/src", "backends/src", "engine"].map(|name| repository().join(name)).into();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                text += &fs::read_to_string(path).unwrap();
            }
        }
    }
    let mut lines = text.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    lines.fold(first, |text, line| text + line.trim_start())
}
