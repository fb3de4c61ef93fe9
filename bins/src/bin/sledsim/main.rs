//! `sledsim`: plays the sleds of a rack, on a real link or in virtual time.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod play;
mod simulate;

use boot_tools::exit::{Exit, main_of};

fn main() -> Exit {
    main_of(|args: args::Args| match &args.link {
        Some(link) => play::run(link, &args),
        None => simulate::run(&args),
    })
}
