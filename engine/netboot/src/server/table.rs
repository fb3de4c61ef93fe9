//! The sessions: one per sled, a bounded number of them.

use std::collections::HashMap;
use std::time::Duration;

use boot_format::wire::MacAddr;

use super::admission::Rank;
use super::limit::Limit;
use super::order::Order;
use super::sled::{Loss, Sled, Turn, Worth};
pub(super) use super::sled_id::SledId;
use crate::time::Instant;

/// All sessions, found by address.
#[derive(Debug)]
pub(super) struct Table {
    sleds: Vec<Sled>,
    by_address: HashMap<MacAddr, SledId>,
    /// A lower bound of what each session is worth. A session that has become worth more is updated
    /// only when it comes first, so a READ costs nothing here.
    worths: Order<Worth>,
    /// Sleds that have changed and must be rescheduled, with duplicates.
    changed: Vec<SledId>,
    most: usize,
    /// How often a boot gives way to a sled that came back in time, and to a known one.
    displacements: [Limit; 2],
}

impl Table {
    /// So a boot keeps its place for two minutes on average, whoever else wants it: longer than any
    /// boot takes on a link without strangers.
    const LEFT_ALONE: usize = 128;
    /// The known sleds of two racks can come up at once.
    const KNOWN_AT_ONCE: u32 = 64;

    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        let per_second = most.div_ceil(Self::LEFT_ALONE) as u32;
        Self {
            sleds: Vec::new(),
            by_address: HashMap::new(),
            worths: Order::default(),
            changed: Vec::new(),
            most,
            displacements: [
                Limit::new(per_second, per_second),
                Limit::new(Self::KNOWN_AT_ONCE, Self::KNOWN_AT_ONCE),
            ],
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sleds.len()
    }

    pub(super) fn find(&self, address: MacAddr) -> Option<SledId> {
        self.by_address.get(&address).copied()
    }

    pub(super) fn get(&self, id: SledId) -> &Sled {
        &self.sleds[id.index()]
    }

    /// A sled, to change it. It is rescheduled whatever the change.
    pub(super) fn change(&mut self, id: SledId) -> &mut Sled {
        self.reconsider(id);
        &mut self.sleds[id.index()]
    }

    /// A sled, to send it what it has asked for.
    pub(super) fn turn(&mut self, id: SledId) -> Turn<'_> {
        Turn::of(&mut self.sleds[id.index()])
    }

    /// Reschedules a sled, because what it waits for has changed.
    pub(super) fn reconsider(&mut self, id: SledId) {
        if self.changed.last() != Some(&id) {
            self.changed.push(id);
        }
    }

    /// Reschedules all sleds.
    pub(super) fn reconsider_all(&mut self) {
        self.changed.clear();
        self.changed.extend((0..self.sleds.len()).map(SledId::new));
    }

    /// Whether a sled must be rescheduled.
    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Takes a sled that must be rescheduled. Its worth has been updated.
    pub(super) fn next_changed(&mut self) -> Option<SledId> {
        let id = self.changed.pop()?;
        self.worths.lower(id, self.get(id).worth());
        Some(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SledId, &Sled)> {
        self.sleds.iter().enumerate().map(|(index, sled)| (SledId::new(index), sled))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = SledId> + use<> {
        (0..self.sleds.len()).map(SledId::new)
    }

    /// Puts `sled` at a place from [`Table::room`], and returns the evicted sled's address.
    pub(super) fn insert(&mut self, place: Vacancy, sled: Sled) -> (SledId, Option<Sled>) {
        let address = sled.address;
        let worth = sled.worth();
        let (id, evicted) = match place {
            Vacancy::Free => {
                self.sleds.push(sled);
                (SledId::new(self.sleds.len() - 1), None)
            }
            Vacancy::Of(id) => {
                let evicted = std::mem::replace(&mut self.sleds[id.index()], sled);
                self.by_address.remove(&evicted.address);
                (id, Some(evicted))
            }
        };
        self.worths.note(id, Some(worth));
        self.reconsider(id);
        self.by_address.insert(address, id);
        (id, evicted)
    }

    /// A place at `now` for a sled of this rank, if there is one. When all are taken, a finished
    /// session gives way first, then a sled that has not read, then a boot that has only begun,
    /// then a boot; of equals, the one that has been silent longest. If all of them would be missed
    /// (see [`gives_way`]), the slowest boot gives way, but rarely.
    pub(super) fn room(&mut self, now: Instant, rank: Rank) -> Option<Vacancy> {
        debug_assert!(!self.has_changed(), "what sessions are worth has not been noted");
        if self.sleds.len() < self.most {
            return Some(Vacancy::Free);
        }
        let least = self.least();
        if gives_way(self.sleds[least.index()].worth(), now, rank) {
            return Some(Vacancy::Of(least));
        }
        self.displaced(now, rank).map(Vacancy::Of)
    }

    /// The boot under way that makes room for a sled of this rank: the slowest. Invented sleds may
    /// have taken all places and read just enough to keep them; a real boot is faster than that,
    /// and if all are real, each is one of many.
    fn displaced(&mut self, now: Instant, rank: Rank) -> Option<SledId> {
        let [back, known] = &mut self.displacements;
        let limit = match rank {
            Rank::New => return None,
            Rank::Back => back,
            Rank::Known => known,
        };
        let slowest = self
            .sleds
            .iter()
            .enumerate()
            .filter(|(_, sled)| sled.rank < Rank::Known)
            .filter_map(|(index, sled)| Some((sled.speed(now)?, SledId::new(index))))
            .min()?;
        limit.take(now).then_some(slowest.1)
    }

    /// The session that is worth least. Each one updated on the way has been heard from since its
    /// last update, so the work is bounded by the number of frames received.
    fn least(&mut self) -> SledId {
        loop {
            let (noted, id) = self.worths.first().expect("a table has at least one place");
            let worth = self.sleds[id.index()].worth();
            if worth == noted {
                return id;
            }
            self.worths.note(id, Some(worth));
        }
    }
}

/// A place in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Vacancy {
    /// Not taken.
    Free,
    /// Taken by this session.
    Of(SledId),
}

/// Whether a session makes room for a sled that has just said HELLO and will say it again: not if
/// its own next frame is due at any moment.
fn gives_way((loss, heard): Worth, now: Instant, newcomer: Rank) -> bool {
    /// From HELLO to its first READ a sled takes 50 ms and some console lines.
    const ABOUT_TO_READ: Duration = Duration::from_millis(150);
    /// A sled in mid-boot asks at least once a second, by its own timer.
    const BOOTING: Duration = Duration::from_secs(3);
    let patience = match loss {
        Loss::Nothing => Duration::ZERO,
        Loss::Hello(rank) if rank < newcomer => Duration::ZERO,
        Loss::Hello(_) => ABOUT_TO_READ,
        Loss::Beginning | Loss::Boot => BOOTING,
    };
    now.since(heard) >= patience
}

#[cfg(test)]
mod tests {
    use super::super::sled::Stage;
    use super::*;

    /// Random events on random sessions; every eviction is compared with an exhaustive search.
    #[test]
    fn the_evicted_session_is_the_one_worth_least_of_all() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let most = random.usize(1..20);
            let mut table = Table::new(most);
            let mut now = Instant::ZERO;
            for number in 0..2000 {
                // Several events share one moment.
                now += Duration::from_millis(random.u64(0..3) * random.u64(0..1000));
                if table.len() < most || random.u8(..4) == 0 {
                    let address = MacAddr::new([2, 0, 0, 0, 0, 0]).nth_after(number);
                    let least = table.iter().min_by_key(|(_, sled)| sled.worth());
                    let least = least.map(|(id, sled)| (id, sled.address));
                    let full = table.len() == most;
                    let stays = least
                        .is_some_and(|(id, _)| !gives_way(table.get(id).worth(), now, Rank::New));
                    let room = table.room(now, Rank::New);
                    assert_eq!(room.is_some(), !(full && stays), "seed {seed}");
                    let Some(room) = room else {
                        continue;
                    };
                    let (id, evicted) = table.insert(room, Sled::new(address, now));
                    let expected = least.filter(|_| full);
                    assert_eq!(evicted.map(|sled| (id, sled.address)), expected, "seed {seed}");
                    assert_eq!(table.find(address), Some(id));
                    while table.next_changed().is_some() {}
                    continue;
                }
                let id = SledId::new(random.usize(..table.len()));
                let sled = table.change(id);
                match random.u8(..8) {
                    0 => {
                        sled.hello(now);
                    }
                    1 => sled.dismiss(),
                    2 => sled.stage = Stage::Finished,
                    _ => {
                        sled.stage = Stage::Reading;
                        sled.frontier = random.u64(..1 << 20);
                        sled.heard = now;
                    }
                }
                while table.next_changed().is_some() {}
            }
            assert_eq!(table.len(), most);
            assert_eq!(table.by_address.len(), most);
        }
    }
}
