//! Which image each sled booted last.

use std::collections::{BTreeMap, HashMap};

use boot_format::Checksum;
use boot_format::wire::MacAddr;

/// A bounded memory that drops the oldest entry.
#[derive(Debug, Default)]
pub(super) struct Remembered {
    sleds: HashMap<MacAddr, (Checksum, u64)>,
    /// Sleds by when they booted.
    ages: BTreeMap<u64, MacAddr>,
    learnt: u64,
}

impl Remembered {
    /// Enough for many racks, at about 100 bytes each.
    const MOST: usize = 4096;

    pub(super) fn learn(&mut self, sled: MacAddr, image: Checksum) {
        self.learnt += 1;
        if let Some((_, before)) = self.sleds.insert(sled, (image, self.learnt)) {
            self.ages.remove(&before);
        }
        self.ages.insert(self.learnt, sled);
        if self.sleds.len() > Self::MOST
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.sleds.remove(&oldest);
        }
    }

    pub(super) fn forget(&mut self, sled: MacAddr) {
        if let Some((_, learnt)) = self.sleds.remove(&sled) {
            self.ages.remove(&learnt);
        }
    }

    pub(super) fn get(&self, sled: MacAddr) -> Option<Checksum> {
        self.sleds.get(&sled).map(|&(image, _)| image)
    }

    /// All entries, the most recent last.
    pub(super) fn iter(&self) -> impl Iterator<Item = (MacAddr, Checksum)> {
        self.ages.values().map(|sled| (*sled, self.sleds[sled].0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_dropped_and_what_is_learnt_again_is_young() {
        let mut remembered = Remembered::default();
        let sled = |number| MacAddr::new([2, 0, 0, 0, 0, 0]).nth_after(number);
        let image = Checksum::from_bytes([7; 32]);
        for number in 0..4096 {
            remembered.learn(sled(number), image);
        }
        remembered.learn(sled(0), image);
        remembered.learn(sled(5000), image);
        assert_eq!(remembered.iter().count(), 4096);
        assert_eq!(remembered.get(sled(1)), None);
        assert_eq!(remembered.get(sled(0)), Some(image));
        assert_eq!(remembered.iter().last(), Some((sled(5000), image)));
        remembered.forget(sled(5000));
        remembered.forget(sled(5000));
        assert_eq!((remembered.get(sled(5000)), remembered.iter().count()), (None, 4095));
    }
}
