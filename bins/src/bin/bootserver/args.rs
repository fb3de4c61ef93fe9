//! The command line, and what it says once it has been checked.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use boot_backends::TxPath;
use boot_format::wire::{BLOCK, DATA_HEAD_LEN, MacAddr};
use boot_netboot::server::{Pace, Serve, Together};
use boot_netboot::sim::wire_bytes;
use boot_tools::service::{Assignment, FetchOptions, ServeOptions};
use boot_tools::units::{BitRate, Bytes};
use clap::{Parser, ValueHint};

/// Serve boot images to sleds that ask for one on an Ethernet link.
#[derive(Debug, Parser)]
#[command(
    name = "bootserver",
    version,
    override_usage = "bootserver [OPTIONS] <LINK> <IMAGE> <MAC>...\n       \
                      bootserver --demo [SLEDS] [IMAGE]",
    after_long_help = EXAMPLES
)]
pub(crate) struct Args {
    /// The Ethernet link to listen on, or several, separated by commas
    #[arg(required_unless_present = "demo")]
    link: Option<String>,

    /// A boot image made by mkimage; may be left out if there is an --image or --assign
    #[arg(value_hint = ValueHint::FilePath)]
    image: Option<PathBuf>,

    /// The Ethernet address of a sled, or several of them; `any` serves only the first sled that
    /// says HELLO; `all` serves every sled at the same time
    #[arg(value_name = "MAC", value_delimiter = ',')]
    sleds: Vec<Who>,

    /// Exit with success once the boot is done: that of each named address or, with `all`, once
    /// at least one sled has booted and none is booting. If only one sled is served, a missing
    /// image or an unexpected READ is a failure
    #[arg(short = 's', long)]
    stop: bool,

    /// Fail if no sled that is served has been heard from for this long, counted from the start
    /// and from each frame
    #[arg(short = 't', long, value_name = "SECONDS")]
    timeout: Option<Seconds>,

    /// Another image, or a folder of images. Each sled is offered one after another until it
    /// takes one, starting with the one that it took last time
    #[arg(long = "image", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    images: Vec<PathBuf>,

    /// Offer the sled MAC the image PATH and no other. LINK/MAC=PATH applies to that sled on
    /// that link, and takes precedence
    #[arg(long = "assign", value_name = "[LINK/]MAC=PATH")]
    assigned: Vec<Assignment>,

    /// Keep in FILE which sled, by link and address, took which image, and read it at the start
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    state: Option<PathBuf>,

    /// Map images instead of reading them into memory, for machines that are short of it. A file
    /// in service may then be replaced, but not written to: the new bytes would be sent, and
    /// cutting the file short ends the boots that need the rest. Compressed images are read into
    /// memory all the same
    #[arg(long)]
    map: bool,

    /// How frames leave: `auto` picks the cheapest path that works here, `mmsg` (sendmmsg) works
    /// everywhere, `uring` needs io_uring, `xdp` AF_XDP. Only `xdp` attaches an XDP program to a
    /// card that needs one for zero-copy, which resets most cards at the start and at the end
    #[arg(long, value_name = "PATH", default_value_t)]
    tx: TxPath,

    /// Threads that serve each link; the kernel spreads the sleds among them. The default is half
    /// the number of cores, shared by the links, and 1 for a single sled
    #[arg(long, value_name = "N", value_parser = workers)]
    workers: Option<NonZeroUsize>,

    /// Serve LINK even if another process on this host already does: sleds that both serve are
    /// answered twice. (Only Linux refuses such a second start.)
    #[arg(long)]
    share_link: bool,

    /// How fast to send on each link: `auto` finds the rate that the link carries, in all and to
    /// each sled; a rate such as 9.4Gbit sets a limit on top; `max` sends as fast as the link
    /// takes frames, however many are lost behind it
    #[arg(long, value_name = "RATE", default_value = "auto", value_parser = pace)]
    rate: Pace,

    /// Boot sleds that want the same image in step: each batch is broadcast once, to all of them.
    /// For a segment that is theirs alone: every other port of it gets these frames too. Where it
    /// would be slower, sleds are served one by one
    #[arg(long)]
    together: bool,

    /// How long sleds wait for others, from the first HELLO on
    #[arg(long, value_name = "SECONDS", default_value = "6", requires = "together")]
    gather: Seconds,

    /// Wait no longer once N sleds are there; if several MACs are named, N is their number
    #[arg(long, value_name = "N", requires = "together")]
    expect: Option<NonZeroUsize>,

    /// Log nothing about single sleds
    #[arg(short, long)]
    quiet: bool,

    /// Boot simulated sleds (8, or SLEDS) from IMAGE, or from an image made on the spot, over a
    /// segment inside this process, in real time; needs neither root nor hardware
    #[arg(long)]
    demo: bool,

    /// Keep in DIR what is fetched. An image may be a URL then: https://, http://, s3://BUCKET/KEY
    /// or file:///; one that ends in .channel is a signed list of images, one in `/` a folder of
    /// them, and one in #sha256=SUM the image with this checksum and no other
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    cache: Option<PathBuf>,

    /// How much all images in the cache may take; images that are no longer in service are removed
    /// to make room, the oldest first
    #[arg(long, value_name = "SIZE", default_value = "16GiB", requires = "cache")]
    cache_size: Bytes,

    /// How often to look for something newer at each URL; SIGHUP looks at once
    #[arg(long, value_name = "SECONDS", default_value = "60", requires = "cache")]
    refresh: Seconds,

    /// A minisign key that signs channels, or a file of one; may be given several times
    #[arg(long = "channel-key", value_name = "KEY", requires = "cache")]
    channel_keys: Vec<String>,
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

/// A checked command line.
#[derive(Debug)]
pub(crate) enum Options {
    Serve(Box<ServeOptions>),
    Demo { sleds: usize, image: Option<PathBuf> },
}

/// A time in seconds, with or without a fraction.
#[derive(Clone, Copy, Debug)]
struct Seconds(Duration);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds: f64 = text
            .strip_suffix('s')
            .unwrap_or(text)
            .parse()
            .map_err(|_| "not a number".to_owned())?;
        match Duration::try_from_secs_f64(seconds) {
            Ok(time) if !time.is_zero() => Ok(Self(time)),
            _ => Err("must be more than zero".to_owned()),
        }
    }
}

impl TryFrom<Args> for Options {
    type Error = anyhow::Error;

    fn try_from(args: Args) -> anyhow::Result<Self> {
        if args.demo {
            demo(args)
        } else {
            serve(args).map(|options| Options::Serve(Box::new(options)))
        }
    }
}

impl Options {
    /// Sleds in a demonstration, if none are asked for.
    const DEMO_SLEDS: usize = 8;
    const MOST_DEMO_SLEDS: usize = 256;
}

/// LINK and IMAGE are SLEDS and IMAGE here, each of which may be left out.
fn demo(args: Args) -> anyhow::Result<Options> {
    ensure!(args.sleds.is_empty(), "--demo takes SLEDS and IMAGE at most");
    let (sleds, image) = match (args.link, args.image) {
        (None, image) => (None, image),
        (Some(one), None) => match one.parse::<usize>() {
            Ok(sleds) => (Some(sleds), None),
            Err(_) => (None, Some(one.into())),
        },
        (Some(sleds), image) => {
            (Some(sleds.parse().with_context(|| format!("SLEDS {sleds:?}"))?), image)
        }
    };
    let sleds = sleds.unwrap_or(Options::DEMO_SLEDS);
    let most = Options::MOST_DEMO_SLEDS;
    ensure!((1..=most).contains(&sleds), "--demo boots 1 to {most} sleds, not {sleds}");
    Ok(Options::Demo { sleds, image })
}

fn serve(args: Args) -> anyhow::Result<ServeOptions> {
    let links = args.link.context("which LINK? (see --help)")?;
    let (mut images, mut sleds) = (args.images, args.sleds);
    if let Some(image) = args.image {
        // With --image, IMAGE may be left out: what then stands in its place says who is served.
        match image.to_str().filter(|_| !images.is_empty()).map(several) {
            Some(Ok(first)) => drop(sleds.splice(..0, first)),
            _ => images.insert(0, image),
        }
    }
    ensure!(!images.is_empty() || !args.assigned.is_empty(), "which IMAGE? (see --help)");
    let serve = everyone(&sleds)?;
    let together = together(args.together, args.gather, args.expect, &serve)?;
    let several = args.workers.is_some_and(|workers| workers.get() > 1);
    ensure!(together.is_none() || !several, "--workers: with --together, each link has one");
    Ok(ServeOptions {
        links,
        images,
        assigned: args.assigned,
        serve,
        stop: args.stop,
        timeout: args.timeout.map(|seconds| seconds.0),
        state: args.state,
        quiet: args.quiet,
        map: args.map,
        tx: args.tx,
        share_link: args.share_link,
        workers: args.workers,
        pace: args.rate,
        together,
        fetch: FetchOptions {
            cache: args.cache,
            cache_size: args.cache_size.0,
            refresh: args.refresh.0,
            channel_keys: args.channel_keys,
        },
    })
}

/// How sleds are gathered, if they are to boot in step.
fn together(
    wanted: bool,
    Seconds(gather): Seconds,
    expect: Option<NonZeroUsize>,
    serve: &Serve,
) -> anyhow::Result<Option<Together>> {
    let named = match serve {
        Serve::These(sleds) => Some(sleds.len()),
        Serve::First => Some(1),
        Serve::All => None,
    };
    ensure!(!wanted || named != Some(1), "--together: there is only one sled to serve");
    let expect = expect.map(NonZeroUsize::get).or(named);
    Ok(wanted.then_some(Together { gather, expect }))
}

fn workers(text: &str) -> Result<NonZeroUsize, String> {
    /// What Linux spreads a link's frames over at most.
    const MOST: usize = 256;
    let count: NonZeroUsize = text.parse().map_err(|error| format!("{error}"))?;
    if count.get() > MOST { Err(format!("at most {MOST} for a link")) } else { Ok(count) }
}

fn pace(text: &str) -> Result<Pace, String> {
    match text {
        "auto" => Ok(Pace::Auto),
        "max" => Ok(Pace::Unlimited),
        _ => {
            let rate: BitRate =
                text.parse().map_err(|error| format!("`auto`, `max`, or a rate: {error}"))?;
            Ok(Pace::AtMost(rate.bits_per_second() as f64 / DATA_BITS))
        }
    }
}

/// What a DATA frame takes of the wire, with preamble, FCS and gap.
const DATA_BITS: f64 = (8 * wire_bytes(DATA_HEAD_LEN + BLOCK)) as f64;

fn everyone(sleds: &[Who]) -> anyhow::Result<Serve> {
    match sleds {
        [] => bail!("which sleds? MAC is an address, `any` or `all` (see --help)"),
        [Who::Any] => return Ok(Serve::First),
        [Who::All] => return Ok(Serve::All),
        _ => {}
    }
    let addresses = sleds.iter().map(|who| match who {
        Who::Any => bail!("`any` cannot be combined with other sleds"),
        Who::All => bail!("`all` cannot be combined with other sleds"),
        Who::Sled(address) => Ok(*address),
    });
    addresses.collect::<Result<_, _>>().map(Serve::These)
}

/// Whom MAC names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
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

/// Everybody whom one word names.
fn several(text: &str) -> Result<Vec<Who>, String> {
    text.split(',').map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn options(line: &str) -> anyhow::Result<ServeOptions> {
        let args = Args::try_parse_from(format!("bootserver {line}").split(' '))?;
        match Options::try_from(args)? {
            Options::Serve(options) => Ok(*options),
            Options::Demo { .. } => bail!("a demonstration"),
        }
    }

    #[test]
    fn the_line_of_old_still_works() {
        let options = options("-s -t 5 net0 zfs.img a8:40:25:0:0:1").unwrap();
        assert!(options.stop);
        assert_eq!(options.timeout, Some(Duration::from_secs(5)));
        assert_eq!(options.links, "net0");
        assert_eq!(options.images, [PathBuf::from("zfs.img")]);
        let sled = "a8:40:25:00:00:01".parse().unwrap();
        assert_eq!(options.serve, Serve::These(BTreeSet::from([sled])));
    }

    #[test]
    fn the_image_may_be_named_by_option_instead() {
        let given = options("net0,net1 --image a --image b all").unwrap();
        assert_eq!(given.images, [PathBuf::from("a"), PathBuf::from("b")]);
        assert_eq!((given.links.as_str(), given.serve), ("net0,net1", Serve::All));
        let given = options("net0 --image a 2:0:0:0:0:1,2:0:0:0:0:2 2:0:0:0:0:3").unwrap();
        assert!(matches!(given.serve, Serve::These(sleds) if sleds.len() == 3));
        let given = options("net0 c --image a any").unwrap();
        assert_eq!(given.images, [PathBuf::from("c"), PathBuf::from("a")]);
    }

    #[test]
    fn a_rate_is_of_the_wire() {
        assert_eq!(options("net0 i all").unwrap().pace, Pace::Auto);
        let limited = options("--rate 1Gbit net0 i all").unwrap().pace;
        assert!(matches!(limited, Pace::AtMost(rate) if (115_520.0..115_530.0).contains(&rate)));
    }

    #[test]
    fn several_sleds_can_be_named() {
        let given = options("net0 i 02:00:00:00:00:01,02:00:00:00:00:02 02:00:00:00:00:03");
        assert!(matches!(given.unwrap().serve, Serve::These(sleds) if sleds.len() == 3));
    }

    #[test]
    fn sleds_are_gathered_for_a_time_or_until_all_that_are_named_are_there() {
        assert_eq!(options("net0 i all").unwrap().together, None);
        let together = |line: &str| options(line).unwrap().together.unwrap();
        let gather = Duration::from_secs(6);
        assert_eq!(together("--together net0 i all"), Together { gather, expect: None });
        let named = "--together net0 i 02:00:00:00:00:01 02:00:00:00:00:02";
        assert_eq!(together(named), Together { gather, expect: Some(2) });
        let given = together("--together --gather 2.5s --expect 32 net0 i all");
        let gather = Duration::from_millis(2500);
        assert_eq!(given, Together { gather, expect: Some(32) });
        assert_eq!(options("--together net0 i all").unwrap().workers(1), 1);
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_reason() {
        for (line, reason) in [
            ("net0", "which IMAGE?"),
            ("net0 zfs.img", "which sleds?"),
            ("net0 zfs.img net1", "net1"),
            ("net0 zfs.img all any", "cannot be combined"),
            ("net0 zfs.img ff:ff:ff:ff:ff:ff", "not the address of a single sled"),
            ("-t 0 net0 zfs.img all", "more than zero"),
            ("--assign x net0 zfs.img all", "no `=`"),
            ("--assign ff:ff:ff:ff:ff:ff=a net0 zfs.img all", "not the address of a single sled"),
            ("--workers 257 net0 zfs.img all", "at most 256"),
            ("--together --workers 2 net0 zfs.img all", "each link has one"),
            ("--together net0 zfs.img any", "only one sled"),
            ("--gather 3 net0 zfs.img all", "--together"),
            ("--rate 5 net0 zfs.img all", "as in 9.4Gbit"),
        ] {
            let error = format!("{:#}", options(line).unwrap_err());
            assert!(error.contains(reason), "{line}: {error}");
        }
    }
}
