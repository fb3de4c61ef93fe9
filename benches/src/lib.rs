//! What the benches share.

pub mod corpus;
#[cfg(target_os = "linux")]
pub mod feed;
pub mod images;
#[cfg(target_os = "linux")]
pub mod naive;
#[cfg(target_os = "linux")]
pub mod naive_server;
pub mod peer;
pub mod rack;
