//! Deflate streams (RFC 1951) and their structure: where blocks begin and end, how much comes out
//! by when, and what comes out.
//!
//! As strict as the sled's inflater, which is zlib's. Faster ones let pass what it refuses, and
//! don't tell where they are; this one is about as fast, and does.

mod bits;
mod code;
mod fast;
mod lanes;
mod output;
mod walk;
mod yields;

pub(crate) use lanes::{Blocks, Inflation, Outcome};
pub(crate) use output::{inflate_blocks_to, inflate_observed, inflate_to};
pub use walk::{BrokenStream, Flaw, Walk, walk};
pub(crate) use walk::{Observer, Place, walk_block, walk_observed};
pub(crate) use yields::Yields;
