//! The sessions: one per sled, a bounded number of them.

use std::collections::HashMap;

use super::sled::Sled;
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
    most: usize,
}

impl Table {
    pub(super) fn new(most: usize) -> Self {
        Self { sleds: Vec::new(), by_address: HashMap::new(), most: most.max(1) }
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

    /// A place for `sled`, and who had to give it up: if all are taken, a sled that never
    /// read goes first, then the one that has been silent for longest.
    pub(super) fn insert(&mut self, sled: Sled) -> (SledId, Option<Sled>) {
        let address = sled.address;
        if self.sleds.len() < self.most {
            let id = SledId(self.sleds.len());
            self.sleds.push(sled);
            self.by_address.insert(address, id);
            return (id, None);
        }
        let least = self.sleds.iter().enumerate().min_by_key(|(_, sled)| sled.worth());
        let (index, _) = least.expect("a table has at least one place");
        let evicted = std::mem::replace(&mut self.sleds[index], sled);
        self.by_address.remove(&evicted.address);
        self.by_address.insert(address, SledId(index));
        (SledId(index), Some(evicted))
    }
}
