//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use boot_backends::TxPath;
use boot_format::wire::MacAddr;
use boot_netboot::sled::AnswerTimes;
use boot_tools::units::BitRate;
use clap::Parser;

/// Play sleds that boot over the network, to try a boot server without a rack.
#[derive(Debug, Parser)]
#[command(name = "sledsim", version = boot_tools::VERSION, after_long_help = EXAMPLES)]
pub(crate) struct Args {
    /// The Ethernet link at whose other end the boot server listens
    #[arg(required_unless_present = "virtual_time", conflicts_with = "virtual_time")]
    pub(crate) link: Option<String>,

    /// How many sleds to play
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=4096))]
    pub(crate) sleds: u16,

    /// The checksum of the image that the sleds want, as `mkimage -O` writes it; without it they
    /// take the first image that is offered
    #[arg(long, value_name = "FILE")]
    pub(crate) csum: Option<PathBuf>,

    /// The address of the first sled, from which the others count up; by default made from the
    /// link's own
    #[arg(long, value_name = "MAC")]
    pub(crate) mac: Option<MacAddr>,

    /// Give up after this long
    #[arg(short = 't', long, value_name = "SECONDS", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,

    /// How frames leave: `auto`, `uring`, `mmsg` or `xdp`
    #[arg(long, value_name = "PATH", default_value_t)]
    pub(crate) tx: TxPath,

    /// Microseconds that a line on the sled's console takes, which each unwanted frame costs
    #[arg(long, value_name = "US", default_value_t = 150)]
    pub(crate) console: u64,

    /// How long a sled takes from the last frame of a batch to its next READ: `quiet` or `busy`,
    /// as measured on real sleds, `twice-busy`, or a number of microseconds
    #[arg(long, value_name = "TIMES", default_value_t)]
    pub(crate) answers: AnswerTimes,

    /// Pause each sled for US microseconds every MS milliseconds
    #[arg(long, value_name = "US/MS", value_parser = pause)]
    pub(crate) pause: Option<(Duration, Duration)>,

    /// Frames that a busy sled can hold; more are lost
    #[arg(long, value_name = "FRAMES", default_value_t = 256)]
    pub(crate) ring: usize,

    /// Use no link: simulate a server, a switch and the sleds in virtual time, and print how long
    /// the rack would take
    #[arg(long = "virtual")]
    pub(crate) virtual_time: bool,

    /// The image that the simulated rack boots
    #[arg(long, value_name = "IMAGE", requires = "virtual_time")]
    pub(crate) image: Option<PathBuf>,

    /// The size of the simulated image, if IMAGE is not given
    #[arg(long, value_name = "MIB", default_value_t = 64, requires = "virtual_time")]
    pub(crate) size: u32,

    /// The rate of the simulated switch's ports
    #[arg(long, value_name = "RATE", default_value = "1Gbit", requires = "virtual_time")]
    pub(crate) rate: BitRate,

    /// The rate of the simulated server's port, if it differs
    #[arg(long, value_name = "RATE", requires = "virtual_time")]
    pub(crate) server_rate: Option<BitRate>,

    /// Frames that each port of the simulated switch can queue
    #[arg(long, value_name = "FRAMES", default_value_t = 256, requires = "virtual_time")]
    pub(crate) queue: usize,

    /// The share of frames that are lost on the way to a simulated sled
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent, requires = "virtual_time")]
    pub(crate) loss: f64,

    /// The seed of the simulation: equal seeds give equal results
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Simulate the replaced tool as well
    #[arg(long, requires = "virtual_time")]
    pub(crate) compare: bool,

    /// Have the simulated sleds boot in step, and compare that with one by one
    #[arg(long, requires = "virtual_time")]
    pub(crate) together: bool,

    /// Simulate all the scenarios by which the server is judged; with --together those of sleds in
    /// step, with the bounds that they are held to
    #[arg(long, requires = "virtual_time", conflicts_with_all = ["queue", "loss", "server_rate", "compare"])]
    pub(crate) judge: bool,
}

const EXAMPLES: &str = "\
Examples:
  sledsim net1                                      boot one sled
  sledsim net1 --sleds 32 --csum boot_image_csum    a rack, which takes no other image
  sledsim --virtual --sleds 32 --size 1200 --rate 10Gbit --loss 0.1
                                                    how long would my rack take?

Each sled reads the whole image as a real one does, and checks its SHA-256. A table on stdout
shows how each boot went. The exit status is 0 if every sled booted.";

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn pause(text: &str) -> Result<(Duration, Duration), String> {
    let numbers = text.split_once('/').and_then(|(pause, every)| {
        let every = every.parse().ok().filter(|&ms: &u64| ms > 0)?;
        Some((Duration::from_micros(pause.parse().ok()?), Duration::from_millis(every)))
    });
    numbers.ok_or_else(|| "expected US/MS, as in 20000/500".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    let percent: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=100.0).contains(&percent) { Ok(percent) } else { Err("not 0 to 100".to_owned()) }
}
