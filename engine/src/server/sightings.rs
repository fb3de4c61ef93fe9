//! When addresses were last seen: a guess in bounded memory.

use std::hash::{BuildHasher, RandomState};
use std::ops::RangeInclusive;

use crate::time::Instant;
use crate::wire::MacAddr;

/// A table without keys: addresses that share a place are taken for one another, which only
/// makes the guess worse. Its hash has a key of its own, so that no one can aim at a place.
#[derive(Debug)]
pub(super) struct Sightings {
    /// When something was last seen there, in slices of time; zero for never.
    places: Box<[u8]>,
    hasher: RandomState,
    /// The ages, in slices, at which a sighting is the next of a sled with a timer.
    timely: RangeInclusive<u8>,
}

impl Sightings {
    /// Under 60,000 new addresses a second, a place is kept for the 4 s from HELLO to HELLO four
    /// times out of five.
    const PLACES: usize = 1 << 20;
    /// An eighth of a second.
    const SLICE_NANOS: u64 = 125_000_000;
    /// Slices until a sighting looks new again.
    const SLICES: u64 = u8::MAX as u64;
    /// A sled says HELLO every 4 seconds.
    const HELLOS: RangeInclusive<u8> = 28..=36;
    /// A sled asks again after a second, and looks at its timer every 50 ms.
    const READS: RangeInclusive<u8> = 7..=12;

    pub(super) fn of_hellos() -> Self {
        Self::new(Self::HELLOS)
    }

    pub(super) fn of_reads() -> Self {
        Self::new(Self::READS)
    }

    fn new(timely: RangeInclusive<u8>) -> Self {
        let places = vec![0; Self::PLACES].into_boxed_slice();
        Self { places, hasher: RandomState::new(), timely }
    }

    /// Notes that `address` is seen at `now`. Says whether it was last seen as long ago as a
    /// sled would have been.
    pub(super) fn see(&mut self, now: Instant, address: MacAddr) -> bool {
        let slice = (now.as_nanos() / Self::SLICE_NANOS % Self::SLICES) as u8;
        let place = self.hasher.hash_one(address) as usize % Self::PLACES;
        let before = std::mem::replace(&mut self.places[place], slice + 1);
        let age = before.checked_sub(1).map(|before| match slice.checked_sub(before) {
            Some(age) => age,
            None => u8::MAX - (before - slice),
        });
        age.is_some_and(|age| self.timely.contains(&age))
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
            let mut hellos = Sightings::of_hellos();
            let seen = [0, 4000, 8100, 8200, 10_200, 14_200, 20_000];
            let timely = seen.map(|millis| hellos.see(at(millis), address));
            assert_eq!(timely, [false, true, true, false, false, true, false], "{start:?}");
        }
    }

    #[test]
    fn a_sleds_place_mostly_outlives_a_flood_of_new_addresses() {
        let sled = MacAddr::new([0xa8, 0x40, 0x25, 0, 0, 1]);
        let survived = (0..10).filter(|&start| {
            let mut hellos = Sightings::of_hellos();
            let mut now = Instant::ZERO + Duration::from_secs(start);
            hellos.see(now, sled);
            for number in 0..240_000_u32 {
                let [a, b, c, d] = number.to_be_bytes();
                hellos.see(now, MacAddr::new([2, 0xaa, a, b, c, d]));
                now += Duration::from_secs(4) / 240_000;
            }
            hellos.see(now, sled)
        });
        assert!(survived.count() >= 4);
    }
}
