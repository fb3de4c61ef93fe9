//! What fuzzing has found worth keeping, replayed: every file of every corpus.
#![allow(dead_code, reason = "command lines are read, and nothing is done")]

#[path = "../src/bin/bootserver/args.rs"]
mod args;
#[path = "../fuzz/files.rs"]
mod files;
#[path = "../fuzz/lines.rs"]
mod lines;
#[path = "../src/bin/bootserver/options.rs"]
mod options;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

/// Hands every file in the corpus of a target to it.
fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert!(catch_unwind(|| run(&bytes)).is_ok(), "{}", path.display());
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

#[test]
fn state_files() {
    replay("state", files::state);
}

#[test]
fn configurations() {
    replay("config", files::config);
}

#[test]
fn command_lines() {
    replay("command_line", lines::command_line);
}
