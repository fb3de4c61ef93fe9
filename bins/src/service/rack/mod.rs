//! The model of the rack: what is known about each sled, image and link. It is built from events,
//! and bounded whatever stations claim.

mod history;
mod images;
mod links;
mod sled;
#[cfg(test)]
mod tests;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use boot_format::Checksum;
use boot_format::wire::MacAddr;
use boot_netboot::server::{EventKind, SledStatus, Stage};

use self::history::History;
use self::images::Images;
use self::links::Links;
pub(crate) use self::sled::{Delta, Sled, State};
use super::events::{Event, Names, Standing, What};
use crate::stderr::record::Record;

/// A sled on a link.
pub(crate) type Key = (Arc<str>, MacAddr);

/// The rack.
#[derive(Debug, Default)]
pub(crate) struct Rack {
    sleds: BTreeMap<Key, Sled>,
    ignored: VecDeque<Ignored>,
    images: Images,
    links: Links,
    history: History,
    events: VecDeque<(u64, Record)>,
    next_event: u64,
    lost: u64,
    deltas: Vec<Delta>,
    /// Counts up with each change.
    version: u64,
}

/// A sled that asks to be served, but is not one of those that are.
#[derive(Clone, Debug)]
pub(crate) struct Ignored {
    pub(crate) link: Arc<str>,
    pub(crate) sled: MacAddr,
    pub(crate) name: Option<Arc<str>>,
    pub(crate) seen: SystemTime,
}

impl Rack {
    /// As many as a server has sessions.
    const MOST_SLEDS: usize = 1024;
    /// Enough to find the wanted one among them.
    const MOST_IGNORED: usize = 64;
    const MOST_EVENTS: usize = 256;

    /// Takes in an event.
    pub(crate) fn note(&mut self, now: Instant, event: &Event, names: &Names) {
        self.version += 1;
        match &event.what {
            What::Sled(EventKind::NotServed) => self.ignore(event),
            What::Sled(EventKind::Evicted) => {
                if let Some(key) = key(event) {
                    self.sleds.remove(&key);
                }
            }
            What::Sled(kind) => {
                if let Some((sled, key)) = self.sled(event) {
                    let delta = sled.note(now, event.time, kind);
                    self.add(event.time, &key, delta);
                }
            }
            What::Link(link) => self.links.note(event.link.as_ref(), link),
            What::Image(image) => self.images.note(event.time, image),
            What::InService(images) => self.images.serve(images),
            What::Judged(judged) => self.images.judge(judged),
            What::Standing(standing) => self.stand(now, event, standing, names),
            What::Lost(count) => self.lost += count,
            _ => {}
        }
    }

    /// Keeps a record of the log.
    pub(crate) fn remember(&mut self, record: Record) {
        self.version += 1;
        if self.events.len() == Self::MOST_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back((self.next_event, record));
        self.next_event += 1;
    }

    /// What sleds have received since the last call.
    pub(crate) fn take_deltas(&mut self) -> Vec<Delta> {
        std::mem::take(&mut self.deltas)
    }

    /// Changes whenever anything here changes.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// How many events were lost.
    pub(crate) fn lost(&self) -> u64 {
        self.lost
    }

    /// Why no sled is served, if that is so.
    pub(crate) fn illness(&self, now: Instant) -> Option<&'static str> {
        self.links.illness(now)
    }

    pub(crate) fn sleds(&self) -> impl Iterator<Item = (&Key, &Sled)> {
        self.sleds.iter()
    }

    pub(crate) fn links(&self) -> &Links {
        &self.links
    }

    pub(crate) fn images(&self) -> &Images {
        &self.images
    }

    pub(crate) fn ignored(&self) -> &VecDeque<Ignored> {
        &self.ignored
    }

    /// Which image the sled of `event` boots, or has booted.
    pub(crate) fn image_of(&self, event: &Event) -> Option<Checksum> {
        self.sleds.get(&key(event)?)?.image
    }

    /// The name within the header of an image, if it is known.
    pub(crate) fn name_of_image(&self, image: Checksum) -> &str {
        self.images.name_of(image)
    }

    fn ignore(&mut self, event: &Event) {
        let Some((link, sled)) = key(event) else { return };
        self.ignored.retain(|known| (&known.link, known.sled) != (&link, sled));
        if self.ignored.len() == Self::MOST_IGNORED {
            self.ignored.pop_front();
        }
        self.ignored.push_back(Ignored { link, sled, name: event.name.clone(), seen: event.time });
    }

    /// The sled of `event`; makes room for a new one.
    fn sled(&mut self, event: &Event) -> Option<(&mut Sled, Key)> {
        let key = key(event)?;
        self.make_room(&key);
        let sled = self.sleds.entry(key.clone()).or_insert_with(|| Sled::new(event.time));
        sled.name.clone_from(&event.name);
        Some((sled, key))
    }

    /// The sled that has been silent longest gives way; one that boots, only if all are booting.
    fn make_room(&mut self, key: &Key) {
        if self.sleds.len() < Self::MOST_SLEDS || self.sleds.contains_key(key) {
            return;
        }
        let oldest = self.sleds.iter().min_by_key(|(_, sled)| (sled.state.is_boot(), sled.seen));
        if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
            self.sleds.remove(&oldest);
        }
    }

    fn stand(&mut self, now: Instant, event: &Event, standing: &Standing, names: &Names) {
        let Some(link) = &event.link else { return };
        self.links.stand(now, link, standing);
        for status in &standing.sleds {
            self.stand_sled(now, event, link, standing, status, names);
        }
    }

    fn stand_sled(
        &mut self,
        now: Instant,
        event: &Event,
        link: &Arc<str>,
        standing: &Standing,
        status: &SledStatus,
        names: &Names,
    ) {
        let key = (Arc::clone(link), status.sled);
        // A sled that only says hello is known from its event, or did not fit the queue.
        if !self.sleds.contains_key(&key) && status.stage < Stage::Reading {
            return;
        }
        self.make_room(&key);
        let sled = self.sleds.entry(key.clone()).or_insert_with(|| Sled::new(event.time));
        sled.name = names.of(Some(link), status.sled);
        let seen = event.time.checked_sub(standing.now.since(status.heard));
        sled.seen = seen.unwrap_or(event.time);
        let delta = sled.stand(now, status);
        self.add(event.time, &key, delta);
    }

    fn add(&mut self, time: SystemTime, (link, _): &Key, delta: Option<Delta>) {
        let Some(mut delta) = delta else { return };
        self.history.add(time, delta.bytes, delta.asked + delta.early);
        delta.link = Some(Arc::clone(link));
        self.deltas.push(delta);
    }
}

fn key(event: &Event) -> Option<Key> {
    Some((event.link.clone()?, event.sled?))
}
