//! The boot server as a state machine, for any number of sleds on one link.
//!
//! ```text
//! frame  -> Station::handle_frame
//!           Station::poll_transmit -> frames, each a head and a slice of the image
//!           Station::poll_timeout  -> when to call again
//!           Server::poll_event     -> what happened
//! ```

mod addresses;
mod admission;
mod agenda;
mod asked;
mod config;
mod event;
mod group;
mod limit;
mod offers;
mod order;
mod pace;
mod receive;
mod recovery;
mod remembered;
mod send;
mod sent_batch;
mod sightings;
mod sled;
mod sled_id;
mod strangers;
mod table;
#[cfg(test)]
mod tests;
mod turns;
mod unserved;

use std::collections::{HashMap, VecDeque};

use boot_format::Checksum;
use boot_format::wire::{Frame, FrameType, Head, MacAddr, Message};
use boot_image::Contents;

use self::addresses::Addresses;
use self::admission::Admission;
use self::agenda::Agenda;
use self::group::Groups;
use self::offers::Offers;
use self::pace::Pacer;
use self::receive::Handled;
use self::recovery::BaselineLoss;
use self::sled_id::SledId;
use self::table::Table;
use self::turns::Turns;
use self::unserved::Unserved;
use crate::batch::Batch;
use crate::station::Station;
use crate::time::Instant;

pub use self::config::{Config, Serve};
pub use self::event::{Counters, Event, EventKind, Summary};
pub use self::group::{Expected, GroupEvent, GroupStatus, Leaving, OneByOne, Together};
pub use self::pace::Pace;
pub use self::sled::{SledStatus, Stage};

/// The boot server of one link.
#[derive(Debug)]
pub struct Server {
    addresses: Addresses,
    serve: Serve,
    offers: Offers,
    sleds: Table,
    turns: Turns,
    agenda: Agenda,
    pacer: Pacer,
    /// The groups that boot in step, if that is configured.
    groups: Option<Box<Groups>>,
    /// How often batches lose a frame on this link.
    loss: BaselineLoss,
    /// The sled that answered last, and how many answers in a row are its own.
    row: Option<(SledId, u32)>,
    retransmit: bool,
    /// Sleds that are owed a RESET, and the event to report.
    resets: VecDeque<(MacAddr, EventKind)>,
    /// Which senders without a session get an OFFER, and which a RESET.
    hellos: Admission,
    reads: Admission,
    unserved: Unserved,
    last_heard: Option<Instant>,
    events: VecDeque<Event>,
    counters: Counters,
    /// DATA frames handed to the link: batches are compared by this count, not by time.
    released: u64,
}

impl Server {
    const MOST_EVENTS: usize = 4096;
    /// One for each session.
    const MOST_RESETS: usize = 1024;

    /// A server without images: it makes no offers until [`Server::set_images`].
    pub fn new(config: Config) -> Self {
        Self {
            addresses: Addresses::new(config.address),
            serve: config.serve,
            offers: Offers::default(),
            sleds: Table::new(config.max_sessions),
            turns: Turns::new(config.pace == Pace::Unlimited),
            agenda: Agenda::default(),
            pacer: Pacer::of_link(config.pace),
            groups: config.together.map(|how| Box::new(Groups::new(how))),
            loss: BaselineLoss::default(),
            row: None,
            retransmit: config.retransmit,
            resets: VecDeque::new(),
            hellos: Admission::of_hellos(config.key),
            reads: Admission::of_reads(config.key),
            unserved: Unserved::new(),
            last_heard: None,
            events: VecDeque::new(),
            counters: Counters::default(),
            released: 0,
        }
    }

    /// Puts `images` in service for boots that begin from now on. Boots under way keep the image
    /// they were offered. Of images with equal checksums, the first is used.
    pub fn set_images(&mut self, images: Vec<Contents>) {
        self.offers.set_images(images);
        self.sleds.reconsider_all();
    }

    /// The link's address has changed to `address`: sends from there, and listens there. A sled in
    /// mid-boot keeps asking at the former one: see [`Server::former_addresses`].
    pub fn set_address(&mut self, address: MacAddr) {
        if address == self.addresses.own() {
            return;
        }
        self.addresses.change(address);
        for id in self.sleds.ids() {
            self.sleds.change(id).unheard = true;
        }
    }

    /// The link's former addresses that boots under way at `now` still need: the link should accept
    /// frames for them. A sled that can't be heard at any of them is sent a RESET.
    pub fn former_addresses(&mut self, now: Instant) -> Vec<MacAddr> {
        let sleds = &self.sleds;
        self.addresses.keep_former(|id| {
            sleds.iter().any(|(_, sled)| sled.is_booting(now) && sled.asks_at(id))
        })
    }

    /// The images in service.
    pub fn images(&self) -> &[Contents] {
        self.offers.images()
    }

    /// Assigns images to sleds, by checksum: an assigned sled is offered no other.
    pub fn assign(&mut self, assigned: HashMap<MacAddr, Checksum>) {
        self.offers.assign(assigned);
    }

    /// Restores what a sled booted before this server was started, so that it is offered that
    /// first.
    pub fn remember(&mut self, sled: MacAddr, image: Checksum) {
        self.offers.took(sled, image);
    }

    /// Forgets a sled's last boot: its next offer is of the image that it booted `before`, or of
    /// the first image.
    pub fn disregard_boot(&mut self, sled: MacAddr, before: Option<Checksum>) {
        match before {
            Some(image) => self.offers.took(sled, image),
            None => self.offers.forget(sled),
        }
        if let Some(id) = self.sleds.find(sled) {
            self.sleds.change(id).disregard_offer();
        }
    }

    /// Sends at `pace` from now on, and measures the link's rate again.
    pub fn set_pace(&mut self, pace: Pace) {
        self.pacer = Pacer::of_link(pace);
    }

    /// Which image each sled booted last, the most recent last.
    pub fn remembered(&self) -> impl Iterator<Item = (MacAddr, Checksum)> {
        self.offers.taken()
    }

    /// While `held`, no offers are made: the image is being checked, or is gone. Sleds that say
    /// HELLO meanwhile get their offer when that ends.
    pub fn hold_offers(&mut self, held: bool) {
        self.offers.hold(held);
        self.sleds.reconsider_all();
    }

    /// Takes the oldest event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Takes the oldest event of a group.
    pub fn poll_group_event(&mut self) -> Option<GroupEvent> {
        self.groups.as_deref_mut()?.poll_event()
    }

    /// The state of the sleds that boot in step, or wait to.
    pub fn group(&self) -> Option<GroupStatus> {
        self.groups.as_deref()?.status()
    }

    /// The counters.
    pub fn counters(&self) -> Counters {
        Counters { data: self.released, ..self.counters }
    }

    /// When any served sled was last heard from.
    pub fn last_heard(&self) -> Option<Instant> {
        self.last_heard
    }

    /// The checksums of the images that sessions hold in memory, in service or not, with
    /// duplicates.
    pub fn kept_images(&self) -> impl Iterator<Item = Checksum> {
        self.sleds.iter().flat_map(|(_, sled)| sled.held().map(Contents::checksum))
    }

    /// How many sleds have a session.
    pub fn sessions(&self) -> usize {
        self.sleds.len()
    }

    /// The status of each sled that has a session.
    pub fn sleds(&self) -> impl Iterator<Item = SledStatus> {
        self.sleds.iter().map(|(_, sled)| sled.status())
    }

    /// How many boots are under way, or may begin at any moment because an offer is outstanding.
    pub fn booting(&self, now: Instant) -> usize {
        self.sleds.iter().filter(|(_, sled)| sled.is_booting(now)).count()
    }

    /// Which sleds are served; after the first HELLO, [`Serve::First`] names its sled.
    pub fn serves(&self) -> &Serve {
        &self.serve
    }

    /// Changes which sleds are served. Sessions of other sleds end without a further frame.
    pub fn set_serve(&mut self, serve: Serve) {
        self.serve = serve;
        for id in self.sleds.ids() {
            if !self.is_served(self.sleds.get(id).address) {
                self.dismiss(id);
            }
        }
    }

    fn dismiss(&mut self, id: SledId) {
        self.sleds.change(id).dismiss();
        self.withdraw(id);
    }

    fn tell(&mut self, sled: MacAddr, kind: EventKind) {
        if self.events.len() == Self::MOST_EVENTS {
            self.events.pop_front();
            self.counters.events_lost += 1;
        }
        self.events.push_back(Event { sled, kind });
    }
}

impl Station for Server {
    fn handle_frame(&mut self, now: Instant, frame: &[u8]) {
        self.counters.received += 1;
        let Ok(frame) = Frame::parse(frame) else {
            self.counters.malformed += 1;
            return;
        };
        let source = frame.source;
        let to_us =
            frame.destination == self.addresses.own() || self.asks_at(source, frame.destination);
        let from_a_sled = source.is_station() && source != self.addresses.own();
        let handled = match frame.message {
            Message::Hello(_) if from_a_sled && (to_us || frame.destination.is_multicast()) => {
                self.handle_hello(now, source)
            }
            Message::Read(read) if from_a_sled && to_us => self.handle_read(now, source, &read),
            Message::Finished if from_a_sled && to_us => self.handle_finished(now, source),
            message => {
                self.note_stranger(now, source, frame.destination, &message);
                Handled::Ignored
            }
        };
        match handled {
            Handled::Served => self.last_heard = Some(now),
            Handled::Ignored => self.counters.ignored += 1,
        }
        self.settle();
    }

    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch) {
        while batch.room() > 0
            && let Some((sled, why)) = self.resets.pop_front()
        {
            batch.push_body(Head::new(sled, self.addresses.own(), FrameType::Reset, 0), &[]);
            self.tell(sled, why);
        }
        self.attend_to_groups(now);
        self.attend_to_due(now, batch);
        self.take_turns(now, batch);
        self.settle();
    }

    /// The sled's image is lost, so it must start over. It is sent one RESET, however many of its
    /// frames come back.
    fn handle_unreadable(&mut self, destination: MacAddr) {
        if destination == MacAddr::BROADCAST {
            let members = self.groups.as_deref().map_or_else(Vec::new, Groups::members);
            for id in members {
                self.handle_unreadable(self.sleds.get(id).address);
            }
        } else if let Some(id) = self.sleds.find(destination)
            && self.sleds.get(id).image.is_some()
        {
            self.dismiss(id);
            self.resets.push_back((destination, EventKind::Unreadable));
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if !self.resets.is_empty() || self.sleds.has_changed() {
            return Some(Instant::ZERO);
        }
        let turns = if self.is_stepping() { Some(Instant::ZERO) } else { self.turns.due() };
        let turns = turns.map(|due| due.max(self.pacer.next()));
        [turns, self.agenda.due(), self.groups_due()].into_iter().flatten().min()
    }
}
