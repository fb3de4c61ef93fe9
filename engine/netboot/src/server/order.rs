//! Sleds in an order that changes.

use std::collections::BTreeSet;

use super::sled_id::SledId;

/// At most one key per sled, in order; equal keys are ordered by sled.
#[derive(Debug)]
pub(super) struct Order<K> {
    entries: BTreeSet<(K, SledId)>,
    /// By [`SledId::index`].
    noted: Vec<Option<K>>,
}

impl<K> Default for Order<K> {
    fn default() -> Self {
        Self { entries: BTreeSet::new(), noted: Vec::new() }
    }
}

impl<K: Copy + Ord> Order<K> {
    /// Gives `sled` this key, or removes it.
    pub(super) fn note(&mut self, sled: SledId, key: Option<K>) {
        if self.noted.len() <= sled.index() {
            self.noted.resize(sled.index() + 1, None);
        }
        let noted = std::mem::replace(&mut self.noted[sled.index()], key);
        if noted == key {
            return;
        }
        if let Some(noted) = noted {
            self.entries.remove(&(noted, sled));
        }
        if let Some(key) = key {
            self.entries.insert((key, sled));
        }
    }

    /// Gives `sled` this key, unless it has a lower one.
    pub(super) fn lower(&mut self, sled: SledId, key: K) {
        if self.noted(sled).is_none_or(|noted| key < noted) {
            self.note(sled, Some(key));
        }
    }

    /// The key that `sled` has.
    pub(super) fn noted(&self, sled: SledId) -> Option<K> {
        self.noted.get(sled.index()).copied().flatten()
    }

    /// The least key, and its sled.
    pub(super) fn first(&self) -> Option<(K, SledId)> {
        self.entries.first().copied()
    }
}
