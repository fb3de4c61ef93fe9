//! Which image is offered to which sled.

use std::collections::HashMap;

use super::sled::Sled;
use crate::image::{Checksum, Contents};
use crate::wire::MacAddr;

/// The images in service, and what is known of who takes which.
///
/// A sled says HELLO every 4 seconds until an OFFER's checksum is the one that its boot
/// archive wants. So offering another image at each HELLO finds the right one.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// No two have the same checksum.
    images: Vec<Contents>,
    assigned: HashMap<MacAddr, Checksum>,
    /// What each sled took last time.
    taken: HashMap<MacAddr, Checksum>,
    held: bool,
}

impl Offers {
    /// Sleds whose last choice is remembered; beyond, the memory begins anew.
    const MOST_REMEMBERED: usize = 4096;

    pub(super) fn set_images(&mut self, images: Vec<Contents>) {
        self.images.clear();
        for image in images {
            if self.images.iter().all(|known| known.checksum() != image.checksum()) {
                self.images.push(image);
            }
        }
    }

    pub(super) fn images(&self) -> &[Contents] {
        &self.images
    }

    pub(super) fn assign(&mut self, assigned: HashMap<MacAddr, Checksum>) {
        self.assigned = assigned;
    }

    pub(super) fn hold(&mut self, held: bool) {
        self.held = held;
    }

    /// Whether there is nothing to offer for now.
    pub(super) fn withheld(&self) -> bool {
        self.held || self.images.is_empty()
    }

    pub(super) fn took(&mut self, sled: MacAddr, image: Checksum) {
        if self.taken.len() >= Self::MOST_REMEMBERED && !self.taken.contains_key(&sled) {
            self.taken.clear();
        }
        self.taken.insert(sled, image);
    }

    pub(super) fn taken(&self) -> impl Iterator<Item = (MacAddr, Checksum)> {
        self.taken.iter().map(|(&sled, &image)| (sled, image))
    }

    /// What to offer to `sled`, which waits for an offer.
    pub(super) fn choose(&self, sled: &Sled) -> Option<&Contents> {
        if self.withheld() {
            return None;
        }
        let find = |sum: Checksum| self.images.iter().position(|image| image.checksum() == sum);
        if let Some(&assigned) = self.assigned.get(&sled.address) {
            return find(assigned).map(|index| &self.images[index]);
        }
        let last = sled.image.as_ref().and_then(|image| find(image.checksum()));
        let index = match last {
            Some(index) if sled.refused => (index + 1) % self.images.len(),
            Some(index) => index,
            None => self.taken.get(&sled.address).copied().and_then(find).unwrap_or(0),
        };
        Some(&self.images[index])
    }
}
