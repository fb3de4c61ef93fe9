//! What a worker does beside serving.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use anyhow::anyhow;
use boot_backends::Datalink;
use boot_format::Checksum;
use boot_format::wire::MacAddr;
use boot_netboot::server::{Event, EventKind, Serve, Server};
use boot_netboot::time::Instant;

use super::counts::Counts;
use super::events::{LinkEvent, Outbox, Standing, What};
use super::link_news::LinkNews;
use super::plan::Plan;
use super::sled_at::SledAt;
use super::state::Memory;
use super::{Shared, lock};
use crate::exit::Exit;
use crate::stderr::record::Level;

/// What one worker does beside serving: it drains events, keeps its server's images current,
/// and knows when to end.
pub(crate) struct Attendant<'a> {
    pub(crate) index: usize,
    /// The name of the worker's link.
    link: &'a str,
    pub(crate) shared: &'a Shared,
    /// The plan that it follows, and which edition of all plans that is.
    pub(crate) plan: Arc<Plan>,
    planned: u64,
    /// What sleds have taken, as far as that is kept already.
    known: HashMap<MacAddr, Checksum>,
    /// What the system called the link at the start, and what it calls it now.
    first_called: String,
    called: String,
    outbox: Outbox,
    /// When to report next how things stand.
    next_standing: Instant,
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
    /// The link's total downtime when it was last up again.
    told_down: Duration,
    news: LinkNews,
}

impl<'a> Attendant<'a> {
    /// The attendant of worker `index`; `known` is which images its sleds took before.
    pub(super) fn new(
        index: usize,
        shared: &'a Shared,
        plan: Arc<Plan>,
        known: HashMap<MacAddr, Checksum>,
        link: &dyn Datalink,
    ) -> Self {
        let name = &shared.links[index];
        let called = link.current_name().to_owned();
        Self {
            index,
            link: name,
            shared,
            unsettled: plan.serve == Serve::First,
            plan,
            planned: 0,
            known,
            first_called: called.clone(),
            called,
            outbox: Outbox::new(shared.events.clone(), name),
            next_standing: Instant::ZERO,
            edition: 0,
            next_look: Instant::ZERO,
            look: 0,
            held: false,
            last_turn: Instant::ZERO,
            received: 0,
            told_down: Duration::ZERO,
            news: LinkNews::new(link),
        }
    }
}

impl Attendant<'_> {
    /// How often to poll what sends no notification: signals, other workers.
    const TICK: Duration = Duration::from_millis(200);
    /// While an image is being loaded, sleds may wait for it.
    const IMPATIENT: Duration = Duration::from_millis(10);
    /// A look at the files takes less than this, and every new boot waits for one.
    const LOOK: Duration = Duration::from_micros(250);
    /// How often to report how things stand.
    const STANDING: Duration = Duration::from_millis(500);

    /// Called once for each turn of the loop. Returns until when it may wait, or how it ends.
    pub(super) fn attend(
        &mut self,
        now: Instant,
        server: &mut Server,
        link: &mut dyn Datalink,
    ) -> ControlFlow<anyhow::Result<Exit>, Instant> {
        self.shared.turns.turned(self.index);
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
            self.outbox.sled(now, &event);
            if let EventKind::Finished(_) = event.kind {
                self.keep(event.sled, server);
            }
            if let Some(error) = self.handle(now, &event) {
                return ControlFlow::Break(Err(error));
            }
        }
        while let Some(event) = server.poll_group_event() {
            eventful = true;
            self.outbox.group(event);
        }
        self.keep_current(server);
        let loading = self.shared.store.is_loading();
        if loading && server.images().is_empty() {
            self.shared.silence.wait(now);
        }
        if eventful || now >= self.next_look {
            self.next_look = now + Self::TICK;
            self.outbox.tell_left_out(now);
            self.publish(server, link);
            self.tell_standing(now, server);
            self.follow(now, server, link);
            if self.shared.signals.take_user() {
                self.shared.tell_counts(true);
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

    /// Restricts this server to the first sled of all workers, which is `sled` if there was none
    /// before. Returns whether it is.
    fn settle(&mut self, sled: MacAddr, server: &mut Server) -> bool {
        let mut first = lock(&self.shared.first);
        let is_first = first.is_none();
        let this = || SledAt { link: Some(self.link.to_owned()), address: sled };
        server.set_serve(self.only(first.get_or_insert_with(this)));
        self.unsettled = false;
        is_first
    }

    /// Takes over the sled that another worker has settled on.
    fn adopt_settled(&mut self, server: &mut Server) {
        if self.unsettled
            && let Some(first) = &*lock(&self.shared.first)
        {
            server.set_serve(self.only(first));
            self.unsettled = false;
        }
    }

    /// What this worker serves if only `sled` is to be served.
    fn only(&self, sled: &SledAt) -> Serve {
        let here = sled.link.as_deref() == Some(self.link);
        Serve::These(here.then_some(sled.address).into_iter().collect())
    }

    /// Records which image a sled has booted from, if that is certain.
    fn keep(&mut self, sled: MacAddr, server: &mut Server) {
        let booted = server.remembered().find(|(known, _)| *known == sled);
        let Some((_, image)) = booted else { return };
        let shared = self.shared;
        let service = shared.store.service();
        match shared.plan.spend(&self.first_called, sled, image, &service) {
            None => {
                self.tell_learnt(sled, image);
                forget_old(&mut self.known, server);
            }
            Some(image) => {
                let link = self.link;
                let text = format!(
                    "{link}/{sled} has booted {image} once: from now on it boots as before"
                );
                self.outbox.put(Some(sled), What::Notice(Level::Info, text));
                server.disregard_boot(sled, self.known.get(&sled).copied());
                shared.keep_plan();
            }
        }
    }

    /// Keeps, at the end, what no event has reported: of too many events, some are lost.
    pub(super) fn keep_rest(&mut self, server: &Server) {
        for (sled, image) in server.remembered() {
            if self.known.get(&sled) != Some(&image) {
                self.tell_learnt(sled, image);
            }
        }
    }

    fn tell_learnt(&mut self, sled: MacAddr, image: Checksum) {
        self.known.insert(sled, image);
        self.shared.learnt.tell(SledAt { link: Some(self.called.clone()), address: sled }, image);
    }

    /// Acts on an event. Returns why the server has to end, if it has to.
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
        match &self.plan.serve {
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
            if let Some(fetcher) = self.shared.fetcher.get() {
                fetcher.look_again();
            }
            self.shared.reload.wake();
        }
        let planned = self.shared.plan.edition();
        let replanned = planned != self.planned;
        if replanned {
            self.planned = planned;
            self.go_by(self.shared.plan.plan(), server);
        }
        // Asked before the edition: what a look has found is in service when it is done.
        let held = !store.has_looked(self.look);
        let edition = store.edition();
        if replanned || edition != self.edition {
            let service = store.service();
            if edition != self.edition {
                self.edition = edition;
                server.set_images(service.images.clone());
            }
            server.assign(self.shared.plan.assigned(&self.first_called, &service));
        }
        if held != self.held {
            self.held = held;
            server.hold_offers(held);
        }
    }

    /// Applies `plan` to new boots.
    fn go_by(&mut self, plan: Arc<Plan>, server: &mut Server) {
        let pace = plan.rates.of(&self.first_called);
        if pace != self.plan.rates.of(&self.first_called) {
            server.set_pace(self.shared.pace(pace));
        }
        if plan.serve != self.plan.serve {
            server.set_serve(plan.serve.clone());
        }
        self.plan = plan;
    }

    /// Adapts to what has changed about the link.
    fn follow(&mut self, now: Instant, server: &mut Server, link: &mut dyn Datalink) {
        server.set_address(link.address());
        link.hear_also(&server.former_addresses(now));
        if self.called != link.current_name() {
            link.current_name().clone_into(&mut self.called);
        }
        if self.is_first_of_link() {
            let as_us = link.counters().as_us;
            for event in self.news.events(now, link, as_us) {
                self.outbox.link(event);
            }
        }
    }

    /// Reports how things stand, if the report is wanted.
    fn tell_standing(&mut self, now: Instant, server: &Server) {
        if now < self.next_standing || !self.shared.events.wants_standings() {
            return;
        }
        self.next_standing = now + Self::STANDING;
        self.outbox.put(None, self.standing(now, server));
    }

    fn standing(&self, now: Instant, server: &Server) -> What {
        let counts = lock(&self.shared.counts)[self.index];
        let sleds = server.sleds().collect();
        What::Standing(Box::new(Standing { worker: self.index, now, counts, sleds }))
    }

    /// Whether this worker is the one that reports on its link.
    fn is_first_of_link(&self) -> bool {
        self.index == 0 || self.shared.links[self.index - 1] != self.link
    }

    /// Shows all workers what this one has counted. A link's first worker reports that it went down
    /// or came up again.
    pub(super) fn publish(&mut self, server: &Server, link: &mut dyn Datalink) {
        let (server, group) = (server.counters(), server.group());
        let counts = Counts { link: link.counters(), server, group };
        let before = std::mem::replace(&mut lock(&self.shared.counts)[self.index], counts).link;
        let now = counts.link;
        if self.is_first_of_link() {
            let went_down = now.downs > before.downs;
            if went_down {
                self.outbox.link(LinkEvent::Down);
            }
            if (went_down || before.is_down) && !now.is_down {
                let after = now.down_time.saturating_sub(self.told_down);
                self.outbox.link(LinkEvent::Up { after });
                self.told_down = now.down_time;
            }
        }
    }
}

/// Drops entries of sleds that the server has forgotten: new addresses never end.
fn forget_old(known: &mut HashMap<MacAddr, Checksum>, server: &Server) {
    /// A pass over all entries then frees half of them at least.
    const MOST: usize = 2 * Memory::MOST;
    if known.len() > MOST {
        let remembered: HashSet<_> = server.remembered().map(|(sled, _)| sled).collect();
        known.retain(|sled, _| remembered.contains(sled));
    }
}

#[cfg(test)]
mod tests {
    use boot_netboot::server::Config;

    use super::*;

    #[test]
    fn what_sleds_took_is_known_as_long_as_the_server_remembers_it() {
        let image = Checksum::from_bytes([7; 32]);
        let sled = |number| MacAddr::new([2, 0, 0, 0, 0, 0]).nth_after(number);
        let mut server = Server::new(Config::new(sled(0), Serve::All));
        let mut known = HashMap::new();
        for number in 0..3 * Memory::MOST as u16 {
            server.remember(sled(number), image);
            known.insert(sled(number), image);
            forget_old(&mut known, &server);
            assert!(known.len() <= 2 * Memory::MOST);
        }
        assert!(server.remembered().all(|(sled, image)| known.get(&sled) == Some(&image)));
    }
}
