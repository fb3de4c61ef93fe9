//! Serving on real links, which is what `bootserver` runs: the workers of each link, and what they
//! share.

mod boots;
mod counts;
mod end;
mod link_names;
mod link_news;
mod links;
mod log;
mod options;
mod silence;
mod sled_at;
mod state;
mod store;
mod told;

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::anyhow;
use boot_backends::{Clock, Datalink, serve, system_name};
use boot_format::Checksum;
use boot_format::wire::MacAddr;
use boot_netboot::server::{Config, Event, EventKind, Pace, Serve, Server};
use boot_netboot::time::Instant;
use crossbeam::channel;

use self::boots::Boots;
use self::counts::Counts;
use self::link_news::LinkNews;
use self::links::Ending;
use self::log::Log;
pub use self::options::{Assignment, ServeOptions};
use self::silence::Silence;
pub use self::sled_at::SledAt;
use self::state::{Keeper, Learnt, Memory};
use self::store::Store;
use crate::exit::Exit;
use crate::signals::Signals;
use crate::{say, stderr};

/// Serves until a signal, a failure, or the end that the options ask for.
///
/// # Errors
///
/// If a link, an image or the state file can't be used; or, as the options have it, if a boot
/// fails or no sled is heard from.
pub fn run(options: ServeOptions) -> anyhow::Result<Exit> {
    let signals = Signals::install()?;
    stderr::write_beside("bootserver")?;
    let mut places = options.images.clone();
    for Assignment { image, .. } in &options.assigned {
        if !places.contains(image) {
            places.push(image.clone());
        }
    }
    // What can't be kept is refused before a link is touched.
    let taken = options.state.as_deref().map(state::open).transpose()?.unwrap_or_default();
    let names = link_names::parse(&options.links, system_name)?;
    let assigned = link_names::settle(&options.assigned, &names, system_name)?;
    let taken = taken.rename_links(link_names::settler(&names, system_name));
    let links = links::open(&options, &names)?;
    let (learnt, keeper) = Keeper::start(options.state.clone(), taken.clone())?;
    let shared = Arc::new(Shared {
        store: Store::open(places, options.map)?,
        // Time that passes before sleds can be answered is none of theirs.
        clock: Clock::new(),
        signals,
        links: links.iter().map(|link| link.name().to_owned()).collect(),
        first: Mutex::new(None),
        boots: Mutex::default(),
        booting: links.iter().map(|_| AtomicUsize::new(0)).collect(),
        counts: Mutex::new(vec![Counts::default(); links.len()]),
        silence: Silence::new(links.len()),
        ended: AtomicBool::new(false),
        gone: Mutex::default(),
        taken,
        assigned,
        several: names.len() > 1,
        workers: options.workers(names.len()),
        options,
    });
    say!("bootserver: serving {}", who(&shared.options.serve));
    let (ends, end) = channel::unbounded();
    let mut workers = Vec::new();
    for (index, mut link) in links.into_iter().enumerate() {
        let (shared, ends, learnt) = (Arc::clone(&shared), ends.clone(), learnt.clone());
        workers.push(std::thread::spawn(move || {
            let ending = Ending(&shared);
            let result = work(index, &shared, &learnt, link.as_mut());
            if let Err(error) = &result
                && shared.does_without(index, error)
            {
                ending.spare_others();
            } else {
                let _ = ends.send(result);
            }
        }));
    }
    drop((ends, learnt));
    let mut result = end.recv().unwrap_or_else(|_| Err(anyhow!("a worker ended without a result")));
    for worker in workers {
        if worker.join().is_err() && result.is_ok() {
            result = Err(anyhow!("a worker panicked"));
        }
    }
    shared.tell_boots();
    shared.tell_counts();
    match (result, keeper.end()) {
        (Ok(exit), kept) => kept.map(|()| exit),
        (Err(error), kept) => {
            if let Err(unkept) = kept {
                say!("bootserver: {unkept:#}");
            }
            Err(error)
        }
    }
}

/// What the workers have in common.
pub(crate) struct Shared {
    clock: Clock,
    pub(crate) store: Store,
    pub(crate) signals: Signals,
    pub(crate) options: ServeOptions,
    /// The name of each worker's link; the workers of a link stand side by side.
    pub(crate) links: Vec<String>,
    /// With `any`, the one sled that is served, as soon as there is one.
    pub(crate) first: Mutex<Option<SledAt>>,
    /// With `-s`, what became of each sled.
    pub(crate) boots: Mutex<Boots>,
    /// Boots under way, for each worker.
    pub(crate) booting: Vec<AtomicUsize>,
    /// What each worker had counted when it last looked up.
    counts: Mutex<Vec<Counts>>,
    pub(crate) silence: Silence,
    pub(crate) ended: AtomicBool,
    /// The links that could not be served any more.
    pub(crate) gone: Mutex<BTreeSet<String>>,
    /// Which image each sled took last, as it was known at the start.
    taken: Memory,
    /// What is assigned to whom, by what the system called the links at the start.
    assigned: Vec<Assignment>,
    /// Whether there are several links.
    several: bool,
    /// How many workers each link has.
    workers: usize,
}

impl Shared {
    /// Says how the boots went that the run was for.
    fn tell_boots(&self) {
        if self.options.stop {
            let named = match &self.options.serve {
                Serve::These(sleds) => sleds.iter().copied().collect(),
                Serve::First | Serve::All => Vec::new(),
            };
            for line in lock(&self.boots).table(named.into_iter(), !self.options.quiet) {
                say!("bootserver: {line}");
            }
        }
    }

    /// Says what went over each link.
    fn tell_counts(&self) {
        let counts = lock(&self.counts).clone();
        let mut rest = counts.into_iter();
        for workers in self.links.chunk_by(|one, other| one == other) {
            let mut all = Counts::default();
            for worker in rest.by_ref().take(workers.len()) {
                all += worker;
            }
            say!("bootserver: {}: {all}", workers[0]);
        }
    }
}

/// What one worker does beside serving: it drains events, keeps its server's images current,
/// and knows when to end.
pub(crate) struct Attendant<'a> {
    pub(crate) index: usize,
    /// The name of the worker's link.
    link: &'a str,
    pub(crate) shared: &'a Shared,
    /// Where it tells what sleds have taken, and what need not be told again at the end.
    learnt: &'a Learnt,
    known: HashMap<MacAddr, Checksum>,
    /// What the system called the link at the start, and what it calls it now.
    first_called: String,
    called: String,
    log: Log,
    edition: u64,
    /// Whether the first sled of all is still to come.
    unsettled: bool,
    pub(crate) next_look: Instant,
    /// The look at the files that offers wait for.
    look: u64,
    held: bool,
    /// When the loop last turned, and how many frames had come by then.
    pub(crate) last_turn: Instant,
    pub(crate) received: u64,
    /// How long the link had been down in all when it was last up again.
    told_down: Duration,
    news: LinkNews,
}

/// Runs one worker's server to its end.
fn work(
    index: usize,
    shared: &Shared,
    learnt: &Learnt,
    link: &mut dyn Datalink,
) -> anyhow::Result<Exit> {
    let ServeOptions { serve: sleds, pace, together, .. } = &shared.options;
    let together = *together;
    // The workers of a link share its rate.
    let pace = match *pace {
        Pace::AtMost(rate) => Pace::AtMost(rate / shared.workers as f64),
        pace => pace,
    };
    let key = RandomState::new().hash_one(index);
    let config = Config { pace, key, together, ..Config::new(link.address(), sleds.clone()) };
    let mut server = Server::new(config);
    let name = &shared.links[index];
    let called = link.current_name().to_owned();
    let known = sled_at::on(&called, shared.taken.iter());
    // In their order: if the server has to forget some, these are the oldest.
    for address in shared.taken.iter().map(|(sled, _)| sled.address) {
        if let Some(&image) = known.get(&address) {
            server.remember(address, image);
        }
    }
    // With one link its name would say nothing.
    let prefix = if shared.several { format!("{name} ") } else { String::new() };
    let mut attendant = Attendant {
        index,
        link: name,
        shared,
        learnt,
        known,
        first_called: called.clone(),
        called,
        log: Log::new(shared.options.quiet, prefix),
        edition: 0,
        unsettled: shared.options.serve == Serve::First,
        next_look: Instant::ZERO,
        look: 0,
        held: false,
        last_turn: Instant::ZERO,
        received: 0,
        told_down: Duration::ZERO,
        news: LinkNews::new(link),
    };
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

impl Attendant<'_> {
    /// How often to look at what gives no sign of itself: signals, other workers.
    const TICK: Duration = Duration::from_millis(200);
    /// While an image is being loaded, sleds may wait for it.
    const IMPATIENT: Duration = Duration::from_millis(10);
    /// A look at the files takes less than this, and every new boot waits for one.
    const LOOK: Duration = Duration::from_micros(250);

    fn attend(
        &mut self,
        now: Instant,
        server: &mut Server,
        link: &mut dyn Datalink,
    ) -> ControlFlow<anyhow::Result<Exit>, Instant> {
        self.note_drained(now, server);
        let mut eventful = false;
        let mut too_late = None;
        while let Some(event) = server.poll_event() {
            eventful = true;
            if event.kind == EventKind::Settled && !self.settle(event.sled, server) {
                too_late = Some(event.sled);
            }
            if too_late == Some(event.sled) {
                continue;
            }
            self.log.event(now, &event);
            if let EventKind::Finished(_) = event.kind {
                self.keep(event.sled, server);
            }
            if let Some(error) = self.handle(now, &event) {
                return ControlFlow::Break(Err(error));
            }
        }
        while let Some(event) = server.poll_group_event() {
            eventful = true;
            self.log.group(&event);
        }
        self.keep_current(server);
        let loading = self.shared.store.is_loading();
        if loading && server.images().is_empty() {
            self.shared.silence.wait(now);
        }
        if eventful || now >= self.next_look {
            self.next_look = now + Self::TICK;
            self.log.tell_left_out(now);
            self.publish(server, link);
            self.follow(now, server, link);
            if self.shared.signals.take_user() {
                self.shared.tell_counts();
            }
            self.adopt_settled(server);
            if let Some(end) = self.end(now, server) {
                return ControlFlow::Break(end);
            }
        }
        ControlFlow::Continue(match (self.held, loading) {
            (true, _) => now + Self::LOOK,
            (_, true) => now + Self::IMPATIENT,
            _ => self.next_look,
        })
    }

    /// Has this server serve the first sled of all workers', which is `sled` if none was before.
    /// Says whether it is.
    fn settle(&mut self, sled: MacAddr, server: &mut Server) -> bool {
        let mut first = lock(&self.shared.first);
        let is_first = first.is_none();
        let this = || SledAt { link: Some(self.link.to_owned()), address: sled };
        server.set_serve(self.only(first.get_or_insert_with(this)));
        self.unsettled = false;
        is_first
    }

    /// Takes over whom another worker has settled on.
    fn adopt_settled(&mut self, server: &mut Server) {
        if self.unsettled
            && let Some(first) = &*lock(&self.shared.first)
        {
            server.set_serve(self.only(first));
            self.unsettled = false;
        }
    }

    /// Whom this worker serves if `sled` is to be served and no other.
    fn only(&self, sled: &SledAt) -> Serve {
        let here = sled.link.as_deref() == Some(self.link);
        Serve::These(here.then_some(sled.address).into_iter().collect())
    }

    /// Has it kept which image a sled has booted from, if that is certain.
    fn keep(&mut self, sled: MacAddr, server: &Server) {
        if let Some((_, image)) = server.remembered().find(|(known, _)| *known == sled) {
            self.tell_learnt(sled, image);
        }
    }

    /// Has it kept, at the end, what no event has told of: of too many, some are lost.
    fn keep_rest(&mut self, server: &Server) {
        for (sled, image) in server.remembered() {
            if self.known.get(&sled) != Some(&image) {
                self.tell_learnt(sled, image);
            }
        }
    }

    fn tell_learnt(&mut self, sled: MacAddr, image: Checksum) {
        self.known.insert(sled, image);
        self.learnt.tell(SledAt { link: Some(self.called.clone()), address: sled }, image);
    }

    /// Draws the conclusions from an event. Returns why the server has to end, if it has to.
    fn handle(&mut self, now: Instant, event: &Event) -> Option<anyhow::Error> {
        let Event { sled, kind } = event;
        let sled = *sled;
        let shared = self.shared;
        if shared.options.stop {
            let sled = SledAt { link: shared.several.then(|| self.link.to_owned()), address: sled };
            lock(&shared.boots).note(now, sled, kind);
        }
        match kind {
            EventKind::Hello { .. } => self.look = shared.store.ask(),
            EventKind::Reset if shared.options.stop && self.serves_one() => {
                return Some(anyhow!("{sled} reads without having been offered an image"));
            }
            EventKind::Unreadable => {
                self.look = shared.store.ask();
                if shared.options.stop && self.serves_one() {
                    return Some(anyhow!("{sled}: its image can no longer be read"));
                }
            }
            _ => {}
        }
        None
    }

    /// Whether all is about one sled, so that its failure is the server's.
    pub(crate) fn serves_one(&self) -> bool {
        match &self.shared.options.serve {
            Serve::All => false,
            Serve::First => true,
            Serve::These(sleds) => sleds.len() == 1,
        }
    }

    /// Gives the server the images that are in service now, and holds offers until the files
    /// have been looked at after the last HELLO.
    fn keep_current(&mut self, server: &mut Server) {
        let store = &self.shared.store;
        if self.shared.signals.take_hangup() {
            store.check_all();
        }
        // Asked before the edition: what a look has found is in service when it is done.
        let held = !store.has_looked(self.look);
        let edition = store.edition();
        if edition != self.edition {
            self.edition = edition;
            let service = store.service();
            server.set_images(service.images.clone());
            let assigned = self.shared.assigned.iter();
            let assigned =
                assigned.map(|Assignment { sled, image }| (sled, service.checksum_of(image)));
            server.assign(sled_at::on(&self.first_called, assigned));
        }
        if held != self.held {
            self.held = held;
            server.hold_offers(held);
        }
    }

    /// Goes along with what has changed about the link.
    fn follow(&mut self, now: Instant, server: &mut Server, link: &mut dyn Datalink) {
        server.set_address(link.address());
        link.hear_also(&server.former_addresses(now));
        if self.called != link.current_name() {
            link.current_name().clone_into(&mut self.called);
        }
        if self.is_first_of_link() {
            let as_us = link.counters().as_us;
            for line in self.news.lines(now, link, as_us) {
                say!("bootserver: {}: {line}", self.link);
            }
        }
    }

    /// Whether this worker is the one that tells of its link.
    fn is_first_of_link(&self) -> bool {
        self.index == 0 || self.shared.links[self.index - 1] != self.link
    }

    /// Shows all workers what this one has counted. Of a link that goes down or comes up again
    /// its first worker tells.
    fn publish(&mut self, server: &Server, link: &mut dyn Datalink) {
        let (server, group) = (server.counters(), server.group());
        let counts = Counts { link: link.counters(), server, group };
        let before = std::mem::replace(&mut lock(&self.shared.counts)[self.index], counts).link;
        let now = counts.link;
        if self.is_first_of_link() {
            let went_down = now.downs > before.downs;
            if went_down {
                say!("bootserver: {}: the link is down or has no carrier", self.link);
            }
            if (went_down || before.is_down) && !now.is_down {
                let time = now.down_time.saturating_sub(self.told_down).as_secs_f64();
                say!("bootserver: {}: the link is up again, after {time:.1} s", self.link);
                self.told_down = now.down_time;
            }
        }
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
