//! The boot image: its header, who boots from it, and its contents in memory.

pub mod boot_source;
mod checksum;
mod contents;
mod deflate_walk;
mod header;
mod mapping;
pub mod pack;
mod slice_trap;
mod unpack;

pub use checksum::{Checksum, ParseChecksumError};
pub use contents::Contents;
pub use header::{Header, HeaderError, Name, NameError, NameField};
pub use slice_trap::SliceTraps;
pub use unpack::{ImageError, ImageErrorKind, ImageFile, InflateError, Sink};
