//! What a sled is offered, and when its boot begins and its images are released.

use std::time::Duration;

use boot_format::wire::{Read, SLOTS};
use boot_image::Contents;

use super::{Sled, Stage};
use crate::server::addresses::AddressId;
use crate::server::offers::Offers;
use crate::time::Instant;

/// What a HELLO means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum Hello {
    /// It looks for an image; `again` if that ends a boot under way.
    Asks { again: bool },
    /// A boot is under way, and goes on unless a READ shows that it has started over.
    GoesOn,
}

impl Sled {
    /// A HELLO this soon after another is the same question, not a refusal.
    const SAME_QUESTION: Duration = Duration::from_secs(3);
    /// A sled says HELLO every 4 seconds (P10); saying it more often earns no more OFFERs.
    const OFFERS_APART: Duration = Duration::from_secs(1);
    /// A sled says FINISHED once (P20). If a stranger said it in its name, the sled asks twice for
    /// what it lacks within this time (P18).
    const FINISHED_LAPSES_AFTER: Duration = Duration::from_secs(2);

    /// A HELLO from the sled, or from a stranger in its name.
    pub(in crate::server) fn hello(&mut self, now: Instant) -> Hello {
        self.drop_stale(now);
        // One that has refused the last offer and waits for the next repeats its question.
        let open = self.open && !self.refused;
        let same = open && now.since(self.hello) < Self::SAME_QUESTION;
        if open && !same {
            self.refused = true;
            self.refusals += 1;
        }
        self.same = same && self.offer.is_some();
        // Two sleds with one address may ask in turn: the first time counts.
        if !same {
            self.hello = now;
        }
        let due = if self.offers.is_some() { self.offered + Self::OFFERS_APART } else { now };
        self.offer_due = Some(due.max(now));
        let under_way = self.stage == Stage::Reading && self.has_read;
        // A sled asks again each second for what it lacks.
        if under_way && now.since(self.read_at) < Self::STALLED_AFTER {
            self.asks_again = true;
            return Hello::GoesOn;
        }
        self.stage = Stage::Waiting;
        self.heard = now;
        self.unheard = false;
        self.has_read = false;
        self.stalled = false;
        self.forget_asked();
        self.recovery.stop();
        self.batch = None;
        Hello::Asks { again: under_way }
    }

    /// Whether it has asked for an OFFER, rather than only being owed one that wakes it.
    pub(in crate::server) fn awaits_offer(&self) -> bool {
        self.stage == Stage::Waiting || self.asks_again
    }

    /// Makes its next offer independent of its last, unless it may still take that.
    pub(in crate::server) fn disregard_offer(&mut self) {
        if !matches!(self.stage, Stage::Offered | Stage::Reading) {
            self.offers = None;
        }
    }

    /// The image that the next OFFER must repeat, because the sled may have taken the last one
    /// already.
    pub(in crate::server) fn offered_image(&self) -> Option<&Contents> {
        match self.stage {
            Stage::Offered => self.offer.as_ref(),
            _ if self.awaits_offer() => self.offer.as_ref().filter(|_| self.same),
            _ => self.image.as_ref(),
        }
    }

    /// Sends it no OFFER twice.
    pub(in crate::server) fn strain(&mut self) {
        self.strained = true;
    }

    /// It was sent an OFFER of `image` from the address `from`.
    pub(in crate::server) fn offered(&mut self, now: Instant, image: &Contents, from: AddressId) {
        self.offered = now;
        if self.awaits_offer() {
            self.offer = Some(image.clone());
            self.offers = Some(image.checksum());
            self.offer_from = from;
            (self.renewed, self.open) = (true, true);
            self.refused = false;
        }
        self.asks_again = false;
        if self.stage == Stage::Waiting {
            self.stage = Stage::Offered;
            // A sled that wants another image prints a line for each.
            self.nudges = if self.refusals > 0 || self.strained { 1 } else { 2 };
        }
        self.nudges = self.nudges.saturating_sub(1);
        self.offer_due = (self.nudges > 0).then(|| now + Self::NUDGE);
    }

    /// Whether this READ begins a boot of the image that was offered last, rather than continuing a
    /// boot or repeating what that lacks of its first batch.
    pub(in crate::server) fn begins(&self, read: &Read<'_>) -> bool {
        if !self.renewed {
            return false;
        }
        let mut offsets = read.offsets();
        let fresh = self.boots.is_none() || self.frontier > Self::BATCH;
        offsets.next() == Some(0) && (fresh || offsets.count() + 1 == SLOTS)
    }

    /// It begins to boot the image that was offered last. Returns whether a boot was under way.
    pub(in crate::server) fn begin(&mut self, now: Instant, offers: &Offers) -> bool {
        let again = self.stage == Stage::Reading && self.has_read;
        self.forget_asked();
        self.keep_claim(again);
        let offered = self.offers.and_then(|checksum| offers.find(checksum));
        self.image = self.offer.take().or_else(|| offered.cloned());
        self.boots = self.offers;
        self.boots_from = self.offer_from;
        self.renewed = false;
        self.refusals = 0;
        // Beginning more often than sleds do earns no more frames.
        if now.since(self.drawn.1) >= Self::SAME_QUESTION {
            self.drawn = (0, now);
            self.pacer.cap(f64::INFINITY);
        }
        self.stage = Stage::Offered;
        self.has_read = false;
        self.frontier = 0;
        self.recovery.stop();
        self.batch = None;
        again
    }

    /// It goes on with a boot that seemed to be over, if its image is still in service.
    pub(in crate::server) fn go_on(&mut self, offers: &Offers) {
        if self.image.is_none() {
            self.image = self.boots.and_then(|checksum| offers.find(checksum)).cloned();
        }
    }

    /// The images that it keeps in memory.
    pub(in crate::server) fn held(&self) -> impl Iterator<Item = &Contents> {
        self.image.iter().chain(&self.offer).chain(self.other_image())
    }

    /// When its images are released, unless it is heard from.
    pub(super) fn lapses(&self) -> Option<Instant> {
        let held = self.held().next().is_some();
        let patience = match self.stage {
            Stage::Finished => Self::FINISHED_LAPSES_AFTER,
            Stage::Lost => Duration::ZERO,
            Stage::Waiting | Stage::Offered | Stage::Reading => Self::LOST_AFTER,
        };
        held.then(|| self.heard + patience)
    }

    pub(super) fn let_go(&mut self) {
        self.recovery.stop();
        self.forget_asked();
        (self.image, self.offer) = (None, None);
        self.let_other_go();
    }

    /// Releases images that it would have read from by now.
    fn drop_stale(&mut self, now: Instant) {
        if now.since(self.read_at) >= Self::LOST_AFTER {
            // Without its image there is nothing to send.
            self.forget_asked();
            self.image = None;
        }
        if now.since(self.offered) >= Self::LOST_AFTER {
            self.offer = None;
        }
    }
}
