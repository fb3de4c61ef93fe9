//! What the benches share.

pub mod rack;
