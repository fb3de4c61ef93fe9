//! What the boot tools share: how a command line is read, how a run ends, how sizes are said.
//!
//! Each tool stands in a folder of its own under `src/bin/`.

pub mod csum;
pub mod describe;
pub mod exit;
pub mod output;
pub mod rack;
pub mod signals;
pub mod units;
