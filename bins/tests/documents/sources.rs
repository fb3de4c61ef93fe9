//! The rules for source files that CONTRIBUTING.md states.

use std::fs;
use std::path::{Path, PathBuf};

use super::blocks::repository;

/// Lines of a file that can still be read as a whole.
const MOST_LINES: usize = 400;

/// Code in any language, at `folder` and below.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            if name == ".ci" || name != "target" && !name.starts_with('.') {
                found.extend(sources(&path));
            }
        } else if is_code(&path) {
            found.push(path);
        }
    }
    found
}

fn is_code(path: &Path) -> bool {
    match path.extension().and_then(|end| end.to_str()) {
        Some(end) => ["rs", "py", "sh", "js", "css", "c", "guest"].contains(&end),
        // A script names its interpreter.
        None => fs::read(path).unwrap().starts_with(b"#!"),
    }
}

#[test]
fn no_file_has_more_than_400_lines() {
    let all = sources(repository());
    assert!(all.len() > 300, "{} files", all.len());
    for path in all {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= MOST_LINES, "{}: {lines} lines: split it by subject", path.display());
    }
}
