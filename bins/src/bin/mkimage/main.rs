//! `mkimage`: wraps a raw ramdisk image in the header that sleds boot from.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod jobs;
mod make;
mod report;

use boot_tools::exit::{Exit, main_of};

fn main() -> Exit {
    main_of(|args: args::Args| make::run(&args))
}
