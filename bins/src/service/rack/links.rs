//! What is known about links.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::service::counts::Counts;
use crate::service::events::{LinkEvent, Standing};

/// The links that are served: as many as were named at the start.
#[derive(Debug, Default)]
pub(crate) struct Links {
    links: BTreeMap<Arc<str>, Link>,
}

/// One link.
#[derive(Clone, Debug, Default)]
pub(crate) struct Link {
    /// How frames leave.
    pub(crate) path: String,
    pub(crate) workers: usize,
    /// Its name in the system now, if that has changed.
    pub(crate) renamed: Option<String>,
    pub(crate) is_down: bool,
    /// Why it is not served any more.
    pub(crate) gone: Option<String>,
    /// What each worker has counted.
    counts: BTreeMap<usize, Counts>,
    /// When each worker was last heard from.
    heard: BTreeMap<usize, Instant>,
}

impl Link {
    /// What all workers have counted.
    pub(crate) fn counts(&self) -> Counts {
        let mut all = Counts::default();
        self.counts.values().for_each(|counts| all += *counts);
        all
    }
}

impl Links {
    /// A worker reports its state twice a second: it is silent for this long only if it hangs.
    const SILENCE: Duration = Duration::from_secs(5);

    pub(super) fn note(&mut self, name: Option<&Arc<str>>, event: &LinkEvent) {
        let Some(name) = name else { return };
        let link = self.links.entry(Arc::clone(name)).or_default();
        match event {
            LinkEvent::Opened { path, workers, .. } => {
                link.path.clone_from(path);
                link.workers = *workers;
            }
            LinkEvent::Down => link.is_down = true,
            LinkEvent::Up { .. } => link.is_down = false,
            LinkEvent::Renamed { now } => link.renamed = Some(now.clone()),
            LinkEvent::Gone { error } => link.gone = Some(error.clone()),
            LinkEvent::Address { .. } | LinkEvent::Mtu { .. } | LinkEvent::AsUs { .. } => {}
        }
    }

    pub(super) fn stand(&mut self, now: Instant, name: &Arc<str>, standing: &Standing) {
        let link = self.links.entry(Arc::clone(name)).or_default();
        link.counts.insert(standing.worker, standing.counts);
        link.heard.insert(standing.worker, now);
    }

    /// Why no sled is served, if that is so.
    pub(super) fn illness(&self, now: Instant) -> Option<&'static str> {
        let mut served = self.links.values().filter(|link| link.gone.is_none()).peekable();
        if served.peek().is_none() {
            return Some("no link is served");
        }
        for link in served {
            if link.heard.len() < link.workers {
                return Some("not all workers have started");
            }
            let is_late = |heard: &Instant| now.saturating_duration_since(*heard) > Self::SILENCE;
            if link.heard.values().any(is_late) {
                return Some("a worker hangs");
            }
        }
        None
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Link)> {
        self.links.iter()
    }

    pub(crate) fn get(&self, name: &str) -> Option<&Link> {
        self.links.get(name)
    }
}
