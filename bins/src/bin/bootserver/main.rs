//! `bootserver`: serves boot images to sleds on an Ethernet link.

mod args;
mod counts;
mod demo;
mod library;
mod log;
mod service;
mod sled_at;
mod state;

use boot_tools::exit::{Exit, main_of};

use crate::args::{Args, Options};

fn main() -> Exit {
    main_of(|args: Args| match Options::try_from(args)? {
        Options::Serve(options) => service::run(options),
        Options::Demo { sleds, image } => demo::run(sleds, image.as_deref()),
    })
}
