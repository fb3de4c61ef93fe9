//! Who is answered when more ask than can be.

use super::limit::Limit;
use super::sightings::Sightings;
use crate::time::Instant;
use crate::wire::MacAddr;

/// How credible it is that an address is a sled's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// It is new, or asks at other times than sleds do.
    New,
    /// It is back when a sled would be.
    Back,
    /// It is configured, or has booted.
    Known,
}

/// What one kind of answer may cost: each rank has a budget that no other can use up.
///
/// Anyone can invent addresses. To come back at the right time, with the same address, costs an
/// attacker a sled's time, and to have booted or to be configured is not within its reach.
#[derive(Debug)]
pub(super) struct Admission {
    sightings: Sightings,
    known: Limit,
    back: Limit,
    new: Limit,
    /// When somebody was last turned away.
    strained: Option<Instant>,
}

impl Admission {
    /// As many sleds as a server remembers.
    const KNOWN: u32 = 4096;
    /// New addresses that are offered an image at once: as many as there are sessions.
    const NEW_HELLOS_AT_ONCE: u32 = 1024;
    /// What OFFERs to invented addresses may cost: 256 times 2 OFFERs of 202 bytes are 0.8 Mbit/s.
    const NEW_HELLOS: u32 = 256;
    /// OFFERs of 202 bytes, one each, are 3 Mbit/s: less than the HELLOs that it takes.
    const HELLOS_BACK: u32 = 2048;
    /// READs without an offer follow a restart, or are invented.
    const NEW_READS: u32 = 64;
    /// A RESET is shorter than any READ. As many sleds as there are sessions ask each second.
    const READS_BACK: u32 = 1024;

    /// Who is given a session.
    pub(super) fn of_hellos() -> Self {
        Self {
            sightings: Sightings::of_hellos(),
            known: Limit::new(Self::KNOWN, Self::KNOWN),
            back: Limit::new(Self::HELLOS_BACK, Self::HELLOS_BACK),
            new: Limit::new(Self::NEW_HELLOS, Self::NEW_HELLOS_AT_ONCE),
            strained: None,
        }
    }

    /// Who is told to start over.
    pub(super) fn of_reads() -> Self {
        Self {
            sightings: Sightings::of_reads(),
            known: Limit::new(Self::KNOWN, Self::KNOWN),
            back: Limit::new(Self::READS_BACK, Self::READS_BACK),
            new: Limit::new(Self::NEW_READS, Self::NEW_READS),
            strained: None,
        }
    }

    /// As what `address` is answered at `now`, if it is; `known` if it is configured or has booted.
    pub(super) fn admits(&mut self, now: Instant, address: MacAddr, known: bool) -> Option<Rank> {
        let back = self.sightings.see(now, address);
        let rank = if known && self.known.take(now) {
            Some(Rank::Known)
        } else if back && self.back.take(now) {
            Some(Rank::Back)
        } else {
            self.new.take(now).then_some(Rank::New)
        };
        if rank.is_none() {
            self.strained = Some(now);
        }
        rank
    }

    /// Whether somebody was turned away in the last second.
    pub(super) fn is_strained(&self, now: Instant) -> bool {
        self.strained.is_some_and(|at| now.since(at).as_secs() < 1)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn invented(number: u32) -> MacAddr {
        let [a, b, c, d] = number.to_be_bytes();
        MacAddr::new([2, 0xaa, a, b, c, d])
    }

    /// How often a sled that comes back after `period` is answered in 20 tries, while `rate`
    /// addresses a second ask, out of `addresses`.
    fn answered(mut admission: Admission, period: Duration, rate: u32, addresses: u32) -> usize {
        let sled = MacAddr::new([0xa8, 0x40, 0x25, 0, 0, 1]);
        let mut now = Instant::ZERO + Duration::from_secs(1);
        let each = (period.as_secs() as u32) * rate;
        let mut number = 0;
        let tries = (0..20).map(|_| {
            for _ in 0..each {
                now += Duration::from_secs(1) / rate;
                admission.admits(now, invented(number % addresses), false);
                number += 1;
            }
            admission.admits(now, sled, false).is_some()
        });
        tries.filter(|&answered| answered).count()
    }

    #[test]
    fn a_sled_that_comes_back_is_answered_under_a_flood() {
        for rate in [10_000, 45_000, 60_000] {
            let hellos = answered(Admission::of_hellos(), Duration::from_secs(4), rate, 100_000);
            // All of the addresses are back after 4 s only at a rate that is not among these.
            assert!(hellos >= 10, "{hellos} of 20 at {rate}");
        }
        let reads = answered(Admission::of_reads(), Duration::from_secs(1), 3000, 100_000);
        assert!(reads >= 18, "{reads} of 20");
    }

    #[test]
    fn who_is_known_is_answered_whatever_others_do() {
        let mut hellos = Admission::of_hellos();
        let now = Instant::ZERO + Duration::from_secs(1);
        let new = (0..60_000)
            .filter(|&number| hellos.admits(now, invented(number), false).is_some())
            .count();
        assert_eq!(new, 1024);
        assert!(hellos.is_strained(now));
        assert_eq!(hellos.admits(now, invented(99_999), true), Some(Rank::Known));
    }
}
