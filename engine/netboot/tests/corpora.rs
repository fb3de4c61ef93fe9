//! Replays every file of every fuzz corpus, and random inputs of the same kind from fixed seeds.

#[path = "../fuzz/netboot.rs"]
mod netboot;

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;

use fastrand::Rng;

/// Hands every file in the corpus of a target to it, and mixtures of pieces of them.
fn replay(target: &str, run: fn(&[u8])) {
    const MIXTURES: u64 = 2000;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut corpus = Vec::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert!(catch_unwind(|| run(&bytes)).is_ok(), "{}", path.display());
        corpus.push(bytes);
    }
    assert!(!corpus.is_empty(), "{} is empty", folder.display());
    for seed in 0..MIXTURES {
        let bytes = mixture(&mut Rng::with_seed(seed), &corpus);
        assert!(catch_unwind(|| run(&bytes)).is_ok(), "seed {seed}: {bytes:?}");
    }
}

/// Pieces of the corpus one after another, with some random bytes.
fn mixture(random: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.usize(1..8) {
        let file = &corpus[random.usize(..corpus.len())];
        let start = random.usize(..=file.len());
        let end = random.usize(start..=file.len());
        bytes.extend_from_slice(&file[start..end]);
    }
    for _ in 0..random.usize(..8) {
        let at = random.usize(..=bytes.len());
        bytes.insert(at, random.u8(..));
    }
    bytes
}

#[test]
fn frames() {
    replay("wire", netboot::wire);
}

#[test]
fn frames_to_a_server() {
    replay("server", netboot::server);
}

#[test]
fn frames_to_a_sled() {
    replay("sled", netboot::sled);
}
