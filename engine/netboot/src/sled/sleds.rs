//! Simulated sleds that share one link.

use std::collections::HashMap;

use boot_format::wire::MacAddr;

use super::Sled;
use crate::batch::Batch;
use crate::station::Station;
use crate::time::Instant;

/// Sleds behind one link: each gets the frames that are addressed to it, or to all.
#[derive(Debug)]
pub struct Sleds {
    sleds: Vec<Sled>,
    by_address: HashMap<MacAddr, usize>,
}

impl Sleds {
    /// Puts `sleds` behind one link. Their addresses must differ.
    pub fn new(sleds: Vec<Sled>) -> Self {
        let by_address = sleds.iter().enumerate().map(|(index, sled)| (sled.address(), index));
        Self { by_address: by_address.collect(), sleds }
    }

    /// The sleds.
    pub fn sleds(&self) -> &[Sled] {
        &self.sleds
    }

    /// The sleds, to fetch their events.
    pub fn sleds_mut(&mut self) -> &mut [Sled] {
        &mut self.sleds
    }

    /// Whether every sled has booted.
    pub fn is_booted(&self) -> bool {
        self.sleds.iter().all(Sled::is_booted)
    }
}

impl Station for Sleds {
    fn handle_frame(&mut self, now: Instant, frame: &[u8]) {
        let Some(destination) = frame.first_chunk::<6>() else {
            return;
        };
        if let [first, ..] = destination
            && first & 1 == 1
        {
            for sled in &mut self.sleds {
                sled.handle_frame(now, frame);
            }
        } else if let Some(&index) = self.by_address.get(&MacAddr::new(*destination)) {
            self.sleds[index].handle_frame(now, frame);
        }
    }

    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch) {
        for sled in &mut self.sleds {
            if sled.poll_timeout().is_some_and(|due| due <= now) {
                sled.poll_transmit(now, batch);
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.sleds.iter().filter_map(Sled::poll_timeout).min()
    }
}
