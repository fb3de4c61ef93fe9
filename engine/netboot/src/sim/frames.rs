//! The frames in flight.

use boot_format::wire::MacAddr;
use fastrand::Rng;

use super::line::LEAST_FRAME;
use crate::batch::FrameSlices;

/// Frames in flight, each kept once for any number of receivers.
#[derive(Debug, Default)]
pub(super) struct Frames {
    places: Vec<Slot>,
    free: Vec<FrameId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FrameId(u32);

#[derive(Debug, Default)]
struct Slot {
    bytes: Vec<u8>,
    /// How many receivers have yet to take it.
    holders: u32,
}

impl Frames {
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }

    /// Keeps a frame, padded to the Ethernet minimum, for one holder.
    pub(super) fn keep(&mut self, frame: &FrameSlices<'_>) -> FrameId {
        let id = self.place();
        let bytes = &mut self.places[id.0 as usize].bytes;
        bytes.extend_from_slice(frame.head);
        bytes.extend_from_slice(frame.payload.held().expect("images are simulated in memory"));
        if bytes.len() < LEAST_FRAME {
            bytes.resize(LEAST_FRAME, 0);
        }
        id
    }

    pub(super) fn bytes(&self, id: FrameId) -> &[u8] {
        &self.places[id.0 as usize].bytes
    }

    /// Destination and source.
    pub(super) fn addresses(&self, id: FrameId) -> (MacAddr, MacAddr) {
        let address = |at: usize| {
            let mut octets = [0; 6];
            octets.copy_from_slice(&self.bytes(id)[at..at + 6]);
            MacAddr::new(octets)
        };
        (address(0), address(6))
    }

    /// One more holder.
    pub(super) fn share(&mut self, id: FrameId) {
        self.places[id.0 as usize].holders += 1;
    }

    /// One holder less.
    pub(super) fn release(&mut self, id: FrameId) {
        let place = &mut self.places[id.0 as usize];
        place.holders -= 1;
        if place.holders == 0 {
            self.free.push(id);
        }
    }

    /// A copy for this holder with one bit flipped.
    pub(super) fn flip_a_bit(&mut self, id: FrameId, random: &mut Rng) -> FrameId {
        let mut bytes = self.bytes(id).to_vec();
        let bit = random.usize(..bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        self.release(id);
        let copy = self.place();
        self.places[copy.0 as usize].bytes = bytes;
        copy
    }

    /// An empty place with one holder.
    fn place(&mut self) -> FrameId {
        let id = self.free.pop().unwrap_or_else(|| {
            self.places.push(Slot::default());
            FrameId(u32::try_from(self.places.len() - 1).expect("fewer frames than u32 has values"))
        });
        let place = &mut self.places[id.0 as usize];
        place.bytes.clear();
        place.holders = 1;
        id
    }
}
