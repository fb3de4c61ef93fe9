//! Datalinks: how batches of frames move between memory and one Ethernet link.
//!
//! A backend knows no protocol. It says how many frames the kernel took, and the name of its
//! room says which kernel concept is at work: [`cable`] is a segment inside the process, which
//! needs no privilege. The loop that joins a clock, a link and a station is [`serve`].

pub mod cable;
mod datalink;
mod serve;

pub use datalink::{Datalink, LinkError, Sent};
pub use serve::{Clock, serve};
