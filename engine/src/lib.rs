//! Boot images and the network boot protocol of rack-scale sleds, without I/O.
//!
//! The engine knows no sockets, no clock and no sleep. Time comes in as an argument
//! ([`time::Instant`]), frames come in as byte slices, frames go out as descriptors
//! ([`batch::Batch`]), and what happened comes out as event values. So a whole rack can be
//! run in virtual time, from a seed, in a test ([`sim`]).
//!
//! Data flows one way, and nothing later in this list is known to anything earlier:
//! raw file, [`image`] (pack, unpack), [`image::Contents`] (pinned and checked in memory),
//! [`server`], [`batch`] (frame descriptors), and from there to a datalink outside this crate.

// A stream that fails would make them panic.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod batch;
pub mod image;
pub mod server;
pub mod sim;
pub mod sled;
pub mod station;
pub mod time;
pub mod wire;
