//! `bootserver`: serves boot images to sleds on an Ethernet link.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod demo;
mod options;

use boot_tools::exit::{Exit, main_of};
use boot_tools::service;

use crate::args::Args;
use crate::options::Options;

fn main() -> Exit {
    main_of(|args: Args| {
        let check = args.check_config;
        match Options::try_from(args)? {
            Options::Serve(options, _) if check => service::check(&options),
            Options::Serve(options, reread) => service::run(*options, reread),
            Options::Demo { sleds, image } => demo::run(sleds, image.as_deref()),
        }
    })
}
