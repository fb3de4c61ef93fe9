//! Where the tables stand.

use std::fs;

use anyhow::{Context, bail};

use crate::cli::entry::Entry;
use crate::cli::machine::repository;
use crate::cli::table::{TABLES, Table};

const DOCUMENTS: [&str; 2] = ["README.md", "docs/performance.md"];
const END: &str = "<!-- track -->\n";

/// Prints every table.
pub(crate) fn print(entry: &Entry) {
    println!("{} at {}, {}", entry.commit, entry.date, entry.machine.cpu);
    for table in &TABLES {
        if let Some(markdown) = table.markdown(entry) {
            println!("\n{}\n\n{markdown}", mark(table).trim());
        }
    }
}

/// Puts the tables into the documents.
pub(crate) fn write(entry: &Entry) -> anyhow::Result<()> {
    for document in DOCUMENTS {
        let path = repository().join(document);
        let text = fs::read_to_string(&path).with_context(|| document.to_owned())?;
        let new = filled(&text, entry).with_context(|| document.to_owned())?;
        fs::write(&path, new).with_context(|| document.to_owned())?;
        println!("wrote {document}");
    }
    Ok(())
}

fn mark(table: &Table) -> String {
    format!("<!-- track:{} -->\n", table.name)
}

/// A document with every table that it has a place for.
fn filled(text: &str, entry: &Entry) -> anyhow::Result<String> {
    let mut text = text.to_owned();
    for table in &TABLES {
        let mark = mark(table);
        let Some(start) = text.find(&mark).map(|at| at + mark.len()) else { continue };
        let Some(length) = text[start..].find(END) else {
            bail!("nothing ends the table {}", table.name);
        };
        let Some(markdown) = table.markdown(entry) else {
            bail!("the history has not all that the table {} needs", table.name);
        };
        text.replace_range(start..start + length, &format!("\n{markdown}\n"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::history::History;

    fn committed() -> Entry {
        History::new(&repository().join("benches/history.jsonl")).newest_whole().unwrap()
    }

    /// So no figure is written by hand, and no row is in one document only.
    #[test]
    fn documents_have_the_tables_of_the_newest_entry_in_the_committed_history() {
        let entry = committed();
        for document in DOCUMENTS {
            let text = fs::read_to_string(repository().join(document)).unwrap();
            assert!(text.contains("<!-- track:replaced -->\n"), "{document}");
            assert_eq!(filled(&text, &entry).unwrap(), text, "{document}: benches/track --write");
        }
    }

    #[test]
    fn every_table_stands_in_some_document() {
        let texts = DOCUMENTS.map(|name| fs::read_to_string(repository().join(name)).unwrap());
        for table in &TABLES {
            assert!(texts.concat().contains(&mark(table)), "{}", table.name);
        }
    }

    #[test]
    fn a_table_without_an_end_is_an_error() {
        let error = filled("<!-- track:replaced -->\n| |\n", &committed()).unwrap_err();
        assert_eq!(error.to_string(), "nothing ends the table replaced");
    }
}
