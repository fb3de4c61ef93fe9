//! `bootserver`: serves boot images to sleds on an Ethernet link.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod args;
mod boots;
mod counts;
mod demo;
mod end;
mod link_names;
mod link_news;
mod links;
mod log;
mod service;
mod silence;
mod sled_at;
mod state;
mod store;
mod told;

use boot_tools::exit::{Exit, main_of};

use crate::args::{Args, Options};

fn main() -> Exit {
    main_of(|args: Args| match Options::try_from(args)? {
        Options::Serve(options) => service::run(options),
        Options::Demo { sleds, image } => demo::run(sleds, image.as_deref()),
    })
}
