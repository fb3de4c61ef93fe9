//! Deflate streams (RFC 1951) by their structure: where blocks begin and end, and how much comes
//! out by when, without anything coming out.
//!
//! As strict as the sled's inflater, which is zlib's: what a faster one lets pass is found here.

mod bits;
mod code;
mod walk;
mod yields;

pub use walk::{BrokenStream, Walk, walk};
pub(crate) use walk::{Observer, Place, walk_block, walk_observed};
pub(crate) use yields::Yields;
