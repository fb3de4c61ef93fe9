//! `bootserver`'s configuration file: see `docs/configuration.md`.

mod fault;
mod links;
mod section;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::anyhow;
use boot_backends::TxPath;
use boot_format::wire::MacAddr;
use boot_netboot::server::Pace;

pub use self::fault::ConfigError;
use self::section::{Found, Section, Source};
pub use self::values::{RateOf, Seconds, pace, shown_pace, workers};
use crate::service::{LinkRate, Reporting, SledAt, SledEntry, check_control, command};
use crate::small;
use crate::units::Bytes;

/// What a file says. What it leaves out is `None`, or empty.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The links to serve, each by any of its names.
    pub links: Vec<String>,
    /// Images and folders of images that every sled is offered.
    pub images: Vec<PathBuf>,
    /// Which sleds are served.
    pub serve: Option<Whom>,
    /// The sleds that are listed.
    pub sleds: Vec<SledEntry>,
    /// The file that keeps which sled took which image.
    pub state: Option<PathBuf>,
    /// Whether to map images.
    pub map: Option<bool>,
    /// How frames leave.
    pub tx: Option<TxPath>,
    /// How fast to send on each link.
    pub rate: Option<Pace>,
    /// How fast to send on links that are listed.
    pub link_rates: Vec<LinkRate>,
    /// How many threads serve each link.
    pub workers: Option<NonZeroUsize>,
    /// How long no sled may be heard from.
    pub timeout: Option<Duration>,
    /// Whether to end once the boots are done.
    pub stop: Option<bool>,
    /// Whether another process may serve the same links.
    pub share_link: Option<bool>,
    /// The user that the server becomes once links are open.
    pub user: Option<String>,
    /// Whether to log nothing about individual sleds.
    pub quiet: Option<bool>,
    /// How sleds are gathered, if they boot in step.
    pub together: Option<Gathering>,
    /// The folder that keeps what is fetched.
    pub cache: Option<PathBuf>,
    /// The most bytes of all images in it.
    pub cache_size: Option<Bytes>,
    /// How often to look for something newer at each URL.
    pub refresh: Option<Duration>,
    /// Keys that sign channels, themselves or in files.
    pub channel_keys: Vec<String>,
    /// How events are reported.
    pub reporting: Reporting,
}

/// Which sleds a file has served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Every sled.
    All,
    /// The first that says HELLO.
    Any,
    /// Those that the file lists.
    Listed,
}

/// How sleds that boot in step are gathered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gathering {
    /// How long they wait for others.
    pub gather: Option<Duration>,
    /// How many are waited for.
    pub expect: Option<NonZeroUsize>,
}

impl Gathering {
    /// This, with `other`'s values where it has none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self { gather: self.gather.or(other.gather), expect: self.expect.or(other.expect) }
    }
}

impl Config {
    /// Reads the file at `path`. Relative paths in it start at its folder.
    ///
    /// # Errors
    ///
    /// If it can't be read, or with everything that is wrong with it.
    pub fn read(path: &Path) -> anyhow::Result<Self> {
        /// Thousands of sleds take less.
        const MOST_BYTES: u64 = 4 << 20;
        let failed = |text: String| anyhow!("{}: {text}", path.display());
        match small::read_text(path, MOST_BYTES).map_err(|error| failed(error.to_string()))? {
            Some(text) => Ok(Self::parse(path, &text)?),
            None => Err(failed(format!("more than {MOST_BYTES} bytes, so no configuration"))),
        }
    }

    /// The configuration in `text`, the file at `path`.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        Self::parse_with_keys(path, text).map(|(config, _)| config)
    }

    /// What `text` says, and all keys that there are: of tables only if there is one in it.
    fn parse_with_keys(path: &Path, text: &str) -> Result<(Self, BTreeSet<String>), ConfigError> {
        let folder = path.parent().unwrap_or(Path::new(""));
        let source = Source::new(text);
        let config = source.root().map(|root| read(root, &source, path, folder));
        let (faults, keys) = source.end();
        match config {
            Some(config) if faults.is_empty() => Ok((config, keys)),
            _ => Err(ConfigError { path: path.to_owned(), faults }),
        }
    }
}

const FLAG: &str = "true or false";
const RATE: &str = "auto, max, or a rate as in \"9.4Gbit\"";

fn read(mut root: Section<'_, '_>, source: &Source<'_>, path: &Path, folder: &Path) -> Config {
    let links = root.list("links", "the name of a link", link);
    let images = root.list("images", "the path or URL of an image or a folder", |text| {
        values::image(folder, text)
    });
    let serve = root.parsed("serve", "one of all, any and listed", whom);
    let state = root.parsed("state", "the path of a file", |text| values::place(folder, text));
    let map = root.value("map", FLAG);
    let tx = root.parsed("tx", "one of auto, mmsg, uring and xdp", tx_path);
    let rate = root.parsed("rate", RATE, pace);
    let workers = count(&mut root, source, "workers", workers);
    let timeout = seconds(&mut root, source, "timeout");
    let stop = root.value("stop", FLAG);
    let share_link = root.value("share-link", FLAG);
    let user = root.value("user", "the name of a user");
    let quiet = root.value("quiet", FLAG);
    let cache = root.parsed("cache", "the path of a folder", |text| values::place(folder, text));
    let cache_size = root.parsed("cache-size", "a size as in \"16GiB\"", str::parse);
    let refresh = seconds(&mut root, source, "refresh");
    let channel_keys = root.list("channel-keys", "a minisign key, or the path of one", |text| {
        values::channel_key(folder, text)
    });
    let reporting = reporting(&mut root, source, folder);
    let together = root.section("together").map(|mut section| {
        let gather = seconds(&mut section, source, "gather");
        let expect = count(&mut section, source, "expect", |count| {
            NonZeroUsize::new(count).ok_or_else(|| "at least 1".to_owned())
        });
        section.end();
        Gathering { gather, expect: expect.map(|found| found.value) }
    });
    let link_rates = links::rates(&mut root, source, path);
    let sleds = sleds(&mut root, source, path, folder);
    root.end();
    if let Some(serve) = serve.as_ref().filter(|serve| serve.value == Whom::Listed)
        && sleds.is_empty()
    {
        source.refuse(serve, "found \"listed\", expected at least one [[sled]]".to_owned());
    }
    if let Some(workers) = workers.as_ref().filter(|workers| workers.value.get() > 1)
        && together.is_some()
    {
        let text = format!("found {}: with [together], each link has one", workers.value);
        source.refuse(workers, text);
    }
    Config {
        links: values_of(links),
        images: values_of(images),
        serve: serve.map(|found| found.value),
        sleds,
        state: state.map(|found| found.value),
        map: map.map(|found| found.value),
        tx: tx.map(|found| found.value),
        rate: rate.map(|found| found.value),
        link_rates,
        workers: workers.map(|found| found.value),
        timeout,
        stop: stop.map(|found| found.value),
        share_link: share_link.map(|found| found.value),
        user: user.map(|found| found.value),
        quiet: quiet.map(|found| found.value),
        together,
        cache: cache.map(|found| found.value),
        cache_size: cache_size.map(|found| found.value),
        refresh,
        channel_keys: values_of(channel_keys),
        reporting,
    }
}

/// How events are reported.
fn reporting(root: &mut Section<'_, '_>, source: &Source<'_>, folder: &Path) -> Reporting {
    let log = root.parsed("log", "text or json", values::one_of);
    let log_level = root.parsed("log-level", "error, warn, info or debug", values::one_of);
    let on_finish = root.parsed("on-finish", "a command for sh", command);
    let on_fail = root.parsed("on-fail", "a command for sh", command);
    let status = root.parsed("status", "an address with a port, or the path of a socket", |text| {
        values::status(folder, text)
    });
    let control = root.value("control", FLAG);
    // Without a status, the command line may have one.
    if let (Some(control), Some(status)) = (&control, &status)
        && control.value
        && let Err(reason) = check_control(Some(&status.value))
    {
        source.refuse(control, format!("found true: {reason}"));
    }
    Reporting {
        log: log.map(|found| found.value),
        log_level: log_level.map(|found| found.value),
        on_finish: on_finish.map(|found| found.value),
        on_fail: on_fail.map(|found| found.value),
        status: status.map(|found| found.value),
        control: control.is_some_and(|found| found.value),
    }
}

fn values_of<T>(found: Option<Vec<Found<T>>>) -> Vec<T> {
    found.into_iter().flatten().map(|found| found.value).collect()
}

fn link(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("expected the name of a link".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

fn tx_path(text: &str) -> Result<TxPath, String> {
    text.parse().map_err(|error| format!("{error}"))
}

fn whom(text: &str) -> Result<Whom, String> {
    match text {
        "all" => Ok(Whom::All),
        "any" => Ok(Whom::Any),
        "listed" => Ok(Whom::Listed),
        _ => Err("expected one of \"all\", \"any\" and \"listed\"".to_owned()),
    }
}

fn seconds(
    section: &mut Section<'_, '_>,
    source: &Source<'_>,
    key: &'static str,
) -> Option<Duration> {
    let found = section.value::<f64>(key, "a number of seconds")?;
    match Seconds::new(found.value) {
        Ok(Seconds(time)) => Some(time),
        Err(reason) => {
            source.refuse(&found, format!("found {}: {reason}", found.value));
            None
        }
    }
}

fn count(
    section: &mut Section<'_, '_>,
    source: &Source<'_>,
    key: &'static str,
    check: impl Fn(usize) -> Result<NonZeroUsize, String>,
) -> Option<Found<NonZeroUsize>> {
    let found = section.value::<usize>(key, "a whole number")?;
    match check(found.value) {
        Ok(value) => Some(Found { value, line: found.line, key: found.key }),
        Err(reason) => {
            source.refuse(&found, format!("found {}: {reason}", found.value));
            None
        }
    }
}

/// The sleds, each listed once at most, with a name that no other has.
fn sleds(
    root: &mut Section<'_, '_>,
    source: &Source<'_>,
    path: &Path,
    folder: &Path,
) -> Vec<SledEntry> {
    let mut all: Vec<SledEntry> = Vec::new();
    let mut places: HashMap<SledAt, usize> = HashMap::new();
    let mut names: HashMap<String, (MacAddr, usize)> = HashMap::new();
    for (index, (line, mut section)) in root.sections("sled").into_iter().enumerate() {
        let has_mac = section.has("mac");
        let mac = section.parsed("mac", "an Ethernet address", station);
        let link = section.parsed("link", "the name of a link", link);
        let name = section.parsed("name", "a name", values::name);
        let image = |text: &str| values::image(folder, text);
        let assigned = section.parsed("image", "the path or URL of an image", image);
        let once = section.parsed("once", "the path or URL of an image", image);
        section.end();
        let Some(mac) = mac else {
            if !has_mac {
                let found = Found { value: (), line, key: format!("sled[{index}]") };
                source.refuse(&found, "expected a `mac`, its Ethernet address".to_owned());
            }
            continue;
        };
        let sled = SledAt { link: link.map(|found| found.value), address: mac.value };
        if let Some(before) = places.insert(sled.clone(), mac.line) {
            source.refuse(&mac, format!("{sled} is listed on line {before} already"));
        }
        if let Some(name) = &name {
            let other = names.insert(name.value.clone(), (sled.address, name.line));
            if let Some((_, before)) = other.filter(|(address, _)| *address != sled.address) {
                let text = format!("{:?} is another sled's name, on line {before}", name.value);
                source.refuse(name, text);
            }
        }
        all.push(SledEntry {
            sled,
            name: name.map(|found| found.value.into()),
            image: assigned.map(|found| found.value),
            once: once.map(|found| found.value),
            origin: format!("{}:{}", path.display(), mac.line),
        });
    }
    all
}

fn station(text: &str) -> Result<MacAddr, String> {
    let address: MacAddr = text.parse().map_err(|error| format!("{error}"))?;
    if address.is_station() {
        Ok(address)
    } else {
        Err("it is not the address of a single sled".to_owned())
    }
}
