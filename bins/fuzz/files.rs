//! What fuzzing asks of what reads files: it takes or refuses them, and what is wrong has a place.
//!
//! Shared by the fuzz targets and by the test that replays their corpora.
#![allow(dead_code, reason = "each target is a crate of its own, and uses one of these")]

use std::path::Path;

use boot_tools::service::internals::{parse_config, rewritten_state};

/// Any bytes as a state file: what it says is written so that it says the same again.
pub(crate) fn state(bytes: &[u8]) {
    let (text, skipped) = rewritten_state(bytes);
    let lines = bytes.split(|&byte| byte == b'\n').count();
    assert!(skipped.iter().all(|line| (1..=lines).contains(line)), "{skipped:?} of {lines}");
    let (again, skipped) = rewritten_state(text.as_bytes());
    assert!(skipped.is_empty(), "lines {skipped:?} of {text:?}");
    assert_eq!(again, text);
}

/// Any text as a configuration: whatever is wrong stands on one of its lines.
pub(crate) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let place = Path::new("/nowhere/b.toml");
    let Err(error) = parse_config(place, text) else { return };
    // An error may stand behind the last line.
    let lines = text.split('\n').count();
    let mut count = 0;
    for said in error.lines() {
        let rest = said.strip_prefix("/nowhere/b.toml:").expect("it names the file");
        let (number, _) = rest.split_once(": ").expect("it names the line");
        let number: usize = number.parse().expect("a number");
        assert!((1..=lines).contains(&number), "{said:?}");
        count += 1;
    }
    assert!(count > 0, "refused, and nothing is wrong");
}
