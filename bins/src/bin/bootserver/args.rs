//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use boot_backends::TxPath;
use boot_format::wire::MacAddr;
use boot_tools::config::{self, RateOf, Seconds};
use boot_tools::service::{Assignment, Reporting};
use boot_tools::units::Bytes;
use clap::{Parser, ValueHint};

/// Serve boot images to sleds that ask for one on an Ethernet link.
#[derive(Clone, Debug, Parser)]
#[command(
    group = clap::ArgGroup::new("gathers").args(["together", "config"]).multiple(true),
    group = clap::ArgGroup::new("caches").args(["cache", "config"]).multiple(true),
    name = "bootserver",
    version = boot_tools::VERSION,
    override_usage = "bootserver [OPTIONS] <LINK> <IMAGE> <MAC>...\n       \
                      bootserver [OPTIONS] --config <FILE> [LINK [IMAGE [MAC]...]]\n       \
                      bootserver --demo [SLEDS] [IMAGE]",
    after_long_help = EXAMPLES
)]
pub(crate) struct Args {
    /// The Ethernet link to listen on, or several, separated by commas
    #[arg(required_unless_present_any = ["demo", "config"])]
    pub(crate) link: Option<String>,

    /// A boot image made by mkimage; may be left out if there is an --image or --assign
    #[arg(value_hint = ValueHint::FilePath)]
    pub(crate) image: Option<PathBuf>,

    /// The Ethernet address of a sled, or several of them; `any` serves only the first sled that
    /// says HELLO; `all` serves every sled at the same time
    #[arg(value_name = "MAC", value_delimiter = ',')]
    pub(crate) sleds: Vec<Who>,

    /// Exit with success once the boot is done: that of each named address or, with `all`, once
    /// at least one sled has booted and none is booting. If only one sled is served, a missing
    /// image or an unexpected READ is a failure
    #[arg(short = 's', long)]
    pub(crate) stop: bool,

    /// Fail if no sled that is served has been heard from for this long, counted from the start
    /// and from each frame
    #[arg(short = 't', long, value_name = "SECONDS")]
    pub(crate) timeout: Option<Seconds>,

    /// Another image, or a folder of images. Each sled is offered one after another until it
    /// takes one, starting with the one that it took last time
    #[arg(long = "image", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub(crate) images: Vec<PathBuf>,

    /// Offer the sled MAC the image PATH and no other. LINK/MAC=PATH applies to that sled on
    /// that link, and takes precedence
    #[arg(long = "assign", value_name = "[LINK/]MAC=PATH")]
    pub(crate) assigned: Vec<Assignment>,

    /// Read from FILE, in TOML, what to serve to whom; the command line overrides it.
    /// SIGHUP reads it again
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "demo")]
    pub(crate) config: Option<PathBuf>,

    /// Check the configuration, print what would be served, and exit
    #[arg(long, requires = "config")]
    pub(crate) check_config: bool,

    /// Keep in FILE which sled, by link and address, took which image, and read it at the start
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) state: Option<PathBuf>,

    /// Map images instead of reading them into memory, for machines that are short of it. A file
    /// in service may then be replaced, but not written to: the new bytes would be sent, and
    /// cutting the file short ends the boots that need the rest. Compressed images are read into
    /// memory all the same
    #[arg(long)]
    pub(crate) map: bool,

    /// How frames leave: `auto` picks the cheapest path that works here, `mmsg` (sendmmsg) works
    /// everywhere, `uring` needs io_uring, `xdp` AF_XDP. Only `xdp` attaches an XDP program to a
    /// card that needs one for zero-copy, which resets most cards at the start and at the end.
    /// [default: auto]
    #[arg(long, value_name = "PATH")]
    pub(crate) tx: Option<TxPath>,

    /// Threads that serve each link; the kernel spreads the sleds among them. The default is half
    /// the number of cores, shared by the links, and 1 for a single sled
    #[arg(long, value_name = "N", value_parser = workers)]
    pub(crate) workers: Option<NonZeroUsize>,

    /// Serve LINK even if another process on this host already does: sleds that both serve are
    /// answered twice. (Only Linux refuses such a second start.)
    #[arg(long)]
    pub(crate) share_link: bool,

    /// Become this user once links and sockets are open. Only root can; a server started by another
    /// user keeps no privilege either
    #[arg(long, value_name = "NAME", value_hint = ValueHint::Username)]
    pub(crate) user: Option<String>,

    /// How fast to send on each link: `auto` finds the rate that the link carries, in all and to
    /// each sled; a rate such as 9.4Gbit sets a limit on top; `max` sends as fast as the link
    /// takes frames, however many are lost behind it. LINK=RATE applies to that link, and takes
    /// precedence; may be given several times. [default: auto]
    #[arg(long = "rate", value_name = "[LINK=]RATE")]
    pub(crate) rates: Vec<RateOf>,

    /// Boot sleds that want the same image in step: each batch is broadcast once, to all of them.
    /// For a segment that is theirs alone: every other port of it gets these frames too. Where it
    /// would be slower, sleds are served one by one
    #[arg(long)]
    pub(crate) together: bool,

    /// How long sleds wait for others, from the first HELLO on. [default: 6]
    #[arg(long, value_name = "SECONDS", requires = "gathers")]
    pub(crate) gather: Option<Seconds>,

    /// Wait no longer once N sleds are there; if several MACs are named, N is their number
    #[arg(long, value_name = "N", requires = "gathers")]
    pub(crate) expect: Option<NonZeroUsize>,

    /// Log nothing about individual sleds
    #[arg(short, long)]
    pub(crate) quiet: bool,

    /// Boot simulated sleds (8, or SLEDS) from IMAGE, or from an image made on the spot, over a
    /// segment inside this process, in real time; needs neither root nor hardware
    #[arg(long)]
    pub(crate) demo: bool,

    /// Keep in DIR what is fetched. An image may be a URL then: https://, http://, s3://BUCKET/KEY
    /// or file:///; one that ends in .channel is a signed list of images, one in `/` a folder of
    /// them, and one in #sha256=SUM the image with this checksum and no other
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub(crate) cache: Option<PathBuf>,

    /// How much all images in the cache may take; images that are no longer in service are removed
    /// to make room, the oldest first. [default: 16GiB]
    #[arg(long, value_name = "SIZE", requires = "caches")]
    pub(crate) cache_size: Option<Bytes>,

    /// How often to look for something newer at each URL; SIGHUP looks at once. [default: 60]
    #[arg(long, value_name = "SECONDS", requires = "caches")]
    pub(crate) refresh: Option<Seconds>,

    /// A minisign key that signs channels, or a file of one; may be given several times
    #[arg(long = "channel-key", value_name = "KEY", requires = "caches")]
    pub(crate) channel_keys: Vec<String>,

    #[command(flatten)]
    pub(crate) reporting: Reporting,
}

const EXAMPLES: &str = "\
Examples:
  bootserver --demo                      boot 8 simulated sleds, here and now
  bootserver net0 zfs.img all            serve every sled on net0
  bootserver -s -t 60 net0 zfs.img any   boot one sled; fail if none shows up in 60 s
  bootserver net0 --image images/ all    offer each sled one image after another

The image is read and checked once. When its file changes, later boots get the new one; SIGHUP
has all images checked again. The log, a line per event, goes to stderr. SIGUSR1 adds what each
link has sent, dropped and received; the same comes at the end.";

fn workers(text: &str) -> Result<NonZeroUsize, String> {
    let count: usize = text.parse().map_err(|error| format!("{error}"))?;
    config::workers(count)
}

/// Which sleds MAC names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Any,
    All,
    Sled(MacAddr),
}

impl FromStr for Who {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "any" => Ok(Self::Any),
            "all" => Ok(Self::All),
            _ => {
                let address: MacAddr =
                    text.parse().map_err(|error| format!("neither `any` nor `all`: {error}"))?;
                if !address.is_station() {
                    return Err("it is not the address of a single sled".to_owned());
                }
                Ok(Self::Sled(address))
            }
        }
    }
}
