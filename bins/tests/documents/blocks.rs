//! The fenced blocks of the documents.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

/// How a block is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// By a shell.
    Run,
    /// On links, as root.
    OnLinks,
    /// Not at all, but what it names exists.
    Named,
    /// Not at all.
    Text,
}

/// One fenced block.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    document: PathBuf,
    /// Of its first line.
    number: usize,
    pub(crate) kind: Kind,
    pub(crate) text: String,
}

impl Block {
    /// The text, with the built tool in place of cargo's way to run it.
    pub(crate) fn without_cargo(&self) -> String {
        self.text.replace("cargo run --release --bin bootserver --", "bootserver")
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}", self.document.display(), self.number)
    }
}

pub(crate) fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// All documents: those at the top, and those in `docs/`.
pub(crate) fn documents() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in [repository().to_owned(), repository().join("docs")] {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        found.extend(entries.filter(|path| path.extension().is_some_and(|end| end == "md")));
    }
    found.sort();
    assert!(found.len() > 8, "{found:?}");
    found
}

/// The blocks of all documents.
pub(crate) fn blocks() -> Vec<Block> {
    documents().iter().flat_map(|document| blocks_of(document)).collect()
}

fn blocks_of(document: &Path) -> Vec<Block> {
    let text = fs::read_to_string(document).unwrap();
    let mut blocks = Vec::new();
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        let Some(fence) = line.strip_prefix("```") else {
            continue;
        };
        let kind = match fence {
            "sh" => Kind::Run,
            "sh netns" => Kind::OnLinks,
            "sh dev" => Kind::Named,
            // `tests/afternoon.rs` runs these.
            "sh afternoon" | "text" | "rust" | "toml" | "json" => Kind::Text,
            other => panic!("{}, line {}: a block of {other:?}", document.display(), number + 1),
        };
        let body: Vec<_> =
            lines.by_ref().map(|(_, line)| line).take_while(|l| *l != "```").collect();
        let (document, number) = (document.to_owned(), number + 2);
        blocks.push(Block { document, number, kind, text: body.join("\n") });
    }
    blocks
}
