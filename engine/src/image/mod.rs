//! The boot image: its header, who boots from it, and its contents in memory.

mod checksum;
mod contents;

pub use checksum::{Checksum, ParseChecksumError};
pub use contents::Contents;
