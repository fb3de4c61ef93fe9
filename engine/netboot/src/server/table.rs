//! The sessions: one per sled, a bounded number of them.

use std::collections::HashMap;
use std::time::Duration;

use boot_format::wire::MacAddr;

use super::admission::Rank;
use super::order::Order;
use super::sled::{Loss, Sled, Worth};
use crate::time::Instant;

/// A session's place in the table. It stays the same while the session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct SledId(usize);

impl SledId {
    pub(super) fn index(self) -> usize {
        self.0
    }
}

/// All sessions, found by address.
#[derive(Debug)]
pub(super) struct Table {
    sleds: Vec<Sled>,
    by_address: HashMap<MacAddr, SledId>,
    /// What each session is worth, or was: never more than it is. Who grows dearer is noted anew
    /// only when it comes first, so that a READ costs nothing here.
    worths: Order<Worth>,
    most: usize,
}

impl Table {
    pub(super) fn new(most: usize) -> Self {
        Self {
            sleds: Vec::new(),
            by_address: HashMap::new(),
            worths: Order::default(),
            most: most.max(1),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.sleds.len()
    }

    pub(super) fn find(&self, address: MacAddr) -> Option<SledId> {
        self.by_address.get(&address).copied()
    }

    pub(super) fn get(&self, id: SledId) -> &Sled {
        &self.sleds[id.0]
    }

    pub(super) fn get_mut(&mut self, id: SledId) -> &mut Sled {
        &mut self.sleds[id.0]
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (SledId, &Sled)> {
        self.sleds.iter().enumerate().map(|(index, sled)| (SledId(index), sled))
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = SledId> + use<> {
        (0..self.sleds.len()).map(SledId)
    }

    /// A sled has become worth less than it was, as one does that reads and starts over.
    pub(super) fn cheapened(&mut self, id: SledId) {
        self.worths.note(id, Some(self.get(id).worth()));
    }

    /// A place for `sled`, and who had to give it up: if all are taken, a session that is over
    /// goes first, then a sled that has not read, then one whose boot has only begun; of equals
    /// the one that has been silent for longest.
    pub(super) fn insert(&mut self, sled: Sled) -> (SledId, Option<Sled>) {
        let address = sled.address;
        let worth = sled.worth();
        let (id, evicted) = if self.sleds.len() < self.most {
            self.sleds.push(sled);
            (SledId(self.sleds.len() - 1), None)
        } else {
            let id = self.least();
            let evicted = std::mem::replace(&mut self.sleds[id.0], sled);
            self.by_address.remove(&evicted.address);
            (id, Some(evicted))
        };
        self.worths.note(id, Some(worth));
        self.by_address.insert(address, id);
        (id, evicted)
    }

    /// Whether there is a place at `now` that nobody would miss: see [`gives_way`].
    /// That depends on the newcomer's `rank`.
    pub(super) fn has_room(&mut self, now: Instant, rank: Rank) -> bool {
        if self.sleds.len() < self.most {
            return true;
        }
        let least = self.least();
        gives_way(self.sleds[least.0].worth(), now, rank)
    }

    /// Who is worth least. What is noted anew on the way has been heard from since it was noted,
    /// so all of that is a bounded share of the work for the frames that came.
    fn least(&mut self) -> SledId {
        loop {
            let (noted, id) = self.worths.first().expect("a table has at least one place");
            let worth = self.sleds[id.0].worth();
            if worth == noted {
                return id;
            }
            self.worths.note(id, Some(worth));
        }
    }
}

/// Whether a session makes room for a sled that has just said HELLO and will say so again: not
/// if it would be asked for what it was given its place for, any moment.
fn gives_way((loss, heard): Worth, now: Instant, newcomer: Rank) -> bool {
    /// From HELLO to the first READ a sled takes 50 ms, and some lines on its console.
    const ABOUT_TO_READ: Duration = Duration::from_millis(150);
    /// Its own timer makes a sled that boots ask each second.
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

    /// Does to random sessions what can happen to one, and holds every eviction to a search
    /// through all of them.
    #[test]
    fn the_evicted_session_is_the_one_worth_least_of_all() {
        for seed in 0..200 {
            let mut random = fastrand::Rng::with_seed(seed);
            let most = random.usize(1..20);
            let mut table = Table::new(most);
            let mut now = Instant::ZERO;
            for number in 0..2000 {
                // Many things happen at the same moment.
                now += Duration::from_millis(random.u64(0..3) * random.u64(0..1000));
                if table.len() < most || random.u8(..4) == 0 {
                    let address = MacAddr::new([2, 0, 0, 0, 0, 0]).nth_after(number);
                    let least = table.iter().min_by_key(|(_, sled)| sled.worth());
                    let least = least.map(|(id, sled)| (id, sled.address));
                    let full = table.len() == most;
                    let stays = least
                        .is_some_and(|(id, _)| !gives_way(table.get(id).worth(), now, Rank::New));
                    assert_eq!(table.has_room(now, Rank::New), !(full && stays), "seed {seed}");
                    let (id, evicted) = table.insert(Sled::new(address, now));
                    let expected = least.filter(|_| full);
                    assert_eq!(evicted.map(|sled| (id, sled.address)), expected, "seed {seed}");
                    assert_eq!(table.find(address), Some(id));
                    continue;
                }
                let id = SledId(random.usize(..table.len()));
                let sled = table.get_mut(id);
                match random.u8(..8) {
                    0 => {
                        sled.hello(now);
                        table.cheapened(id);
                    }
                    1 => {
                        sled.dismiss();
                        table.cheapened(id);
                    }
                    2 => {
                        sled.stage = Stage::Finished;
                        table.cheapened(id);
                    }
                    _ => {
                        sled.stage = Stage::Reading;
                        sled.frontier = random.u64(..1 << 20);
                        sled.heard = now;
                        table.cheapened(id);
                    }
                }
            }
            assert_eq!(table.len(), most);
            assert_eq!(table.by_address.len(), most);
        }
    }
}
