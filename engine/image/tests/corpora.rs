//! The inputs that fuzzing has kept, replayed: every file of every corpus.

#[path = "../fuzz/image.rs"]
mod image;

use std::fs;
use std::path::Path;

/// Hands every file in the corpus of a target to it.
fn replay(target: &str, run: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        let result = std::panic::catch_unwind(|| run(&bytes));
        assert!(result.is_ok(), "{}", path.display());
        count += 1;
    }
    assert!(count > 0, "{} is empty", folder.display());
}

#[test]
fn headers() {
    replay("header", image::header);
}

#[test]
fn walks() {
    replay("walk", image::walk);
}

#[test]
fn stitches() {
    replay("stitch", image::stitch);
}

#[test]
fn unpacked_payloads() {
    replay("unpack", image::unpack);
}
