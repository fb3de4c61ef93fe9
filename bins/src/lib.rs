//! What the boot tools share: how a command line is read, how a run ends, how sizes are said.
//!
//! Each tool stands in a folder of its own under `src/bin/`.

// A stream that fails would make them panic: `say!` does not.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod csum;
pub mod describe;
pub mod exit;
pub mod output;
pub mod patient;
pub mod rack;
pub mod shown;
pub mod signals;
pub mod stderr;
pub mod units;
