//! Values that the command line and the configuration file have in common.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use boot_format::wire::{BLOCK, DATA_HEAD_LEN};
use boot_netboot::server::Pace;
use boot_netboot::sim::wire_bytes;
use clap::ValueEnum;

use crate::fetch;
use crate::service::StatusAddress;
use crate::units::BitRate;

/// A time in seconds, with or without a fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seconds(pub Duration);

impl Seconds {
    /// A time of `seconds`.
    ///
    /// # Errors
    ///
    /// If it is not more than zero, or not a time.
    pub fn new(seconds: f64) -> Result<Self, String> {
        match Duration::try_from_secs_f64(seconds) {
            Ok(time) if !time.is_zero() => Ok(Self(time)),
            _ => Err("must be more than zero".to_owned()),
        }
    }
}

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let seconds = text.strip_suffix('s').unwrap_or(text).parse();
        Self::new(seconds.map_err(|_| "not a number".to_owned())?)
    }
}

/// The workers of a link.
///
/// # Errors
///
/// If `count` is out of range.
pub fn workers(count: usize) -> Result<NonZeroUsize, String> {
    /// The most that Linux spreads a link's frames over.
    const MOST: usize = 256;
    match NonZeroUsize::new(count) {
        None => Err("at least 1 for a link".to_owned()),
        Some(count) if count.get() > MOST => Err(format!("at most {MOST} for a link")),
        Some(count) => Ok(count),
    }
}

/// What a DATA frame takes of the wire, with preamble, FCS and gap.
const DATA_BITS: f64 = (8 * wire_bytes(DATA_HEAD_LEN + BLOCK)) as f64;

/// How fast to send: `auto`, `max`, or a limit such as `9.4Gbit`.
///
/// # Errors
///
/// If it is none of these.
pub fn pace(text: &str) -> Result<Pace, String> {
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

/// A pace as [`pace`] reads it.
pub fn shown_pace(pace: Pace) -> String {
    match pace {
        Pace::Auto => "auto".to_owned(),
        Pace::Unlimited => "max".to_owned(),
        Pace::AtMost(rate) => BitRate::new((rate * DATA_BITS).round() as u64).to_string(),
    }
}

/// How fast to send, on all links or on one: `[LINK=]RATE`.
#[derive(Clone, Debug, PartialEq)]
pub struct RateOf {
    /// The link, if it is for one.
    pub link: Option<String>,
    /// How fast.
    pub pace: Pace,
}

impl FromStr for RateOf {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A link's name may contain `=` too, a rate can't.
        let (link, rate) = match text.rsplit_once('=') {
            Some(("", _)) => return Err("no LINK before the `=`".to_owned()),
            Some((link, rate)) => (Some(link.to_owned()), rate),
            None => (None, text),
        };
        Ok(Self { link, pace: pace(rate)? })
    }
}

/// The file or folder that `text` names, seen from `folder`.
pub(super) fn place(folder: &Path, text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("expected a path".to_owned()) } else { Ok(folder.join(text)) }
}

/// The file or folder that `text` names, seen from `folder`; or the URL that it is.
pub(super) fn image(folder: &Path, text: &str) -> Result<PathBuf, String> {
    match fetch::is_url(Path::new(text)) {
        Ok(true) => Ok(text.into()),
        Ok(false) => place(folder, text),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// Where the status service listens; a socket's path is seen from `folder`.
pub(super) fn status(folder: &Path, text: &str) -> Result<StatusAddress, String> {
    Ok(match text.parse()? {
        StatusAddress::Unix(path) => StatusAddress::Unix(folder.join(path)),
        tcp @ StatusAddress::Tcp(_) => tcp,
    })
}

/// A key that signs channels, or the file of one, seen from `folder`.
pub(super) fn channel_key(folder: &Path, text: &str) -> Result<String, String> {
    let path = folder.join(text);
    let key = if path.is_file() { path.display().to_string() } else { text.to_owned() };
    match fetch::check_key(&key) {
        Ok(()) => Ok(key),
        Err(error) => Err(format!("{error:#}")),
    }
}

/// The value that is called `text`, as on the command line.
pub(super) fn one_of<T: ValueEnum>(text: &str) -> Result<T, String> {
    T::from_str(text, false).map_err(|_| {
        let values = T::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        let names: Vec<_> = values.map(|value| format!("{:?}", value.get_name())).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// What a sled may be called: a word that needs no quotes in a log, a URL or a metric.
pub(super) fn name(text: &str) -> Result<String, String> {
    const MOST: usize = 64;
    let fits = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if (1..=MOST).contains(&text.len()) && text.chars().all(fits) {
        Ok(text.to_owned())
    } else {
        Err(format!("expected 1 to {MOST} letters, digits, `-`, `_` and `.`"))
    }
}
