//! What has been logged about each sled, so that it is not logged again every four seconds.

use std::collections::HashMap;

use boot_format::Checksum;
use boot_format::wire::MacAddr;
use boot_netboot::server::EventKind;

/// What has been logged about each sled since it last began a boot.
#[derive(Debug, Default)]
pub(super) struct Told {
    sleds: HashMap<MacAddr, Sled>,
}

#[derive(Debug, Default)]
struct Sled {
    greeted: bool,
    /// Which images it was offered, and how often.
    offers: Vec<(Checksum, u32)>,
}

/// What is to be logged about an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Say {
    /// What happened.
    Event,
    /// That the sled has refused an image this many times.
    Refused(Checksum, u32),
    Nothing,
}

impl Told {
    /// As many sleds as a server has sessions; beyond that, the memory starts from scratch.
    const MOST_SLEDS: usize = 1024;
    const MOST_OFFERS: usize = 32;

    /// What to log about an event.
    pub(super) fn say(&mut self, sled: MacAddr, kind: &EventKind) -> Say {
        match kind {
            EventKind::Hello { again: false } => {
                let known = self.sled(sled);
                if std::mem::replace(&mut known.greeted, true) { Say::Nothing } else { Say::Event }
            }
            EventKind::Offered { checksum, .. } => self.sled(sled).offered(*checksum),
            EventKind::Started { .. } | EventKind::Evicted => {
                self.sleds.remove(&sled);
                Say::Event
            }
            _ => Say::Event,
        }
    }

    fn sled(&mut self, sled: MacAddr) -> &mut Sled {
        if self.sleds.len() >= Self::MOST_SLEDS && !self.sleds.contains_key(&sled) {
            self.sleds.clear();
        }
        self.sleds.entry(sled).or_default()
    }
}

impl Sled {
    /// A sled that is offered an image again has not taken it before.
    fn offered(&mut self, checksum: Checksum) -> Say {
        if let Some((_, offers)) = self.offers.iter_mut().find(|(known, _)| *known == checksum) {
            let refused = *offers;
            *offers = refused.saturating_add(1);
            return if is_worth_a_line(refused) {
                Say::Refused(checksum, refused)
            } else {
                Say::Nothing
            };
        }
        if self.offers.len() == Told::MOST_OFFERS {
            return Say::Nothing;
        }
        self.offers.push((checksum, 1));
        Say::Event
    }
}

/// One refusal may be a lost frame; after that, lines become ever rarer.
fn is_worth_a_line(times: u32) -> bool {
    times == 3 || times >= 10 && 10_u32.pow(times.ilog10()) == times
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
    const HELLO: EventKind = EventKind::Hello { again: false };

    fn offer(number: u8) -> EventKind {
        EventKind::Offered { checksum: Checksum::from_bytes([number; 32]), repeated: false }
    }

    #[test]
    fn a_sled_that_wants_another_image_costs_few_lines() {
        let mut told = Told::default();
        let mut said = Vec::new();
        for _ in 0..=1000 {
            for kind in [HELLO, offer(1), HELLO, offer(2)] {
                said.push(told.say(SLED, &kind));
            }
        }
        said.retain(|say| *say != Say::Nothing);
        let mut expected = vec![Say::Event; 3];
        for times in [3, 10, 100, 1000] {
            let refused = |number| Say::Refused(Checksum::from_bytes([number; 32]), times);
            expected.extend([refused(1), refused(2)]);
        }
        assert_eq!(said, expected);
    }

    #[test]
    fn a_boot_begins_a_new_story() {
        let mut told = Told::default();
        for _ in 0..2 {
            assert_eq!(told.say(SLED, &HELLO), Say::Event);
            assert_eq!(told.say(SLED, &offer(1)), Say::Event);
            assert_eq!(told.say(SLED, &EventKind::Started { size: 1 }), Say::Event);
        }
        assert_eq!(told.say(SLED, &EventKind::Hello { again: true }), Say::Event);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut told = Told::default();
        for number in 0..5000_u16 {
            let [high, low] = number.to_be_bytes();
            told.say(MacAddr::new([2, 0, 0, 0, high, low]), &HELLO);
            told.say(SLED, &offer(low));
        }
        assert!(told.sleds.len() <= Told::MOST_SLEDS);
        assert!(told.sleds.values().all(|sled| sled.offers.len() <= Told::MOST_OFFERS));
    }
}
