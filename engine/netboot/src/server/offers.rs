//! Which image is offered to which sled.

use std::collections::{HashMap, HashSet};

use boot_format::Checksum;
use boot_format::wire::MacAddr;
use boot_image::Contents;

use super::remembered::Remembered;
use super::sled::Sled;

/// The images in service, and which sled takes which.
///
/// A sled says HELLO every 4 seconds (P10) until an OFFER has the checksum in its boot archive
/// (P11), so offering the next image at each HELLO finds the right one.
#[derive(Debug, Default)]
pub(super) struct Offers {
    /// No two have the same checksum.
    images: Vec<Contents>,
    assigned: HashMap<MacAddr, Checksum>,
    /// What each sled booted last time.
    taken: Remembered,
    held: bool,
}

impl Offers {
    pub(super) fn set_images(&mut self, images: Vec<Contents>) {
        let mut known = HashSet::new();
        self.images = images;
        self.images.retain(|image| known.insert(image.checksum()));
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

    /// Whether no offers are made at the moment.
    pub(super) fn withheld(&self) -> bool {
        self.held || self.images.is_empty()
    }

    pub(super) fn took(&mut self, sled: MacAddr, image: Checksum) {
        self.taken.learn(sled, image);
    }

    pub(super) fn forget(&mut self, sled: MacAddr) {
        self.taken.forget(sled);
    }

    pub(super) fn taken(&self) -> impl Iterator<Item = (MacAddr, Checksum)> {
        self.taken.iter()
    }

    /// Whether a sled has booted before, or has an image assigned.
    pub(super) fn knows(&self, sled: MacAddr) -> bool {
        self.taken.get(sled).is_some() || self.assigned.contains_key(&sled)
    }

    /// The image in service with this checksum.
    pub(super) fn find(&self, checksum: Checksum) -> Option<&Contents> {
        self.images.iter().find(|image| image.checksum() == checksum)
    }

    /// The image of the next OFFER to `sled`, if it is owed one.
    pub(super) fn next<'a>(&'a self, sled: &'a Sled) -> Option<&'a Contents> {
        let chosen = || self.choose(sled).filter(|_| sled.awaits_offer());
        sled.offered_image().or_else(chosen)
    }

    /// Which image to offer to `sled`, which waits for an offer.
    fn choose(&self, sled: &Sled) -> Option<&Contents> {
        if self.withheld() {
            return None;
        }
        let find = |sum: Checksum| self.images.iter().position(|image| image.checksum() == sum);
        if let Some(&assigned) = self.assigned.get(&sled.address) {
            return find(assigned).map(|index| &self.images[index]);
        }
        let last = sled.offers.and_then(find);
        let index = match last {
            Some(index) if sled.refused => (index + 1) % self.images.len(),
            Some(index) => index,
            None => self.taken.get(sled.address).and_then(find).unwrap_or(0),
        };
        Some(&self.images[index])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::addresses::AddressId;
    use crate::time::Instant;

    const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 1]);

    fn image(fill: u8) -> Contents {
        let image = Contents::build(1 << 20, 1 << 20, "", "rpool", |bytes| bytes.fill(fill));
        image.expect("there is memory for a mebibyte")
    }

    /// Three images in service, and a sled that has said HELLO.
    fn asked() -> (Vec<Contents>, Offers, Sled) {
        let images: Vec<_> = (0..3).map(image).collect();
        let mut offers = Offers::default();
        offers.set_images(images.clone());
        (images, offers, Sled::new(SLED, Instant::ZERO))
    }

    fn next(offers: &Offers, sled: &Sled) -> Option<Checksum> {
        offers.next(sled).map(Contents::checksum)
    }

    #[test]
    fn each_refusal_brings_the_next_image_and_after_the_last_the_first() {
        let (images, offers, mut sled) = asked();
        for image in images.iter().chain(&images) {
            assert_eq!(next(&offers, &sled), Some(image.checksum()));
            sled.offered(Instant::ZERO, image, AddressId::default());
            sled.stage = crate::server::Stage::Waiting;
            sled.refused = true;
        }
    }

    #[test]
    fn what_it_booted_last_is_offered_first_unless_that_is_out_of_service() {
        let (images, mut offers, sled) = asked();
        offers.took(SLED, images[2].checksum());
        assert_eq!(next(&offers, &sled), Some(images[2].checksum()));
        offers.set_images(images[..2].to_vec());
        assert_eq!(next(&offers, &sled), Some(images[0].checksum()));
        offers.forget(SLED);
        assert!(!offers.knows(SLED));
    }

    #[test]
    fn a_sled_is_offered_its_assigned_image_or_none() {
        let (images, mut offers, mut sled) = asked();
        offers.assign(HashMap::from([(SLED, images[1].checksum())]));
        sled.refused = true;
        assert_eq!(next(&offers, &sled), Some(images[1].checksum()));
        offers.set_images(vec![images[0].clone()]);
        assert_eq!(next(&offers, &sled), None);
    }

    #[test]
    fn nothing_is_offered_while_offers_are_held() {
        let (images, mut offers, sled) = asked();
        offers.hold(true);
        assert_eq!(next(&offers, &sled), None);
        offers.hold(false);
        assert_eq!(next(&offers, &sled), Some(images[0].checksum()));
        offers.set_images(Vec::new());
        assert!(offers.withheld());
    }

    #[test]
    fn of_images_with_equal_checksums_the_first_counts() {
        let (images, mut offers, _) = asked();
        offers.set_images(vec![images[0].clone(), image(0), images[1].clone()]);
        assert_eq!(offers.images().len(), 2);
        assert!(offers.images()[0].same_memory(&images[0]));
    }
}
