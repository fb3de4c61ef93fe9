//! Which sleds wait for which, and when a group begins.

use std::time::Duration;

use boot_format::wire::MacAddr;
use boot_image::Contents;

use super::event::{GroupEvent, OneByOne};
use super::members::{BATCH, Group};
use super::{Groups, Phase};
use crate::server::Server;
use crate::server::sled::Stage;
use crate::server::table::SledId;
use crate::time::Instant;

impl Server {
    /// A sled has said HELLO.
    pub(in crate::server) fn greet(&mut self, now: Instant, id: SledId) {
        let sled = self.sleds.get(id);
        let (address, waits) = (sled.address, sled.stage == Stage::Waiting);
        let since = sled.waits_since(now);
        let Some(groups) = self.groups.as_deref_mut().filter(|_| waits) else {
            return;
        };
        groups.begin(id, address);
        groups.other_server = groups.other_server.filter(|_| groups.has_other_server(now));
        let apart = matches!(groups.phase, Phase::Apart) && groups.waiting.is_empty();
        if apart && (now < groups.apart || groups.has_other_server(now)) {
            groups.invited.insert(id);
            return;
        }
        groups.invited.remove(&id);
        if groups.waiting.is_empty() {
            groups.told_waiting = false;
            groups.tell(GroupEvent::Gathering { window: groups.how.gather });
        }
        groups.waiting.entry(id).or_insert(since);
    }

    /// Another station of this segment acts as a server: it sent, or was sent, what only servers
    /// send or are sent.
    pub(in crate::server) fn note_server(&mut self, now: Instant, server: MacAddr) {
        let Some(groups) = self.groups.as_deref_mut().filter(|_| server.is_station()) else {
            return;
        };
        if !groups.has_other_server(now) {
            groups.tell(GroupEvent::OtherServer { server });
        }
        groups.other_server = Some(now);
    }

    /// When groups next need attention, other than for sending.
    pub(in crate::server) fn groups_due(&self) -> Option<Instant> {
        self.groups.as_deref()?.due(self.offers.withheld())
    }

    /// Does what has become due for groups.
    pub(in crate::server) fn attend_to_groups(&mut self, now: Instant) {
        let Some(groups) = self.groups.as_deref() else {
            return;
        };
        match &groups.phase {
            Phase::Apart => self.attend_apart(now),
            Phase::Offered(until, group) if *until <= now || group.invited.is_empty() => {
                if self.has_offers_to_make(group) {
                    self.prolong_invitation(now);
                } else {
                    self.close_invitation(now);
                }
            }
            Phase::Offered(..) => {}
            Phase::InStep(_) => self.attend_in_step(now),
        }
    }

    fn attend_apart(&mut self, now: Instant) {
        let Some(groups) = self.groups.as_deref_mut() else {
            return;
        };
        let gathered = groups.gathered().is_some_and(|due| due <= now);
        if gathered && !self.offers.withheld() && (!groups.told_waiting || groups.next_look <= now)
        {
            groups.next_look = now + Groups::LOOK;
            self.gathered(now);
        } else if groups.next_look <= now && !gathered {
            groups.next_look = now + Groups::LOOK;
            self.draw_together(now);
        }
    }

    /// The gathering window is over.
    fn gathered(&mut self, now: Instant) {
        let Some(image) = self.most_wanted(now) else {
            return;
        };
        let (reading, left) = self.reading(now);
        let wanted = image.checksum();
        let Some(groups) = self.groups.as_deref_mut() else {
            return;
        };
        let waited = groups.gathered().map_or(Duration::ZERO, |due| now.since(due));
        let wants = |id: &SledId| self.offers.next(self.sleds.get(*id)).map(Contents::checksum);
        let all = groups.waiting.keys().copied();
        let invited: Vec<_> = all.filter(|id| wants(id) == Some(wanted)).collect();
        let sleds = invited.len();
        let expected = groups.estimates.expected(sleds, self.loss.of_link());
        let batches = (image.size() as u64).div_ceil(BATCH);
        // Their wait is bounded by what is gained, whatever the sleds in mid-boot do.
        let others = groups.estimates.time_of(left);
        let why = if groups.has_other_server(now) {
            Some(OneByOne::OtherServer)
        } else if sleds < 2 || now < groups.apart || expected.speaks_for_one_by_one() {
            Some(OneByOne::Faster)
        } else if reading == 0 {
            None
        } else if waited + others < expected.gain(batches) {
            if !std::mem::replace(&mut groups.told_waiting, true) {
                groups.tell(GroupEvent::Waiting { sleds: groups.waiting.len(), reading });
            }
            return;
        } else {
            Some(OneByOne::OthersRead)
        };
        groups.told_waiting = false;
        let Some(why) = why else {
            let mut group = Group::new(image, now);
            group.invited.extend(&invited);
            groups.phase = Phase::Offered(now + Groups::TO_READ, group);
            groups.tell(GroupEvent::Offered { sleds, checksum: wanted });
            return self.invite(invited);
        };
        let all: Vec<_> = groups.waiting.keys().copied().collect();
        if sleds > 1 {
            groups.tell(GroupEvent::OneByOne { sleds: all.len(), why, expected });
            groups.apart = groups.apart.max(now + Groups::APART);
        }
        self.invite(all);
    }

    /// The image that most waiting sleds want; or that of the first, which must not wait forever.
    fn most_wanted(&mut self, now: Instant) -> Option<Contents> {
        /// Enough for several groups.
        const PATIENCE: Duration = Duration::from_mins(1);
        let groups = self.groups.as_deref_mut()?;
        let mut wanted: Vec<(usize, Instant, Contents)> = Vec::new();
        let mut none = Vec::new();
        for (&id, &since) in &groups.waiting {
            let Some(image) = self.offers.next(self.sleds.get(id)) else {
                // Its image is not in service; it will ask again.
                none.push(id);
                continue;
            };
            match wanted.iter_mut().find(|(_, _, known)| known.same_memory(image)) {
                Some((count, first, _)) => (*count, *first) = (*count + 1, since.min(*first)),
                None => wanted.push((1, since, image.clone())),
            }
        }
        self.invite(none);
        wanted.sort_by_key(|&(count, first, _)| {
            (now.since(first) < PATIENCE, std::cmp::Reverse(count), first)
        });
        wanted.into_iter().next().map(|(_, _, image)| image)
    }

    /// Releases the OFFERs of sleds.
    fn invite(&mut self, sleds: Vec<SledId>) {
        for id in sleds {
            if let Some(groups) = self.groups.as_deref_mut() {
                groups.waiting.remove(&id);
                groups.invited.insert(id);
            }
            self.sleds.reconsider(id);
        }
    }

    /// How many sleds are in mid-boot, and how many bytes they still need.
    fn reading(&self, now: Instant) -> (usize, u64) {
        let reading = self.sleds.iter().filter(|(_, sled)| sled.reads(now));
        reading.fold((0, 0), |(count, left), (_, sled)| (count + 1, left + sled.left()))
    }

    /// Whether OFFERs to invited sleds are still outstanding: those due a second after the frame
    /// that woke a sled, or when images are no longer held, unless some sleds read already.
    fn has_offers_to_make(&self, group: &Group) -> bool {
        let held = self.offers.withheld() && group.len() > 0;
        let is_due = |id: &SledId| {
            let sled = self.sleds.get(*id);
            // A sled that has said HELLO again waits for the next group.
            let waits = self.groups.as_deref().is_some_and(|groups| groups.withholds(*id, sled));
            sled.stage == Stage::Waiting && sled.offer_due.is_some() && !waits
        };
        !held && group.invited.iter().any(is_due)
    }

    fn prolong_invitation(&mut self, now: Instant) {
        if let Some(Phase::Offered(until, _)) =
            self.groups.as_deref_mut().map(|groups| &mut groups.phase)
        {
            *until = now + Groups::TO_READ;
        }
    }

    /// Sleds that have not read by now do not belong to the group.
    fn close_invitation(&mut self, now: Instant) {
        let Some(groups) = self.groups.as_deref_mut() else {
            return;
        };
        let Phase::Offered(_, mut group) = std::mem::replace(&mut groups.phase, Phase::Apart)
        else {
            return;
        };
        for id in &group.invited {
            groups.invited.remove(id);
        }
        if group.len() < 2 {
            return self.disband(now);
        }
        group.start(now);
        let members = group.len();
        let expected = groups.estimates.expected(members, self.loss.of_link());
        groups.tell(GroupEvent::InStep { members, position: 0, expected });
        groups.phase = Phase::InStep(group);
    }

    /// The group ends: members are sent what they have asked for one by one, and sleds that wait
    /// for an OFFER are gathered.
    pub(super) fn disband(&mut self, now: Instant) {
        for id in self.sleds.ids() {
            let sled = self.sleds.get(id);
            if sled.stage == Stage::Reading && sled.asked.is_pending() {
                self.turns.ask(id, sled.known);
            }
        }
        if let Some(groups) = self.groups.as_deref_mut() {
            groups.phase = Phase::Apart;
            groups.looked = None;
            groups.next_look = now + Groups::LOOK;
        }
        self.sleds.reconsider_all();
    }

    /// Sleds that read the same image one by one continue in step, if that is much faster.
    fn draw_together(&mut self, now: Instant) {
        let reading = self.sleds.iter().filter(|(_, sled)| sled.reads(now));
        let reading: Vec<_> = reading.map(|(id, _)| id).collect();
        let Some(groups) = self.groups.as_deref_mut() else {
            return;
        };
        let looked = groups.looked.take();
        let [first, _, ..] = reading[..] else {
            return;
        };
        groups.looked = Some((now, self.released));
        if let Some((at, data)) = looked.filter(|(at, _)| now.since(*at) <= 2 * Groups::LOOK) {
            groups.estimates.sent_apart(self.released - data, now.since(at));
        }
        if now < groups.apart || groups.has_other_server(now) {
            return;
        }
        // Sleds that have asked for everything only need repairs.
        let Some(image) = self.sleds.get(first).image.clone() else {
            return;
        };
        let position = reading.iter().map(|&id| self.sleds.get(id).frontier).max().unwrap_or(0);
        let mut behind = 0;
        for &id in &reading {
            let sled = self.sleds.get(id);
            let same = sled.image.as_ref().is_some_and(|own| own.same_memory(&image));
            if !same || !sled.known || !sled.frontier.is_multiple_of(BATCH) {
                return;
            }
            behind += position - sled.frontier;
        }
        let members = reading.len();
        let expected = groups.estimates.expected(members, self.loss.of_link());
        let mut group = Group::new(image, now);
        group.position = position;
        let cost = groups.estimates.time_of(behind);
        // The time in which they come together must pay off.
        if !expected.speaks_for_step() || 2 * cost >= expected.gain(group.batches_left()) {
            return;
        }
        for id in reading {
            group.join(id);
        }
        groups.tell(GroupEvent::InStep { members, position, expected });
        groups.phase = Phase::InStep(group);
    }
}
