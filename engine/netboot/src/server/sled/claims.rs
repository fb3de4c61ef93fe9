//! Two boots under one address: the second began in mid-boot, because the sled started over or
//! because a stranger spoke in its name. A READ is answered from the image of the boot that it
//! continues.

use boot_format::Checksum;
use boot_format::wire::Read;
use boot_image::Contents;

use super::{Sled, Stage};
use crate::time::Instant;

/// A boot that was under way when another began under its address.
#[derive(Debug)]
pub(super) struct Claim {
    image: Option<Contents>,
    boots: Option<Checksum>,
    frontier: u64,
    heard: Instant,
}

/// Which boot a READ belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Asks {
    /// The boot that was under way until now.
    Same,
    /// The other one, which is under way from now on.
    Other,
    /// It could be either's or neither's, and they boot different images: an answer could mix them.
    Unclear,
}

impl Sled {
    /// A boot begins: keeps the one under way, unless the one kept already is further on. Strangers
    /// are quick to begin and slow to progress.
    pub(super) fn keep_claim(&mut self, under_way: bool) {
        let unfinished = self.frontier > 0 && self.stage != Stage::Finished;
        self.contested &= under_way;
        self.contested |= unfinished && self.boots != self.offers;
        if !under_way {
            self.other = None;
        } else if self.other.as_ref().is_none_or(|other| other.frontier <= self.frontier) {
            let &mut Self { boots, frontier, read_at: heard, .. } = self;
            self.other = Some(Claim { image: self.image.take(), boots, frontier, heard });
        }
    }

    /// Which boot this READ belongs to; if it is the other one, that is under way from now on.
    pub(in crate::server) fn asks(&mut self, now: Instant, read: &Read<'_>) -> Asks {
        let Some(first) = read.offsets().next() else {
            return Asks::Same;
        };
        // Its own timer would have made it ask by now.
        self.other.take_if(|other| now.since(other.heard) >= Self::STALLED_AFTER);
        // A sled asks for the batch that it waits for, or for the next one.
        let fits = |end: u64| (end.saturating_sub(Self::BATCH)..=end).contains(&first);
        let other = self.other.as_ref().is_some_and(|other| fits(other.frontier));
        match (fits(self.frontier), other) {
            (true, false) => Asks::Same,
            (false, true) => {
                self.take_turns();
                Asks::Other
            }
            _ if self.contested => Asks::Unclear,
            _ => Asks::Same,
        }
    }

    /// Whether the other boot has been sent everything; then it is under way from now on.
    pub(super) fn other_has_had_everything(&mut self) -> bool {
        let size = |image: &Contents| image.size() as u64;
        let complete = self.other.as_ref().is_some_and(|other| {
            other.image.as_ref().is_some_and(|image| other.frontier >= size(image))
        });
        if complete {
            self.take_turns();
        }
        complete
    }

    fn take_turns(&mut self) {
        self.forget_asked();
        self.recovery.stop();
        self.batch = None;
        if let Some(other) = &mut self.other {
            std::mem::swap(&mut self.image, &mut other.image);
            std::mem::swap(&mut self.boots, &mut other.boots);
            std::mem::swap(&mut self.frontier, &mut other.frontier);
            std::mem::swap(&mut self.read_at, &mut other.heard);
        }
    }

    /// Forgets the other boot.
    pub(super) fn drop_claim(&mut self) {
        (self.other, self.contested) = (None, false);
    }

    /// Releases the other boot's image.
    pub(super) fn let_other_go(&mut self) {
        if let Some(other) = &mut self.other {
            other.image = None;
        }
    }

    /// The other boot's image.
    pub(super) fn other_image(&self) -> Option<&Contents> {
        self.other.as_ref()?.image.as_ref()
    }
}
