//! What a server is asked to do.

use std::fmt;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use boot_backends::TxPath;
use boot_netboot::server::{Serve, Together};

use super::rates::Rates;
use super::reporting::Reporting;
use super::sled_at::SledAt;

/// How to serve.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// The links, by any of their names.
    pub links: Links,
    /// Images, and folders of images, that every sled is offered.
    pub images: Vec<PathBuf>,
    /// Sleds that have a name, or are offered only one image.
    pub sleds: Vec<SledEntry>,
    /// Which sleds are served.
    pub serve: Serve,
    /// Whether to end once the boots are done.
    pub stop: bool,
    /// How long no sled may be heard from.
    pub timeout: Option<Duration>,
    /// The file that keeps which sled took which image.
    pub state: Option<PathBuf>,
    /// Whether to log nothing about individual sleds.
    pub quiet: bool,
    /// Whether to map images instead of reading them.
    pub map: bool,
    /// How frames leave.
    pub tx: TxPath,
    /// Whether another process may serve the same links.
    pub share_link: bool,
    /// The configuration file, if there is one.
    pub config: Option<PathBuf>,
    /// The user that the process becomes once links are open.
    pub user: Option<String>,
    /// How many serve each link, if that was given.
    pub workers: Option<NonZeroUsize>,
    /// How fast to send on each link.
    pub rates: Rates,
    /// How sleds are gathered that boot in step, if they are to.
    pub together: Option<Together>,
    /// How images that are URLs are fetched.
    pub fetch: FetchOptions,
    /// How events are reported.
    pub reporting: Reporting,
}

/// How images are fetched.
#[derive(Clone, Debug, PartialEq)]
pub struct FetchOptions {
    /// The folder that keeps them.
    pub cache: Option<PathBuf>,
    /// The most bytes of all images in it.
    pub cache_size: u64,
    /// How often to look for newer ones.
    pub refresh: Duration,
    /// Keys that sign channels, themselves or in files.
    pub channel_keys: Vec<String>,
}

impl ServeOptions {
    /// Where all images come from.
    pub(super) fn paths(&self) -> impl Iterator<Item = &PathBuf> {
        let own = self.sleds.iter().flat_map(|entry| entry.image.iter().chain(&entry.once));
        self.images.iter().chain(own)
    }

    /// The same paths, to be changed.
    pub(super) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let own =
            self.sleds.iter_mut().flat_map(|entry| entry.image.iter_mut().chain(&mut entry.once));
        self.images.iter_mut().chain(own)
    }

    /// How many workers serve each of `links`. One sled takes one worker; for many, half the cores
    /// serve, spread over the links, and the other half are left to the kernel's share of the work.
    pub fn workers(&self, links: usize) -> usize {
        let cores = cores();
        let share = (cores / 2 / links).max(1);
        let share = share.min(self.rates.most_workers());
        match (self.workers, &self.serve) {
            (Some(workers), _) => workers.get(),
            // A batch goes out when all sleds have asked for it, so one worker has to know them
            // all.
            _ if self.together.is_some() => 1,
            (None, Serve::First) => 1,
            (None, Serve::These(sleds)) => share.min(sleds.len().max(1)),
            (None, Serve::All) => share,
        }
    }
}

/// How many cores the process may use, as it was at the start: a confined process can't read its
/// control group's limit.
pub(super) fn cores() -> usize {
    static CORES: OnceLock<usize> = OnceLock::new();
    *CORES.get_or_init(|| thread::available_parallelism().map_or(1, NonZeroUsize::get))
}

/// Links, as they were named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Links {
    /// One link, or several separated by commas.
    Line(String),
    /// Each by itself.
    List(Vec<String>),
}

/// What is configured for one sled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SledEntry {
    /// The sled, on every link or on one.
    pub sled: SledAt,
    /// Its name.
    pub name: Option<Arc<str>>,
    /// The only image that it is offered.
    pub image: Option<PathBuf>,
    /// The image that it is to boot once, before all others.
    pub once: Option<PathBuf>,
    /// Where that comes from: an option, or a file and its line.
    pub origin: String,
}

impl From<Assignment> for SledEntry {
    fn from(Assignment { sled, image }: Assignment) -> Self {
        let origin = "--assign".to_owned();
        Self { sled, name: None, image: Some(image), once: None, origin }
    }
}

/// One sled's image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// The sled, on every link or on one.
    pub sled: SledAt,
    /// Its image, a file.
    pub image: PathBuf,
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // A link's name may contain one too: the right one is preceded by a sled.
        let splits = text.match_indices('=').map(|(at, _)| (&text[..at], &text[at + 1..]));
        let (sled, image) = splits
            .clone()
            .find(|(sled, _)| sled.parse::<SledAt>().is_ok())
            .or_else(|| splits.clone().next())
            .ok_or("no `=` between MAC and PATH")?;
        let sled = sled.parse()?;
        if image.is_empty() {
            return Err("no PATH after the `=`".to_owned());
        }
        Ok(Self { sled, image: image.into() })
    }
}

impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.sled, self.image.display())
    }
}
