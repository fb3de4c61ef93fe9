//! Deflate streams (RFC 1951) and their structure: where blocks begin and end, how much output
//! each part gives, and the output itself.
//!
//! It is as strict as the sled's inflater, which is zlib's. Faster inflaters accept what that one
//! refuses, and don't report their position; this one does, and is about as fast.

mod bits;
mod code;
mod fast;
mod output;
mod repeat;
mod streams;
mod walk;
mod yields;

pub(crate) use output::{inflate_blocks_to, inflate_observed, inflate_to};
pub(crate) use streams::{Blocks, Inflated, Inflation};
pub use walk::{BrokenStream, Flaw, Walk, walk};
pub(crate) use walk::{Observer, WalkAt, walk_block, walk_observed};
pub(crate) use yields::Yields;
