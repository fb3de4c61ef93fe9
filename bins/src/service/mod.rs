//! Serving on real links, which is what `bootserver` runs: the workers of each link, and what they
//! share.

mod attendant;
mod boots;
mod check;
mod confine;
pub(crate) mod control;
mod counts;
mod display;
mod end;
pub(crate) mod events;
mod hooks;
#[cfg(feature = "internals")]
pub mod internals;
mod link_names;
mod link_news;
mod links;
pub(crate) mod metrics;
mod options;
mod orders;
mod plan;
pub(crate) mod rack;
mod rates;
mod reload;
mod reporting;
mod reports;
mod silence;
mod sled_at;
mod state;
mod store;
mod supervisor;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::sync::atomic::{self, AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::anyhow;
use boot_backends::{Clock, Datalink, serve, system_name};
use boot_format::wire::MacAddr;
use boot_netboot::server::{Config, Pace, Serve, Server};
use crossbeam::channel;

use self::attendant::Attendant;
use self::boots::Boots;
pub use self::check::check;
use self::confine::Confined;
use self::control::{Ask, Control};
use self::counts::Counts;
use self::events::{Event, Events, Names, What};
use self::link_names::LinkName;
use self::links::{Ending, Opened};
pub use self::options::{Assignment, FetchOptions, Links, ServeOptions, SledEntry};
use self::plan::{InForce, Plan};
pub use self::rates::{LinkRate, Rates};
use self::reload::Reload;
pub use self::reload::Reread;
pub use self::reporting::{LogFormat, Reporting, StatusAddress, check_control, command};
use self::reports::Reports;
use self::silence::Silence;
pub use self::sled_at::SledAt;
use self::state::{Keeper, Learnt, Memory};
use self::store::Store;
use self::supervisor::Turns;
use crate::exit::Exit;
use crate::fetch::{self, Fetcher};
use crate::queue;
use crate::signals::Signals;
use crate::status;
use crate::stderr::record::Level;
use crate::stderr::{self, Style};
use crate::units::Plural;

/// Serves until a signal, a failure, or the end that the options ask for. At a SIGHUP, `reread`
/// reads the configuration again.
///
/// # Errors
///
/// If a link, an image or the state file can't be used; or, if the options ask for it, if a boot
/// fails or no sled is heard from.
pub fn run(mut options: ServeOptions, reread: Option<Reread>) -> anyhow::Result<Exit> {
    // Until the process is confined it has one thread: others would stay unconfined.
    let (signals, coming) = Signals::catch()?;
    let style =
        if options.reporting.format() == LogFormat::Json { Style::Json } else { Style::of_text() };
    let lines = stderr::hold("bootserver", style);
    let begun = begin(&options);
    coming.start()?;
    lines.start()?;
    let Begun { names, taken, status, links } = begun?;
    let (control, asked) = Control::new();
    let reports = Reports::start(&options, style, names.len() > 1, status, control)?;
    let result = links.and_then(|links| {
        let urls = options.paths().map(PathBuf::as_path);
        let fetcher = Fetcher::start(&options.fetch, urls, &reports.events)?;
        if let Some(fetcher) = &fetcher {
            options.paths_mut().for_each(|path| *path = fetcher.place(path));
        }
        let plan = Plan::new(&options, &names)?;
        let wakers = (reread, asked);
        run_on(options, wakers, (links, names), (plan, fetcher, taken), &signals, &reports)
    });
    Ok(reports.end(result, &signals))
}

/// What was opened and read with all privileges.
struct Begun {
    names: Vec<LinkName>,
    taken: Memory,
    status: Option<status::Bound>,
    links: anyhow::Result<(Opened, Confined)>,
}

/// Opens everything that takes privileges, and gives them up.
fn begin(options: &ServeOptions) -> anyhow::Result<Begun> {
    // What makes no sense or can't be kept is refused before a link is touched.
    confine::check(options)?;
    fetch::check(&options.fetch, options.paths().map(PathBuf::as_path))?;
    let taken = options.state.as_deref().map(state::open).transpose()?.unwrap_or_default();
    let names = link_names::find(&options.links, system_name)?;
    Plan::new(options, &names)?;
    let taken = taken.rename_links(link_names::settler(&names, system_name));
    let status = options.reporting.status.as_ref().map(status::Bound::bind).transpose()?;
    let links = links::open(options, &names)
        .and_then(|links| Ok((links, confine::confine(options, links::path(options))?)));
    Ok(Begun { names, taken, status, links })
}

/// Serves on links that are open, and reports what happens.
fn run_on(
    options: ServeOptions,
    (reread, asked): (Option<Reread>, queue::Receiver<Ask>),
    ((mut opened, mut confined), names): ((Opened, Confined), Vec<LinkName>),
    (plan, fetcher, taken): (Plan, Option<Fetcher>, Memory),
    signals: &Signals,
    reports: &Reports,
) -> anyhow::Result<Exit> {
    let events = &reports.events;
    opened.tell(events);
    confined.tell(events);
    let links = opened.links;
    let (learnt, keeper) = Keeper::start(options.state.clone(), taken.clone(), events)?;
    let (reload, start_reload) = Reload::new(reread);
    let told = (events.clone(), reports.is_watched());
    let shared = Arc::new(Shared {
        store: Store::open(plan.places(), options.map, fetcher.is_some(), told)?,
        fetcher: fetcher.map_or_else(OnceLock::new, OnceLock::from),
        events: events.clone(),
        sled_names: reports.names.clone(),
        // The time before sleds can be answered does not count against them.
        clock: Clock::new(),
        signals: signals.clone(),
        links: links.iter().map(|link| link.name().to_owned()).collect(),
        first: Mutex::new(None),
        boots: Mutex::default(),
        booting: links.iter().map(|_| AtomicUsize::new(0)).collect(),
        counts: Mutex::new(vec![Counts::default(); links.len()]),
        silence: Silence::new(links.len()),
        ended: AtomicBool::new(false),
        gone: Mutex::default(),
        plan: InForce::new(plan, taken.kept().clone()),
        taken,
        reload,
        turns: Turns::new(links.len()),
        learnt: learnt.clone(),
        confined,
        several: names.len() > 1,
        workers: options.workers(names.len()),
        names,
        options,
    });
    shared.name_sleds();
    shared.tell_orders();
    start_reload(&shared);
    control::start(asked, &shared)?;
    shared.events.tell(What::Serving(who(&shared.plan.plan().serve)));
    let (ends, end) = channel::unbounded();
    let mut workers = Vec::new();
    for (index, mut link) in links.into_iter().enumerate() {
        let (shared, ends) = (Arc::clone(&shared), ends.clone());
        workers.push(std::thread::spawn(move || {
            shared.confined.enter_worker(&shared.events);
            let ending = Ending(&shared);
            let result = work(index, &shared, link.as_mut());
            if let Err(error) = &result
                && shared.does_without(index, error)
            {
                ending.spare_others();
            } else {
                let _ = ends.send(result);
            }
        }));
    }
    drop(ends);
    supervisor::ready(&shared);
    let mut result = end.recv().unwrap_or_else(|_| Err(anyhow!("a worker ended without a result")));
    supervisor::stopping();
    for worker in workers {
        if worker.join().is_err() && result.is_ok() {
            result = Err(anyhow!("a worker panicked"));
        }
    }
    shared.tell_boots();
    shared.tell_counts(false);
    match (result, keeper.end()) {
        (Ok(exit), kept) => kept.map(|()| exit),
        (Err(error), kept) => {
            if let Err(unkept) = kept {
                events.tell(What::Failed(format!("{unkept:#}")));
            }
            Err(error)
        }
    }
}

/// What the workers have in common.
pub(crate) struct Shared {
    clock: Clock,
    pub(crate) events: Events,
    /// The names of sleds.
    sled_names: Names,
    pub(crate) store: Store,
    /// What fetches, once there is something to fetch.
    fetcher: OnceLock<Fetcher>,
    pub(crate) signals: Signals,
    pub(crate) options: ServeOptions,
    /// The name of each worker's link; the workers of a link are next to each other.
    pub(crate) links: Vec<String>,
    /// With `any`, the one sled that is served, as soon as there is one.
    pub(crate) first: Mutex<Option<SledAt>>,
    /// With `-s`, what became of each sled.
    pub(crate) boots: Mutex<Boots>,
    /// Boots under way, for each worker.
    pub(crate) booting: Vec<AtomicUsize>,
    /// What each worker had counted when it last published that.
    counts: Mutex<Vec<Counts>>,
    pub(crate) silence: Silence,
    pub(crate) ended: AtomicBool,
    /// The links that could not be served any more.
    pub(crate) gone: Mutex<BTreeSet<String>>,
    /// Which image each sled took last, as known at the start.
    taken: Memory,
    /// The plan that new boots follow.
    pub(crate) plan: InForce,
    pub(crate) reload: Reload,
    pub(crate) turns: Turns,
    learnt: Learnt,
    pub(crate) confined: Confined,
    /// The links, as they were at the start.
    names: Vec<LinkName>,
    /// Whether there are several links.
    several: bool,
    /// How many workers each link has.
    workers: usize,
}

impl Shared {
    /// Reports the results of the boots that the run was for.
    fn tell_boots(&self) {
        if self.options.stop {
            let named = match &self.plan.plan().serve {
                Serve::These(sleds) => sleds.iter().copied().collect(),
                Serve::First | Serve::All => Vec::new(),
            };
            for line in lock(&self.boots).table(named.into_iter(), !self.options.quiet) {
                self.events.tell(What::Boots(line));
            }
        }
    }

    /// Has the state of the plan written. This never waits.
    pub(crate) fn keep_plan(&self) {
        self.plan.keep(|kept| self.learnt.tell_kept(kept));
    }

    /// Passes the plan's names of sleds to the events.
    pub(crate) fn name_sleds(&self) {
        let plan = self.plan.plan();
        self.sled_names.set(plan.names().map(|(mut sled, name)| {
            // Events use the name of a link that was given at the start.
            sled.link = sled.link.map(|link| self.given_name(&link).to_owned());
            (sled, name)
        }));
    }

    /// The name that was given to the link which the system called `system` at the start.
    fn given_name<'a>(&'a self, system: &'a str) -> &'a str {
        let known = self.names.iter().find(|name| name.system == system);
        known.map_or(system, |name| &name.given)
    }

    /// Reports if not all sleds follow the configuration.
    pub(crate) fn tell_orders(&self) {
        let sleds = self.plan.orders().iter().count() as u64;
        if sleds > 0 {
            let sleds = Plural(sleds, "sled");
            let text = format!("images assigned to {sleds} while serving stay in force");
            self.events.tell(What::Notice(Level::Info, text));
        }
    }

    /// The pace of one worker.
    fn pace(&self, pace: Pace) -> Pace {
        share(pace, self.workers)
    }

    /// Reports what went over each link; `asked` if SIGUSR1 asked for it.
    fn tell_counts(&self, asked: bool) {
        for (link, all) in by_link(&self.links, &lock(&self.counts)) {
            let what = What::Counts { counts: Box::new(all), asked };
            self.events.put(Event { link: Some(link.into()), ..Event::now(what) });
        }
    }
}

/// What the workers of each link have counted in all. `links` names the link of each worker; the
/// workers of a link are next to each other.
fn by_link<'a>(links: &'a [String], counts: &[Counts]) -> Vec<(&'a str, Counts)> {
    let mut sums: Vec<(&str, Counts)> = Vec::new();
    for (link, &counts) in links.iter().zip(counts) {
        match sums.last_mut() {
            Some((last, sum)) if *last == link => *sum += counts,
            _ => sums.push((link, counts)),
        }
    }
    sums
}

/// The part of a link's rate that each of its workers gets.
fn share(pace: Pace, workers: usize) -> Pace {
    match pace {
        Pace::AtMost(rate) => Pace::AtMost(rate / workers as f64),
        pace => pace,
    }
}

/// Runs one worker's server to its end.
fn work(index: usize, shared: &Shared, link: &mut dyn Datalink) -> anyhow::Result<Exit> {
    let plan = shared.plan.plan();
    let pace = shared.pace(plan.rates.of(link.current_name()));
    let together = shared.options.together;
    let key = RandomState::new().hash_one(index);
    let config = Config { pace, key, together, ..Config::new(link.address(), plan.serve.clone()) };
    let mut server = Server::new(config);
    let known = sled_at::on(link.current_name(), shared.taken.iter());
    // In their order: if the server has to forget some, these are the oldest.
    for address in shared.taken.iter().map(|(sled, _)| sled.address) {
        if let Some(&image) = known.get(&address) {
            server.remember(address, image);
        }
    }
    let mut attendant = Attendant::new(index, shared, plan, known, link);
    let result = serve(shared.clock, link, &mut server, |now, server, link| {
        attendant.attend(now, server, link)
    });
    attendant.keep_rest(&server);
    attendant.publish(&server, link);
    result?
}

fn who(serve: &Serve) -> String {
    match serve {
        Serve::All => "every sled".to_owned(),
        Serve::First => "the first sled that says hello".to_owned(),
        Serve::These(sleds) => sleds.iter().map(MacAddr::to_string).collect::<Vec<_>>().join(", "),
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
