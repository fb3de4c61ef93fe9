//! The DLPI backend, the very source that illumos gets, on real links of Linux: over a libdlpi
//! that holds it to the contract and does what a system does on a bad day.
#![cfg(target_os = "linux")]

mod boots;
#[path = "../../../src/dlpi/mod.rs"]
mod dlpi;
mod faults;
#[path = "../../src/knobs.rs"]
mod knobs;
mod links;
#[path = "../../../tests/netns/mod.rs"]
mod netns;

// What the backend expects in its crate.
use boot_backends::{Datalink, LEAST_MTU, LinkCounters, LinkError, OpenOptions, Sent};
