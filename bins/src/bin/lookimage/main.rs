//! `lookimage`: says what a boot image is, whether it is good, and who would boot from it.

mod args;
mod look;
mod reader;

use boot_tools::exit::{Exit, main_of};

fn main() -> Exit {
    main_of(|args: args::Args| look::run(&args))
}
