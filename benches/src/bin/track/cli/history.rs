//! The file that keeps all entries, a line of JSON for each.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::cli::entry::Entry;

/// A file of entries, which need not exist yet.
#[derive(Debug)]
pub(crate) struct History {
    path: PathBuf,
}

impl History {
    pub(crate) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// A file in the same folder.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.path.with_file_name(name)
    }

    /// All entries, the oldest first.
    pub(crate) fn read(&self) -> anyhow::Result<Vec<Entry>> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            text => text.with_context(|| self.path.display().to_string())?,
        };
        let entries = text.lines().enumerate().map(|(index, line)| {
            serde_json::from_str(line)
                .with_context(|| format!("{}, line {}", self.path.display(), index + 1))
        });
        entries.collect()
    }

    /// The newest entry that has all that tables need.
    pub(crate) fn newest_whole(&self) -> anyhow::Result<Entry> {
        let Some(entry) = self.read()?.into_iter().rfind(Entry::is_whole) else {
            bail!("{} has no line with everything: measure as root", self.path.display());
        };
        Ok(entry)
    }

    /// Adds an entry at the end.
    pub(crate) fn append(&self, entry: &Entry) -> anyhow::Result<()> {
        let line = serde_json::to_string(entry)? + "\n";
        let write = || {
            fs::create_dir_all(self.path.parent().unwrap_or(Path::new(".")))?;
            let mut file = File::options().create(true).append(true).open(&self.path)?;
            file.write_all(line.as_bytes())
        };
        write().with_context(|| self.path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::subjects::Extent;

    #[test]
    fn what_was_appended_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::new(&folder.path().join("new/history.jsonl"));
        assert!(history.read().unwrap().is_empty());
        assert!(history.newest_whole().is_err());
        for left_out in [vec![], vec!["links".to_owned()]] {
            history.append(&Entry::new(Extent::Full, &[], left_out).unwrap()).unwrap();
        }
        assert_eq!(history.read().unwrap().len(), 2);
        assert!(history.newest_whole().unwrap().left_out.is_empty());
    }

    #[test]
    fn a_broken_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        fs::write(&path, "{\n").unwrap();
        let error = History::new(&path).read().unwrap_err().to_string();
        assert!(error.ends_with("history.jsonl, line 1"), "{error}");
    }
}
