//! The sessions: one per sled, a bounded number of them.

use std::collections::HashMap;

use super::order::Order;
use super::sled::{Sled, Worth};
use crate::wire::MacAddr;

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

    /// A place for `sled`, and who had to give it up: if all are taken, a sled that never
    /// read goes first, then the one that has been silent for longest.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::sled::Stage;
    use super::*;
    use crate::time::Instant;

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
                now += Duration::from_micros(random.u64(0..3));
                if table.len() < most || random.u8(..4) == 0 {
                    let address = MacAddr::new([2, 0, 0, 0, 0, 0]).nth_after(number);
                    let least = table.iter().min_by_key(|(_, sled)| sled.worth());
                    let least = least.map(|(id, sled)| (id, sled.address));
                    let full = table.len() == most;
                    let (id, evicted) = table.insert(Sled::new(address, now));
                    let expected = least.filter(|_| full);
                    assert_eq!(evicted.map(|sled| (id, sled.address)), expected, "seed {seed}");
                    assert_eq!(table.find(address), Some(id));
                    continue;
                }
                let id = SledId(random.usize(..table.len()));
                let sled = table.get_mut(id);
                match random.u8(..4) {
                    0 => {
                        sled.hello(now);
                        table.cheapened(id);
                    }
                    1 => sled.dismiss(),
                    _ => {
                        sled.stage = Stage::Reading;
                        sled.heard = now;
                    }
                }
            }
            assert_eq!(table.len(), most);
            assert_eq!(table.by_address.len(), most);
        }
    }
}
