//! A libdlpi for Linux, over AF_PACKET, for tests of code that uses the real one of illumos.
//!
//! It has the same names, numbers and layouts, written down here a second time, and it holds its
//! user to the contract: a handle that two threads use at once aborts the process, a frame that is
//! too long is lost although the call succeeds, the read queue holds 5120 bytes until `bufmod` is
//! asked for more, a control call discards the frames that arrive meanwhile. On request ([`knobs`])
//! it does what a system does on a bad day.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "the functions are called from C, with pointers")]

mod abi;
mod calls;
mod handle;
pub mod knobs;
mod link;
mod modules;
mod packet;
mod queue;
mod traffic;
