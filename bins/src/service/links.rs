//! The links that are served: opened together, and lost one by one.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::bail;
use boot_backends::{Datalink, LinkError, OpenOptions, Sharing, TxPath, open_workers};
use boot_netboot::server::Serve;

use super::events::{Events, LinkEvent};
use super::link_names::LinkName;
use super::options::ServeOptions;
use super::{Shared, lock};

/// How long frames wait for a link that is down: longer than it takes to plug a cable in again or
/// to renegotiate the speed. Sleds wait for what they asked for until they get it.
const PATIENCE: Duration = Duration::from_secs(5);

/// How long to wait for a link whose server is ending, which takes it a moment.
const ENDING: Duration = Duration::from_secs(2);

/// Links that are open, and events to report about them, each with its link.
pub(crate) struct Opened {
    pub(crate) links: Vec<Box<dyn Datalink + Send>>,
    news: Vec<(String, LinkEvent)>,
}

impl Opened {
    /// Reports how frames leave.
    pub(crate) fn tell(&mut self, events: &Events) {
        self.news.drain(..).for_each(|(link, news)| events.of_link(&link, news));
    }
}

/// Opens each of `links` once for each of its workers, which stand side by side.
pub(crate) fn open(options: &ServeOptions, links: &[LinkName]) -> anyhow::Result<Opened> {
    let how = OpenOptions {
        tx: path(options),
        patience: PATIENCE,
        sharing: if options.share_link {
            Sharing::Shared
        } else {
            Sharing::Sole { patience: ENDING }
        },
        ..OpenOptions::default()
    };
    let mut opened = Opened { links: Vec::new(), news: Vec::new() };
    for LinkName { given: name, .. } in links {
        let workers = open_workers(name, how, options.workers(links.len())).map_err(|error| {
            let is_held = matches!(error, LinkError::Held { .. });
            let error = anyhow::Error::from(error);
            if is_held { error.context("refused without --share-link") } else { error }
        })?;
        if options.map && workers.iter().any(|link| !link.sends_mapped()) {
            bail!("{name}: this process reads what it sends here, so --map can't be used");
        }
        let remark = if path(options) == options.tx {
            ""
        } else {
            " (not AF_XDP: it can't send from mapped files)"
        };
        for (worker, link) in (1..).zip(&workers) {
            let path = format!("{}{remark}", link.path().unwrap_or("open"));
            let workers = workers.len();
            opened.news.push((name.clone(), LinkEvent::Opened { path, worker, workers }));
        }
        opened.links.extend(workers);
    }
    Ok(opened)
}

/// How frames leave: mapped files can't be copied to AF_XDP's memory, so none is set aside for
/// them.
pub(super) fn path(options: &ServeOptions) -> TxPath {
    match options.tx {
        TxPath::Auto | TxPath::Xdp if options.map => TxPath::Mmsg,
        tx => tx,
    }
}

/// A worker that ends, for whatever reason, ends them all, unless only its link is gone.
pub(crate) struct Ending<'a>(pub(crate) &'a Shared);

impl Ending<'_> {
    /// Others go on.
    pub(crate) fn spare_others(self) {
        std::mem::forget(self);
    }
}

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
    }
}

impl Shared {
    /// Whether others go on after `error`, which ended a worker: its link is gone and there are
    /// more, and it is not the link of the only sled that is served.
    pub(crate) fn does_without(&self, worker: usize, error: &anyhow::Error) -> bool {
        if !error.is::<LinkError>() {
            return false;
        }
        let link = &self.links[worker];
        let mut gone = lock(&self.gone);
        let is_news = gone.insert(link.clone());
        let has_others = self.links.iter().any(|link| !gone.contains(link));
        let is_all_about_it = self.plan.plan().serve == Serve::First
            && lock(&self.first).as_ref().is_some_and(|sled| sled.link.as_ref() == Some(link));
        if !has_others || is_all_about_it {
            return false;
        }
        self.booting[worker].store(0, Ordering::Release);
        self.silence.retire(worker);
        self.turns.retire(worker);
        if is_news {
            self.events.of_link(link, LinkEvent::Gone { error: format!("{error:#}") });
        }
        true
    }
}
