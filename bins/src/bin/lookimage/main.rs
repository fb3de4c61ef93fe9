//! `lookimage`: shows what a boot image is, whether it is good, and what would boot from it.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod look;
mod reader;

use boot_tools::exit::{Exit, main_of};

fn main() -> Exit {
    main_of(|args: args::Args| look::run(&args))
}
