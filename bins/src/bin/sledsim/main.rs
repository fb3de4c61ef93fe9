//! `sledsim`: plays the sleds of a rack, on a real link or in virtual time.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod rack;
mod simulate;

use boot_tools::exit::{Exit, main_of};

fn main() -> Exit {
    main_of(|args: args::Args| match &args.link {
        Some(link) => rack::run(link, &args),
        None => simulate::run(&args),
    })
}
