//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use boot_backends::TxPath;
use boot_engine::wire::MacAddr;
use clap::Parser;

/// Play sleds that boot over the network, to try a boot server without a rack.
#[derive(Debug, Parser)]
#[command(name = "sledsim", version, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The Ethernet link on which the boot server listens at the other end
    pub(crate) link: String,

    /// How many sleds to play
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) sleds: u16,

    /// The checksum that the sleds want, as `mkimage -O` writes it; without it they take the
    /// first image that is offered
    #[arg(long, value_name = "FILE")]
    pub(crate) csum: Option<PathBuf>,

    /// The first sled's address, the others follow it; made from the link's own if not given
    #[arg(long, value_name = "MAC")]
    pub(crate) mac: Option<MacAddr>,

    /// Give up after so long
    #[arg(short = 't', long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,

    /// How frames leave: `auto`, `uring`, `mmsg` or `xdp`
    #[arg(long, value_name = "PATH", default_value_t)]
    pub(crate) tx: TxPath,

    /// What an unwanted frame costs: a line on the sled's console, in microseconds
    #[arg(long, value_name = "US", default_value_t = 150)]
    pub(crate) console: u64,
}

const EXAMPLES: &str = "\
Examples:
  sledsim net1                                      boot one sled
  sledsim net1 --sleds 32 --csum boot_image_csum    a rack, which takes no other image

Each sled reads the whole image as a real one does and checks its SHA-256. A table on stdout
tells how it went; the exit status is 0 if every sled booted.";

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}
