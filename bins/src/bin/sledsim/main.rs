//! `sledsim`: plays the sleds of a rack on a real link.

mod args;
mod rack;

use boot_tools::exit::{Exit, main_of};

fn main() -> Exit {
    main_of(|args: args::Args| rack::run(&args))
}
