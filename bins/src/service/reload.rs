//! Reading the configuration again at a SIGHUP, beside serving.

use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::thread;

use boot_netboot::server::Serve;

use super::events::{ConfigEvent, What};
use super::options::ServeOptions;
use super::plan::Plan;
use super::{Shared, supervisor};
use crate::config::ConfigError;
use crate::fetch::Fetcher;
use crate::queue::{self, Sender};
use crate::stderr::record::Level;

/// Reads what the server is asked to do, again.
pub struct Reread(Box<dyn Fn() -> anyhow::Result<ServeOptions> + Send>);

impl Reread {
    /// Calls `read` whenever the configuration is to be read.
    pub fn new(read: impl Fn() -> anyhow::Result<ServeOptions> + Send + 'static) -> Self {
        Self(Box::new(read))
    }
}

impl fmt::Debug for Reread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reread")
    }
}

/// Wakes the thread that reloads.
#[derive(Debug)]
pub(crate) struct Reload(Option<Sender<()>>);

impl Reload {
    /// How the thread is woken, once there is one, and what wakes it.
    pub(super) fn new(reread: Option<Reread>) -> (Self, impl FnOnce(&Arc<Shared>)) {
        // Of several signals at once, one is enough.
        let (wake, woken) = queue::queue(1);
        let reload = Self(reread.is_some().then_some(wake));
        let start = move |shared: &Arc<Shared>| {
            let Some(Reread(read)) = reread else { return };
            let events = shared.events.clone();
            let shared: Weak<Shared> = Arc::downgrade(shared);
            let spawned = thread::Builder::new().name("reload".to_owned()).spawn(move || {
                while woken.recv().is_ok() {
                    let Some(shared) = shared.upgrade() else { return };
                    supervisor::reloading(|| shared.take_over(read()));
                }
            });
            if let Err(error) = spawned {
                let text = format!("SIGHUP will not read the configuration again: {error}");
                events.tell(What::Notice(Level::Warn, text));
            }
        };
        (reload, start)
    }

    /// Asks to read the configuration again. This never waits.
    pub(crate) fn wake(&self) {
        if let Some(wake) = &self.0 {
            let _ = wake.try_send(());
        }
    }
}

impl Shared {
    /// Follows the images that are URLs, and replaces them by their folders of the cache, which
    /// stays the one of the start.
    fn follow(&self, options: &mut ServeOptions) -> anyhow::Result<()> {
        let urls = || options.paths().map(PathBuf::as_path);
        if let Some(fetcher) = self.fetcher.get() {
            fetcher.follow(urls())?;
        } else if let Some(fetcher) = Fetcher::start(&self.options.fetch, urls(), &self.events)? {
            let _ = self.fetcher.set(fetcher);
        }
        if let Some(fetcher) = self.fetcher.get() {
            options.paths_mut().for_each(|path| *path = fetcher.place(path));
        }
        Ok(())
    }

    /// Puts in force what has been read, if it is good.
    fn take_over(&self, read: anyhow::Result<ServeOptions>) {
        let tell = |event| self.events.tell(What::Config(event));
        let planned = read.and_then(|mut options| {
            // Faults of the rest are found before anything changes.
            Plan::new(&options, &self.names)?;
            self.follow(&mut options)?;
            Ok((Plan::new(&options, &self.names)?, options))
        });
        let (mut plan, options) = match planned {
            Ok(planned) => planned,
            Err(error) => {
                let faults = match error.downcast_ref::<ConfigError>() {
                    Some(error) => error.lines().collect(),
                    None => vec![format!("{error:#}")],
                };
                for reason in faults {
                    tell(ConfigEvent::Fault { reason });
                }
                return tell(ConfigEvent::Refused);
            }
        };
        let old = self.plan.plan();
        let mut restarts = self.options.fixed_changes(&options);
        if (old.serve == Serve::First) != (plan.serve == Serve::First) {
            plan.serve = old.serve.clone();
            restarts.push("serve");
        }
        let changes = old.changes(&plan);
        if changes.is_empty() && restarts.is_empty() {
            tell(ConfigEvent::Unchanged);
        }
        for (key, change) in changes {
            tell(ConfigEvent::Changed { key, change });
        }
        for key in restarts {
            tell(ConfigEvent::NeedsRestart { key });
        }
        let given_up = plan.places().into_iter().filter(|place| !self.confined.may_read(place));
        given_up.for_each(|path| tell(ConfigEvent::OutOfReach { path }));
        self.store.set_sources(plan.places());
        self.plan.replace(plan);
        self.name_sleds();
        self.keep_plan();
        self.tell_orders();
    }
}

impl ServeOptions {
    /// The keys of what is different in `new` and can't change while the server serves.
    fn fixed_changes(&self, new: &Self) -> Vec<&'static str> {
        let (old, now) = (&self.reporting, &new.reporting);
        let differ = [
            ("links", self.links != new.links),
            ("state", self.state != new.state),
            ("map", self.map != new.map),
            ("tx", self.tx != new.tx),
            ("user", self.user != new.user),
            ("share-link", self.share_link != new.share_link),
            ("workers", self.workers != new.workers),
            ("together", self.together != new.together),
            ("quiet", self.quiet != new.quiet),
            ("stop", self.stop != new.stop),
            ("cache", self.fetch.cache != new.fetch.cache),
            ("cache-size", self.fetch.cache_size != new.fetch.cache_size),
            ("refresh", self.fetch.refresh != new.fetch.refresh),
            ("channel-keys", self.fetch.channel_keys != new.fetch.channel_keys),
            ("log", old.format() != now.format()),
            ("log-level", old.level() != now.level()),
            ("on-finish", old.on_finish != now.on_finish),
            ("on-fail", old.on_fail != now.on_fail),
            ("status", old.status != now.status),
            ("control", old.control != now.control),
        ];
        differ.into_iter().filter(|(_, differs)| *differs).map(|(key, _)| key).collect()
    }
}
