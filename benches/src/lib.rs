//! What the benches share.

#[cfg(target_os = "linux")]
pub mod boots;
pub mod called;
#[cfg(target_os = "linux")]
pub mod cores;
pub mod corpus;
#[cfg(target_os = "linux")]
pub mod feed;
pub mod images;
#[cfg(target_os = "linux")]
pub mod naive;
#[cfg(target_os = "linux")]
pub mod naive_server;
pub mod peer;
#[cfg(target_os = "linux")]
pub mod sending;
pub mod served;
pub mod stats;
