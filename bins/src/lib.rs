//! What the boot tools share: how command lines are read, how a run ends, and how sizes are shown.
//!
//! Each tool has a folder of its own under `src/bin/`; what `bootserver` runs is [`service`].

// They panic if the stream fails: `say!` does not.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod boot_table;
pub mod columns;
pub mod config;
pub mod csum;
pub mod describe;
pub mod exit;
#[cfg_attr(not(feature = "fetch"), path = "fetch/absent.rs")]
pub mod fetch;
pub mod groups;
#[cfg(test)]
mod in_time;
pub mod output;
pub mod patient;
mod queue;
pub mod service;
pub mod shown;
pub mod signals;
mod small;
mod status;
pub mod stderr;
pub mod units;

/// The version of all tools: the package's, and in release builds from a checkout its commit.
pub const VERSION: &str = env!("BOOT_TOOLS_VERSION");
