//! The vectors taken from a real sled: its frames, and the raw image that it booted.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// The frames of a little-endian Ethernet capture, each with its time since the first.
pub(crate) fn frames(capture: &[u8]) -> Vec<(Duration, Vec<u8>)> {
    let word = |at: usize| u32::from_le_bytes(capture[at..at + 4].try_into().unwrap());
    assert_eq!(word(0), 0xa1b2_c3d4, "a capture with microseconds");
    let time = |at: usize| Duration::new(u64::from(word(at)), word(at + 4) * 1000);
    let mut frames = Vec::new();
    let mut at = 24;
    while at < capture.len() {
        let length = word(at + 8) as usize;
        frames
            .push((time(at).saturating_sub(time(24)), capture[at + 16..at + 16 + length].to_vec()));
        at += 16 + length;
    }
    frames
}

/// Fills zeroed memory with what the raw image holds: hashes of 0, 1, 2 ... in its first half.
pub(crate) fn fill_raw(bytes: &mut [u8]) {
    let half = bytes.len() / 2;
    for (index, chunk) in bytes[..half].chunks_exact_mut(32).enumerate() {
        chunk.copy_from_slice(&Sha256::digest((index as u64).to_le_bytes()));
    }
}
