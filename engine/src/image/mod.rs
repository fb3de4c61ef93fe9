//! The boot image: its header, who boots from it, and its contents in memory.

mod adler;
pub mod boot_source;
mod checksum;
mod clone;
mod contents;
pub mod deflate;
mod header;
mod holes;
mod mapping;
pub mod pack;
mod slice_trap;
mod unpack;

pub use checksum::{Checksum, ParseChecksumError};
pub use contents::Contents;
pub use header::{Header, HeaderError, Name, NameError, NameField};
pub use holes::write_sparse;
pub use slice_trap::SliceTraps;
pub use unpack::{ImageError, ImageErrorKind, ImageFile, InflateError, Sink};
