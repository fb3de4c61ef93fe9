//! Datalinks: how batches of frames move between memory and one Ethernet link.
//!
//! A backend knows no protocol. It says how many frames the kernel took, and the name of its
//! room says which kernel concept is at work.

mod datalink;

pub use datalink::{Datalink, LinkError, Sent};
