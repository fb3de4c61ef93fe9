//! When addresses were last seen, approximately, in bounded memory.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::RangeInclusive;

use boot_format::wire::MacAddr;

use crate::time::Instant;

/// A table without stored keys: addresses that share a place are mistaken for each other, which
/// only blurs the answer. The hash is keyed with a secret, so no one can aim at a place.
#[derive(Debug)]
pub(super) struct Sightings {
    places: Box<[Cell]>,
    key: u64,
    /// The ages, in slices, at which a sighting fits a sled's timer.
    timely: RangeInclusive<u8>,
}

/// What is known about the addresses that share a place: when one was last seen, in slices, zero
/// for never; and whether one was answered and has kept a sled's timing since. All zeros at first,
/// so a new table takes no memory until it is used.
type Cell = [u8; 2];

/// What a sighting reveals about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sighting {
    /// It is new, or comes at a time when a sled would not.
    Untimely,
    /// It comes when a sled would, and has not been answered.
    Timely,
    /// It comes when a sled would, and was answered before.
    Answered,
}

impl Sightings {
    /// With 60,000 new addresses a second, four places in five survive the 4 s from HELLO to HELLO.
    const PLACES: usize = 1 << 20;
    /// An eighth of a second.
    const SLICE_NANOS: u64 = 125_000_000;
    /// Slices after which a sighting counts as new again.
    const SLICES: u64 = u8::MAX as u64;
    /// A sled says HELLO every 4 seconds.
    const HELLOS: RangeInclusive<u8> = 28..=36;
    /// A sled asks again after a second, and looks at its timer every 50 ms.
    const READS: RangeInclusive<u8> = 7..=12;

    pub(super) fn of_hellos(key: u64) -> Self {
        Self::new(key, Self::HELLOS)
    }

    pub(super) fn of_reads(key: u64) -> Self {
        Self::new(key, Self::READS)
    }

    fn new(key: u64, timely: RangeInclusive<u8>) -> Self {
        let places = vec![[0; 2]; Self::PLACES].into_boxed_slice();
        Self { places, key, timely }
    }

    /// Notes that `address` is seen at `now`.
    pub(super) fn see(&mut self, now: Instant, address: MacAddr) -> Sighting {
        let timely = self.timely.clone();
        let slice = (now.as_nanos() / Self::SLICE_NANOS % Self::SLICES) as u8;
        let [seen, answered] = self.place(address);
        let before = std::mem::replace(seen, slice + 1);
        let age = before.checked_sub(1).map(|before| match slice.checked_sub(before) {
            Some(age) => age,
            None => u8::MAX - (before - slice),
        });
        if age.is_none_or(|age| !timely.contains(&age)) {
            *answered = 0;
            Sighting::Untimely
        } else if *answered == 1 {
            Sighting::Answered
        } else {
            Sighting::Timely
        }
    }

    /// Notes that `address` is answered.
    pub(super) fn answer(&mut self, address: MacAddr) {
        self.place(address)[1] = 1;
    }

    fn place(&mut self, address: MacAddr) -> &mut Cell {
        let mut hasher = DefaultHasher::new();
        (self.key, address).hash(&mut hasher);
        &mut self.places[hasher.finish() as usize % Self::PLACES]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_is_back_in_time_is_told_from_who_is_not() {
        let address = MacAddr::new([2, 0, 0, 0, 0, 1]);
        for start in (0..80).map(Duration::from_secs) {
            let at = |millis| Instant::ZERO + start + Duration::from_millis(millis);
            let mut hellos = Sightings::of_hellos(7);
            let seen = [0, 4000, 8100, 8200, 10_200, 14_200, 20_000];
            let timely = seen.map(|millis| hellos.see(at(millis), address) == Sighting::Timely);
            assert_eq!(timely, [false, true, true, false, false, true, false], "{start:?}");
        }
    }

    #[test]
    fn a_sleds_place_mostly_outlives_a_flood_of_new_addresses() {
        let sled = MacAddr::new([0xa8, 0x40, 0x25, 0, 0, 1]);
        let survived = (0..10).filter(|&start| {
            let mut hellos = Sightings::of_hellos(start);
            let mut now = Instant::ZERO + Duration::from_secs(start);
            hellos.see(now, sled);
            for number in 0..240_000_u32 {
                let [a, b, c, d] = number.to_be_bytes();
                hellos.see(now, MacAddr::new([2, 0xaa, a, b, c, d]));
                now += Duration::from_secs(4) / 240_000;
            }
            hellos.see(now, sled) == Sighting::Timely
        });
        assert!(survived.count() >= 4);
    }
}
