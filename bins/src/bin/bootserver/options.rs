//! What the command line and the configuration ask for, once both have been checked.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use boot_netboot::server::{Pace, Serve, Together};
use boot_tools::config::{Config, Gathering, RateOf, Seconds, Whom};
use boot_tools::service::{
    Assignment, FetchOptions, LinkRate, Links, Rates, Reread, ServeOptions, SledEntry,
    check_control,
};
use boot_tools::units::Bytes;

use crate::args::{Args, Who};

/// A checked command line.
#[derive(Debug)]
pub(crate) enum Options {
    Serve(Box<ServeOptions>, Option<Reread>),
    Demo { sleds: usize, image: Option<PathBuf> },
}

impl TryFrom<Args> for Options {
    type Error = anyhow::Error;

    fn try_from(args: Args) -> anyhow::Result<Self> {
        if args.demo {
            return demo(args);
        }
        let reread = args.config.is_some().then(|| {
            let args = args.clone();
            Reread::new(move || serve(args.clone()))
        });
        Ok(Self::Serve(Box::new(serve(args)?), reread))
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

/// Merges the command line with the configuration, if there is one; the command line wins.
fn serve(args: Args) -> anyhow::Result<ServeOptions> {
    let config = args.config.as_deref().map(Config::read).transpose()?.unwrap_or_default();
    let links = match args.link {
        Some(line) => Links::Line(line),
        None if config.links.is_empty() => bail!("which LINK? (see --help)"),
        None => Links::List(config.links),
    };
    let (mut images, mut macs) = (args.images, args.sleds);
    if let Some(image) = args.image {
        // With --image, IMAGE may be left out: then the first MAC stands in its place.
        match image.to_str().filter(|_| !images.is_empty()).map(several) {
            Some(Ok(first)) => drop(macs.splice(..0, first)),
            _ => images.insert(0, image),
        }
    }
    if images.is_empty() {
        images = config.images;
    }
    let sleds = entries(args.assigned, config.sleds);
    let has_image = sleds.iter().any(|entry| entry.image.is_some() || entry.once.is_some());
    ensure!(!images.is_empty() || has_image, "which IMAGE? (see --help)");
    let serve = match (macs.as_slice(), args.config.is_some()) {
        ([], true) => listed(config.serve.unwrap_or(Whom::All), &sleds)?,
        (macs, _) => everyone(macs)?,
    };
    let gathering =
        Gathering { gather: args.gather.map(|Seconds(time)| time), expect: args.expect };
    let together = match (args.together, config.together) {
        (false, None) => None,
        (_, other) => Some(gathering.or(other.unwrap_or_default())),
    };
    let together = together.map(|gathering| gather(gathering, &serve)).transpose()?;
    let workers = args.workers.or(config.workers);
    let several = workers.is_some_and(|workers| workers.get() > 1);
    ensure!(together.is_none() || !several, "--workers: with --together, each link has one");
    let refresh = args.refresh.map(|Seconds(time)| time);
    let keys = if args.channel_keys.is_empty() { config.channel_keys } else { args.channel_keys };
    let fetch = FetchOptions {
        cache: args.cache.or(config.cache),
        cache_size: args.cache_size.or(config.cache_size).map_or(CACHE_SIZE, |Bytes(size)| size),
        refresh: refresh.or(config.refresh).unwrap_or(REFRESH),
        channel_keys: keys,
    };
    let rates = rates(args.rates, config.rate, config.link_rates)?;
    let reporting = args.reporting.or(config.reporting);
    if reporting.control {
        check_control(reporting.status.as_ref())
            .map_err(anyhow::Error::msg)
            .context("--control")?;
    }
    Ok(ServeOptions {
        links,
        images,
        sleds,
        serve,
        stop: args.stop || config.stop.unwrap_or_default(),
        timeout: args.timeout.map(|Seconds(time)| time).or(config.timeout),
        state: args.state.or(config.state),
        quiet: args.quiet || config.quiet.unwrap_or_default(),
        map: args.map || config.map.unwrap_or_default(),
        tx: args.tx.or(config.tx).unwrap_or_default(),
        config: args.config,
        user: args.user.or(config.user),
        share_link: args.share_link || config.share_link.unwrap_or_default(),
        workers,
        rates,
        together,
        fetch,
        reporting,
    })
}

/// The defaults, both choices: a dozen images of 1.2 GiB in the cache, and a new image in service
/// within a minute at the cost of one conditional request.
const CACHE_SIZE: u64 = 16 << 30;
const REFRESH: Duration = Duration::from_mins(1);

/// Merges rates: those `given` on the command line replace the configuration's, link by link; one
/// for all links replaces all.
fn rates(
    given: Vec<RateOf>,
    others: Option<Pace>,
    mut links: Vec<LinkRate>,
) -> anyhow::Result<Rates> {
    let origin = || "--rate".to_owned();
    let (single, all): (Vec<_>, Vec<_>) = given.into_iter().partition(|rate| rate.link.is_some());
    ensure!(all.len() <= 1, "--rate: given twice for all links");
    let all = all.first().map(|rate| rate.pace);
    if all.is_some() {
        links.clear();
    }
    for RateOf { link, pace } in single {
        let Some(link) = link else { continue };
        links.retain(|rate| rate.link != link || rate.origin == origin());
        links.push(LinkRate { link, pace, origin: origin() });
    }
    Ok(Rates { others: all.or(others).unwrap_or_default(), links })
}

/// The sleds of the configuration; what is `assigned` on the command line is instead of theirs.
fn entries(assigned: Vec<Assignment>, mut listed: Vec<SledEntry>) -> Vec<SledEntry> {
    let mut others = Vec::new();
    for assignment in assigned {
        match listed.iter_mut().find(|entry| entry.sled == assignment.sled) {
            Some(entry) => {
                (entry.image, entry.once) = (Some(assignment.image), None);
            }
            None => others.push(assignment.into()),
        }
    }
    listed.extend(others);
    listed
}

/// Which of the configuration's sleds are served.
fn listed(whom: Whom, sleds: &[SledEntry]) -> anyhow::Result<Serve> {
    match whom {
        Whom::All => Ok(Serve::All),
        Whom::Any => Ok(Serve::First),
        Whom::Listed => {
            ensure!(!sleds.is_empty(), "serve: \"listed\" needs at least one [[sled]]");
            Ok(Serve::These(sleds.iter().map(|entry| entry.sled.address).collect()))
        }
    }
}

/// How sleds are gathered.
fn gather(Gathering { gather, expect }: Gathering, serve: &Serve) -> anyhow::Result<Together> {
    /// The default.
    const GATHER: Duration = Duration::from_secs(6);
    let named = match serve {
        Serve::These(sleds) => Some(sleds.len()),
        Serve::First => Some(1),
        Serve::All => None,
    };
    ensure!(named != Some(1), "--together: there is only one sled to serve");
    let expect = expect.map(NonZeroUsize::get).or(named);
    Ok(Together { gather: gather.unwrap_or(GATHER), expect })
}

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

/// All that one word names.
fn several(text: &str) -> Result<Vec<Who>, String> {
    text.split(',').map(str::parse).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::Parser;

    use super::*;

    fn options(line: &str) -> anyhow::Result<ServeOptions> {
        let args = Args::try_parse_from(format!("bootserver {line}").split(' '))?;
        match Options::try_from(args)? {
            Options::Serve(options, _) => Ok(*options),
            Options::Demo { .. } => bail!("a demonstration"),
        }
    }

    #[test]
    fn the_line_of_old_still_works() {
        let options = options("-s -t 5 net0 zfs.img a8:40:25:0:0:1").unwrap();
        assert!(options.stop);
        assert_eq!(options.timeout, Some(Duration::from_secs(5)));
        assert_eq!(options.links, Links::Line("net0".to_owned()));
        assert_eq!(options.images, [PathBuf::from("zfs.img")]);
        let sled = "a8:40:25:00:00:01".parse().unwrap();
        assert_eq!(options.serve, Serve::These(BTreeSet::from([sled])));
    }

    #[test]
    fn the_image_may_be_named_by_option_instead() {
        let given = options("net0,net1 --image a --image b all").unwrap();
        assert_eq!(given.images, [PathBuf::from("a"), PathBuf::from("b")]);
        let links = Links::Line("net0,net1".to_owned());
        assert_eq!((given.links, given.serve), (links, Serve::All));
        let given = options("net0 --image a 2:0:0:0:0:1,2:0:0:0:0:2 2:0:0:0:0:3").unwrap();
        assert!(matches!(given.serve, Serve::These(sleds) if sleds.len() == 3));
        let given = options("net0 c --image a any").unwrap();
        assert_eq!(given.images, [PathBuf::from("c"), PathBuf::from("a")]);
    }

    #[test]
    fn a_rate_is_of_the_wire() {
        assert_eq!(options("net0 i all").unwrap().rates, Rates::default());
        let limited = options("--rate 1Gbit net0 i all").unwrap().rates.others;
        assert!(matches!(limited, Pace::AtMost(rate) if (115_520.0..115_530.0).contains(&rate)));
    }

    #[test]
    fn a_rate_on_the_command_line_replaces_that_of_the_file() {
        let file = |link: &str| LinkRate {
            link: link.to_owned(),
            pace: Pace::Unlimited,
            origin: "b.toml:3".to_owned(),
        };
        let merged = |given: &str| {
            let given = given.split_whitespace().map(|text| text.parse().unwrap()).collect();
            let merged = rates(given, Some(Pace::Unlimited), vec![file("net0"), file("a=b")]);
            let Rates { others, links } = merged.unwrap();
            (others, links.into_iter().map(|rate| (rate.link, rate.pace)).collect::<Vec<_>>())
        };
        let owned = |link: &str, pace| (link.to_owned(), pace);
        let [net0, other] = ["net0", "a=b"].map(|link| owned(link, Pace::Unlimited));
        assert_eq!(merged(""), (Pace::Unlimited, vec![net0.clone(), other]));
        assert_eq!(merged("auto"), (Pace::Auto, vec![]));
        let other = owned("a=b", Pace::Auto);
        assert_eq!(merged("a=b=auto"), (Pace::Unlimited, vec![net0, other.clone()]));
        assert_eq!(merged("a=b=auto auto"), (Pace::Auto, vec![other]));
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
            ("--control net0 zfs.img all", "the socket of --status"),
            ("--control --status [::1]:80 net0 zfs.img all", "in the place of [::1]:80"),
            ("--rate 5 net0 zfs.img all", "as in 9.4Gbit"),
            ("--rate =1Gbit net0 zfs.img all", "no LINK before"),
            ("--rate net0=5 net0 zfs.img all", "as in 9.4Gbit"),
            ("--rate auto --rate max net0 zfs.img all", "given twice for all links"),
        ] {
            let error = format!("{:#}", options(line).unwrap_err());
            assert!(error.contains(reason), "{line}: {error}");
        }
    }
}
