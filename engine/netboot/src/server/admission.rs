//! Who is answered when there are more requests than the server can answer.

use boot_format::wire::MacAddr;

use super::limit::Limit;
use super::sightings::{Sighting, Sightings};
use crate::time::Instant;

/// How credible an address is as a sled's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    /// It is new, or its timing is not a sled's.
    New,
    /// It came back when a sled would.
    Back,
    /// It is configured, or has booted.
    Known,
}

/// What one kind of answer may cost: each rank has a budget of its own.
///
/// Anyone can invent addresses. Coming back at the right time with the same address costs an
/// attacker as much time as a sled; being configured, or having booted, is out of its reach.
#[derive(Debug)]
pub(super) struct Admission {
    sightings: Sightings,
    known: Limit,
    back: Limit,
    answered: Limit,
    new: Limit,
    /// When a sender was last turned away.
    strained: Option<Instant>,
}

impl Admission {
    /// As many sleds as a server remembers.
    const KNOWN: u32 = 4096;
    /// A burst of OFFERs to new addresses: as many as there are sessions.
    const NEW_HELLOS_AT_ONCE: u32 = 1024;
    /// The cost of OFFERs to invented addresses: 256 times 2 OFFERs of 202 bytes are 0.8 Mbit/s.
    const NEW_HELLOS: u32 = 256;
    /// OFFERs of 202 bytes, one each, are 7 Mbit/s. At 25,000 HELLOs a second, 100,000 addresses
    /// can come back every 4 s; each is answered once in 25 s, and after that a sled competes with
    /// none of them.
    const HELLOS_BACK: u32 = 4096;
    /// Senders that were answered and ask again: the answer was lost, or was not what the sled
    /// wants.
    const ANSWERED: u32 = 256;
    /// READs without an offer follow a restart, or are invented.
    const NEW_READS: u32 = 64;
    /// A RESET is shorter than any READ. A sled without an answer asks once a second, and there may
    /// be as many as sessions.
    const READS_BACK: u32 = 1024;

    /// Who is given a session.
    pub(super) fn of_hellos(key: u64) -> Self {
        Self {
            sightings: Sightings::of_hellos(key),
            known: Limit::new(Self::KNOWN, Self::KNOWN),
            back: Limit::new(Self::HELLOS_BACK, Self::HELLOS_BACK),
            answered: Limit::new(Self::ANSWERED, Self::ANSWERED),
            new: Limit::new(Self::NEW_HELLOS, Self::NEW_HELLOS_AT_ONCE),
            strained: None,
        }
    }

    /// Who is sent a RESET.
    pub(super) fn of_reads(key: u64) -> Self {
        Self {
            sightings: Sightings::of_reads(key),
            known: Limit::new(Self::KNOWN, Self::KNOWN),
            back: Limit::new(Self::READS_BACK, Self::READS_BACK),
            answered: Limit::new(Self::ANSWERED, Self::ANSWERED),
            new: Limit::new(Self::NEW_READS, Self::NEW_READS),
            strained: None,
        }
    }

    /// The rank at which `address` is answered at `now`, or `None`; `known` if it is configured or
    /// has booted.
    pub(super) fn admits(&mut self, now: Instant, address: MacAddr, known: bool) -> Option<Rank> {
        let sighting = self.sightings.see(now, address);
        let back = match sighting {
            Sighting::Timely => self.back.take(now),
            Sighting::Answered => self.answered.take(now),
            Sighting::Untimely => false,
        };
        let rank = if known && self.known.take(now) {
            Some(Rank::Known)
        } else if back {
            Some(Rank::Back)
        } else {
            self.new.take(now).then_some(Rank::New)
        };
        if rank.is_none() {
            self.strained = Some(now);
        }
        rank
    }

    /// Notes that `address` is answered: if it asks again, it ranks lower.
    pub(super) fn answer(&mut self, address: MacAddr) {
        self.sightings.answer(address);
    }

    /// Whether a sender was turned away in the last second.
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

    /// After how many tries a sled that comes back every `period` is answered while `rate` of
    /// `addresses` invented ones ask each second. Its first try is one period into the flood.
    fn tries(mut admission: Admission, period: Duration, rate: u32, addresses: u32) -> usize {
        let sled = MacAddr::new([0xa8, 0x40, 0x25, 0, 0, 1]);
        let mut now = Instant::ZERO + Duration::from_secs(1);
        let each = (period.as_secs() as u32) * rate;
        let mut number = 0;
        for tries in 1..1000 {
            for _ in 0..each {
                now += Duration::from_secs(1) / rate;
                let invented = invented(number % addresses);
                if admission.admits(now, invented, false).is_some() {
                    admission.answer(invented);
                }
                number += 1;
            }
            if admission.admits(now, sled, false).is_some() {
                return tries;
            }
        }
        usize::MAX
    }

    #[test]
    fn a_sled_is_answered_in_every_flood() {
        for (rate, addresses, most) in [
            (10_000, 100_000, 3),
            (45_000, 100_000, 3),
            (60_000, 100_000, 3),
            (60_000, 1 << 23, 3),
            (400_000, 100_000, 3),
            // Enough addresses that all of them come back when a sled would.
            (10_000, 40_000, 5),
            (25_000, 100_000, 8),
            (60_000, 240_000, 16),
        ] {
            let hello = Duration::from_secs(4);
            let tries = tries(Admission::of_hellos(7), hello, rate, addresses);
            assert!(tries <= most, "{tries} tries at {rate} from {addresses}");
        }
        for (rate, addresses) in [(3000, 100_000), (3000, 1000), (3000, 3000), (30_000, 30_000)] {
            let again = Duration::from_secs(1);
            let tries = tries(Admission::of_reads(7), again, rate, addresses);
            assert!(tries <= 32, "{tries} tries at {rate} from {addresses}");
        }
    }

    #[test]
    fn who_is_known_is_answered_whatever_others_do() {
        let mut hellos = Admission::of_hellos(7);
        let now = Instant::ZERO + Duration::from_secs(1);
        let new = (0..60_000)
            .filter(|&number| hellos.admits(now, invented(number), false).is_some())
            .count();
        assert_eq!(new, 1024);
        assert!(hellos.is_strained(now));
        assert_eq!(hellos.admits(now, invented(99_999), true), Some(Rank::Known));
    }
}
