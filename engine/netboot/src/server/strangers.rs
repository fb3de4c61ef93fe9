//! Who is served, and what happens to frames from others.

use boot_format::wire::{MacAddr, Message, Read, SLOTS};

use super::admission::Rank;
use super::event::EventKind;
use super::receive::Handled;
use super::sled::{Asks, Sled};
use super::sled_id::SledId;
use super::{Serve, Server};
use crate::time::Instant;

impl Server {
    /// A session for a sled that has none, if there is room.
    pub(super) fn admit(&mut self, now: Instant, source: MacAddr) -> Option<SledId> {
        let known = self.is_known(source);
        let rank = self.hellos.admits(now, source, known)?;
        self.settle();
        let room = self.sleds.room(now, rank)?;
        self.hellos.answer(source);
        let mut sled = Sled::new(source, now);
        sled.rank = rank;
        sled.pacer = self.pacer.of_sled();
        if rank < Rank::Known && self.hellos.is_strained(now) {
            sled.strain();
        }
        let (id, evicted) = self.sleds.insert(room, sled);
        if let Some(evicted) = evicted {
            self.turns.leave(id);
            if let Some(groups) = self.groups.as_deref_mut() {
                groups.forget(id, evicted.address);
            }
            self.tell(evicted.address, EventKind::Evicted);
        }
        Some(id)
    }

    /// Whether it is known to be a real sled.
    pub(super) fn is_known(&self, sled: MacAddr) -> bool {
        matches!(self.serve, Serve::These(_)) || self.offers.knows(sled)
    }

    /// The session of a READ, with an image to answer from.
    pub(super) fn session(
        &mut self,
        now: Instant,
        source: MacAddr,
        read: &Read<'_>,
    ) -> Option<SledId> {
        let id = self.sleds.find(source)?;
        let sled = self.sleds.change(id);
        let rode = self
            .groups
            .as_deref()
            .and_then(|groups| groups.carried(now, sled.offers, read.offsets().next()?));
        if sled.begins(read) || rode.is_some() && sled.is_to_begin() {
            let again = sled.begin(now, &self.offers);
            self.turns.leave(id);
            if let Some(groups) = self.groups.as_deref_mut() {
                groups.begin(id, source);
            }
            if again {
                self.tell(source, EventKind::Hello { again });
            }
        } else {
            match sled.asks(now, read) {
                Asks::Same => {}
                Asks::Other => self.turns.leave(id),
                Asks::Unclear => {
                    self.dismiss(id);
                    return None;
                }
            }
            sled.go_on(&self.offers);
        }
        let sled = self.sleds.change(id);
        if let Some(first) = rode.filter(|_| sled.boots == sled.offers) {
            sled.rode(first, read.offsets().count() == SLOTS);
        }
        sled.image.is_some().then_some(id)
    }

    /// Sends RESET to a sled that reads without an offer: it was served before this server was
    /// restarted.
    pub(super) fn refuse(&mut self, now: Instant, source: MacAddr) -> Handled {
        if self.serve != Serve::First && !self.is_served(source) {
            return self.ignore(now, source);
        }
        let known = self.is_known(source);
        if self.reads.admits(now, source, known).is_some() && self.resets.len() < Self::MOST_RESETS
        {
            self.reads.answer(source);
            self.resets.push_back((source, EventKind::Reset));
        } else {
            self.counters.resets_withheld += 1;
        }
        Handled::Served
    }

    /// A sled that is not served asks.
    pub(super) fn ignore(&mut self, now: Instant, source: MacAddr) -> Handled {
        if self.unserved.is_news(now, source) {
            self.tell(source, EventKind::NotServed);
        }
        Handled::Ignored
    }

    /// Whether `sled` was made an offer from the former `address`, and so sends there. Frames from
    /// others are for the station that has that address now.
    pub(super) fn asks_at(&self, sled: MacAddr, address: MacAddr) -> bool {
        let former = self.addresses.find_former(address);
        former.zip(self.sleds.find(sled)).is_some_and(|(id, sled)| self.sleds.get(sled).asks_at(id))
    }

    /// A frame that is not for this server may reveal another server.
    pub(super) fn note_stranger(
        &mut self,
        now: Instant,
        source: MacAddr,
        destination: MacAddr,
        message: &Message<'_>,
    ) {
        let server = match message {
            Message::Offer(_) | Message::Data(_) | Message::Reset => source,
            Message::Read(_) | Message::Finished => destination,
            Message::Hello(_) => return,
        };
        let ours = self.addresses.own() == server || self.addresses.find_former(server).is_some();
        if !ours {
            self.note_server(now, server);
        }
    }

    pub(super) fn is_served(&self, sled: MacAddr) -> bool {
        match &self.serve {
            Serve::All => true,
            Serve::First => false,
            Serve::These(sleds) => sleds.contains(&sled),
        }
    }
}
