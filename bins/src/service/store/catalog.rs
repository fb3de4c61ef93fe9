//! What is known about every image file, and what to do about what is found.
//!
//! No threads, no clock, no files: what is seen and loaded comes in, what to load comes out.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::anyhow;
use boot_format::Checksum;
use boot_image::Contents;

use super::Service;
use super::entry::{Entry, Look};
use super::look::Found;
use crate::service::events::{Before, ImageEvent};

/// A load to be done, or being done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) source: usize,
    pub(super) path: PathBuf,
    /// No two loads have the same.
    pub(super) ticket: u64,
}

#[derive(Debug)]
pub(super) struct Catalog {
    /// Every source so far: those that are gone keep their number.
    sources: Vec<Source>,
    /// The numbers of those that are in use, in their order.
    used: Vec<usize>,
    loads: VecDeque<Load>,
    tickets: u64,
    /// Whether all that was there at the start has been judged, or nothing need be there.
    started: bool,
    /// Whether an image is expected that is not there yet.
    awaited: bool,
    /// Events to report.
    pub(super) news: Vec<ImageEvent>,
}

/// A file or a folder.
#[derive(Debug)]
struct Source {
    path: PathBuf,
    seen: bool,
    folder: bool,
    /// Why it could not be looked at, the last time.
    fault: Option<io::ErrorKind>,
    entries: BTreeMap<PathBuf, Entry>,
}

impl Source {
    fn new(path: PathBuf) -> Self {
        Self { path, seen: false, folder: false, fault: None, entries: BTreeMap::new() }
    }
}

impl Catalog {
    /// A bad file that is being written is judged again when it has not been written to for this
    /// long.
    pub(super) const REST: Duration = Duration::from_secs(1);

    pub(super) fn new(sources: Vec<PathBuf>, awaited: bool) -> Self {
        let sources: Vec<_> = sources.into_iter().map(Source::new).collect();
        let used = (0..sources.len()).collect();
        let (loads, news) = (VecDeque::new(), Vec::new());
        Self { sources, used, loads, tickets: 0, started: awaited, awaited, news }
    }

    /// Takes images from `sources` from now on. What was loaded from those that stay is kept.
    pub(super) fn set_sources(&mut self, sources: Vec<PathBuf>) {
        let mut used = Vec::new();
        for path in sources {
            let known = self.sources.iter().position(|source| source.path == path);
            used.push(known.unwrap_or(self.sources.len()));
            if known.is_none() {
                self.sources.push(Source::new(path));
            }
        }
        self.used = used;
        for (index, source) in self.sources.iter_mut().enumerate() {
            if !self.used.contains(&index) {
                *source = Source::new(std::mem::take(&mut source.path));
            }
        }
    }

    /// The numbers of the sources that are in use, in their order.
    pub(super) fn used(&self) -> Vec<usize> {
        self.used.clone()
    }

    /// Takes in what was found at a source.
    pub(super) fn see(&mut self, index: usize, found: Found, anyway: bool, now: Instant) {
        if !self.used.contains(&index) {
            return;
        }
        let source = &mut self.sources[index];
        let first = !std::mem::replace(&mut source.seen, true);
        let fault = found.error.as_ref().map(io::Error::kind);
        let news = std::mem::replace(&mut source.fault, fault) != fault;
        if let Some(error) = found.error.filter(|_| news) {
            self.news.push(ImageEvent::Refused {
                reason: format!("{}: {error}", source.path.display()),
                never_good: first,
                before: Before::None,
            });
        }
        if fault.is_some_and(|fault| fault != io::ErrorKind::NotFound) {
            // The file may well be there, so what was loaded stays.
            return;
        }
        source.folder = found.folder;
        let there: HashSet<&PathBuf> = found.files.iter().map(|(path, _)| path).collect();
        let gone = source.entries.extract_if(.., |path, _| !there.contains(path));
        for (path, entry) in gone {
            if entry.contents.is_some() || entry.load.is_some() {
                self.news.push(ImageEvent::Gone { path });
            }
        }
        for (path, stamp) in found.files {
            let entry = source.entries.entry(path.clone()).or_insert_with(|| Entry::new(stamp));
            let Some(why) = entry.see(stamp, Look { first, anyway }, now) else { continue };
            self.tickets += 1;
            entry.load = Some((self.tickets, stamp));
            if !why.is_empty() {
                self.news.push(ImageEvent::Checking { path: path.clone(), why });
            }
            self.loads.push_back(Load { source: index, path, ticket: self.tickets });
        }
        self.retry_rested(now);
    }

    /// Loads files again that were bad, and are no longer being written.
    pub(super) fn retry_rested(&mut self, now: Instant) {
        for (index, source) in self.sources.iter_mut().enumerate() {
            for (path, entry) in &mut source.entries {
                if entry.restless_since.is_some_and(|since| now >= since + Self::REST) {
                    entry.restless_since = None;
                    self.tickets += 1;
                    entry.load = Some((self.tickets, entry.seen));
                    let load = Load { source: index, path: path.clone(), ticket: self.tickets };
                    self.loads.push_back(load);
                }
            }
        }
    }

    /// When a file will have rested, if none is written to any more.
    pub(super) fn next_rested(&self) -> Option<Instant> {
        let entries = self.sources.iter().flat_map(|source| source.entries.values());
        entries.filter_map(|entry| entry.restless_since).min().map(|since| since + Self::REST)
    }

    /// The next load to begin, if it is still wanted.
    pub(super) fn next_load(&mut self) -> Option<Load> {
        while let Some(load) = self.loads.pop_front() {
            if self.is_wanted(&load) {
                return Some(load);
            }
        }
        None
    }

    /// Whether the load `load` has not been overtaken by another, or by the end of its file.
    pub(super) fn is_wanted(&self, load: &Load) -> bool {
        let entry = self.sources[load.source].entries.get(&load.path);
        entry.and_then(|entry| entry.load).is_some_and(|(ticket, _)| ticket == load.ticket)
    }

    /// Takes in the result of a load.
    pub(super) fn judge(&mut self, load: &Load, result: anyhow::Result<Contents>) {
        let Some(entry) = self.sources[load.source].entries.get_mut(&load.path) else { return };
        let Some((_, stamp)) = entry.load.take_if(|(ticket, _)| *ticket == load.ticket) else {
            return;
        };
        self.news.push(entry.judge(&load.path, stamp, result));
    }

    /// Why the server can't start, if all has been judged and nothing is good.
    pub(super) fn fault_of_start(&mut self) -> Option<anyhow::Error> {
        if self.started || self.is_loading() {
            return None;
        }
        self.started = true;
        if self.entries().any(|entry| entry.contents.is_some()) {
            return None;
        }
        if let Some(folder) = self.in_use().find(|source| source.folder) {
            return Some(anyhow!("{}: no image in this folder", folder.path.display()));
        }
        // It is reported once, as the reason for the end.
        Some(match self.news.pop()? {
            ImageEvent::Refused { reason, .. } => anyhow!("{reason}"),
            other => anyhow!("{other}"),
        })
    }

    fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.in_use().flat_map(|source| source.entries.values())
    }

    /// The sources in use, in their order.
    fn in_use(&self) -> impl Iterator<Item = &Source> {
        self.used.iter().map(|&source| &self.sources[source])
    }

    /// Whether a source has not been seen yet, a file is to be judged, or the first image of all is
    /// still to come.
    pub(super) fn is_loading(&self) -> bool {
        if self.awaited && !self.entries().any(|entry| entry.contents.is_some()) {
            return true;
        }
        self.in_use().any(|source| !source.seen) || self.entries().any(|entry| entry.load.is_some())
    }

    /// What is to be offered now, in the order of the sources and names.
    pub(super) fn service(&self) -> Service {
        let mut known: HashSet<Checksum> = HashSet::new();
        let mut service = Service { images: Vec::new(), by_path: HashMap::new() };
        for source in self.in_use() {
            for (path, entry) in &source.entries {
                if let Some(contents) = entry.offered() {
                    service.by_path.insert(path.clone(), contents.checksum());
                    if source.folder && source.entries.len() == 1 {
                        service.by_path.insert(source.path.clone(), contents.checksum());
                    }
                    if known.insert(contents.checksum()) {
                        service.images.push(contents.clone());
                    }
                }
            }
        }
        service
    }

    /// The path of a source.
    pub(super) fn source(&self, index: usize) -> &Path {
        &self.sources[index].path
    }

    /// How many sources there have been.
    pub(super) fn sources(&self) -> usize {
        self.sources.len()
    }
}
