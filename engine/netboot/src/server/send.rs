//! Outgoing frames: offers, what sleds have asked for, and retransmits.

use boot_format::wire::{BLOCK, FrameType, Head, MacAddr, Offer};
use boot_image::Contents;

use super::Server;
use super::event::EventKind;
use super::sled::{Sled, Stage};
use super::sled_id::SledId;
use super::turns::Turns;
use crate::batch::Batch;
use crate::time::Instant;

impl Server {
    /// Does what has become due for each sled: offers, retransmits, timeouts.
    pub(super) fn attend_to_due(&mut self, now: Instant, batch: &mut Batch) {
        while batch.room() > 0
            && let Some(id) = self.next_due(now)
        {
            self.offer(now, id, batch);
            let sled = self.sleds.get(id);
            if sled.is_silent(now) {
                self.conclude_from_silence(now, id);
            } else if sled.recovery.due().is_some_and(|due| due <= now) {
                // It is rescheduled after its turn.
                self.turns.mend(id);
            } else {
                self.sleds.reconsider(id);
            }
        }
    }

    /// Takes the next sled that is due.
    fn next_due(&mut self, now: Instant) -> Option<SledId> {
        self.settle();
        self.agenda.next(now)
    }

    /// Reschedules the sleds that have changed.
    pub(super) fn settle(&mut self) {
        while let Some(id) = self.sleds.next_changed() {
            let due = self.sleds.get(id).due(self.withholds(id));
            self.agenda.note(id, due);
        }
    }

    fn conclude_from_silence(&mut self, now: Instant, id: SledId) {
        let sled = self.sleds.change(id);
        let (address, unheard) = (sled.address, sled.unheard);
        let Some(silent) = sled.silent(now) else {
            return;
        };
        // It may have booted, in which case it ignores the RESET.
        if unheard && self.resets.len() < Self::MOST_RESETS {
            self.resets.push_back((address, EventKind::Unheard));
        }
        if matches!(silent, EventKind::Finished(_)) {
            self.remember_boot(id);
        }
        if matches!(silent, EventKind::Stalled { .. }) {
            self.turns.leave(id);
        } else {
            self.withdraw(id);
        }
        self.tell(address, silent);
    }

    /// Whether an OFFER to this sled has to wait.
    pub(super) fn withholds(&self, id: SledId) -> bool {
        let sled = self.sleds.get(id);
        sled.stage == Stage::Waiting && self.offers.withheld()
            || self.groups.as_deref().is_some_and(|groups| groups.withholds(id, sled))
    }

    fn offer(&mut self, now: Instant, id: SledId, batch: &mut Batch) {
        let due = self.sleds.get(id).offer_due;
        if due.is_none_or(|due| due > now) || self.withholds(id) {
            return;
        }
        let sled = self.sleds.change(id);
        let awaited = sled.awaits_offer();
        let image = self.offers.next(sled);
        let offer = image.cloned().and_then(|image| Some((image.offer().ok()?, image)));
        let Some((offer, image)) = offer else {
            // Its image is not in service; it will ask again.
            sled.offer_due = None;
            return;
        };
        let before = sled.offers;
        sled.offered(now, &image, self.addresses.id());
        let address = sled.address;
        let head = Head::new(address, self.addresses.own(), FrameType::Offer, Offer::LEN);
        batch.push_body(head, &offer.emit());
        if awaited {
            let checksum = image.checksum();
            let repeated = before == Some(checksum);
            self.tell(address, EventKind::Offered { checksum, repeated });
        }
    }

    /// Sends a few frames to each sled in turn.
    pub(super) fn take_turns(&mut self, now: Instant, batch: &mut Batch) {
        while batch.room() > 0 && self.pacer.allows(now) {
            if self.groups.is_some() && self.step(now, batch) {
                continue;
            }
            let Some(id) = self.turns.next(now) else {
                // A paced link must not idle for want of batches in flight.
                if self.turns.is_stuck() && (!self.pacer.is_open() || self.turns.is_holding()) {
                    self.turns.widen();
                    continue;
                }
                self.pacer.rest();
                break;
            };
            let own = &self.sleds.get(id).pacer;
            if !own.allows(now) {
                self.turns.hold(id, own.next());
            } else if self.sleds.get(id).asked.is_pending() {
                self.take_turn(now, id, batch);
            } else {
                self.mend(now, id, batch);
            }
        }
    }

    fn take_turn(&mut self, now: Instant, id: SledId, batch: &mut Batch) {
        let mut turn = self.sleds.turn(id);
        let frames = turn.send(now, self.addresses.own(), self.released, batch);
        let (pending, absurd) = (turn.is_pending(), turn.is_absurd());
        self.release(now, frames);
        if !pending {
            self.batch_sent(now, id);
        } else if absurd {
            let sled = self.sleds.change(id);
            sled.batch = None;
            sled.known = false;
            self.turns.leave(id);
            self.turns.ask(id, false);
        } else {
            self.turns.resume(id);
        }
    }

    /// Everything that a sled has asked for has been sent.
    fn batch_sent(&mut self, now: Instant, id: SledId) {
        let crowded = self.sleds.len() > 1;
        let sled = self.sleds.change(id);
        if (sled.pacer.counts() || self.pacer.counts())
            && let Some(first) = sled.telling_batch()
        {
            sled.pacer.batch_sent(first);
            self.pacer.batch_sent(first);
        }
        let last = sled.batch_sent(now, self.loss.of_link(), crowded);
        if !self.retransmit {
            sled.recovery.wait();
        }
        if last {
            self.turns.leave(id);
        } else {
            self.turns.sent(id);
        }
    }

    /// Counts DATA frames that are handed to the link.
    pub(super) fn release(&mut self, now: Instant, frames: usize) {
        self.released += frames as u64;
        self.pacer.sent(now, frames);
    }

    /// Sends a sled the retransmits that are due.
    fn mend(&mut self, now: Instant, id: SledId, batch: &mut Batch) {
        let sled = self.sleds.change(id);
        let link = self.loss.of_link();
        let (mut frames, most) = (0, Turns::QUANTUM.min(batch.room()));
        while frames < most
            && let Some(offset) = sled.recovery.take(now, sled.asked.unacknowledged(), link)
        {
            push_data(sled, self.addresses.own(), offset, batch);
            frames += 1;
        }
        sled.sent_again(now, frames);
        self.release(now, frames);
        self.turns.sent(id);
    }
}

/// Appends the DATA frame for `offset`: what the image has there, up to a block (P8), or nothing if
/// it ends before (P17). No sled may end the server, so one without an image is sent nothing.
pub(super) fn push_data(sled: &mut Sled, source: MacAddr, offset: u64, batch: &mut Batch) {
    debug_assert!(sled.image.is_some(), "what a sled asks for is forgotten with its image");
    let Some(image) = &sled.image else { return };
    push_block(image, sled.address, source, offset, batch);
    sled.frames += 1;
}

/// Appends the DATA frame for `offset` of `image`.
pub(super) fn push_block(
    image: &Contents,
    destination: MacAddr,
    source: MacAddr,
    offset: u64,
    batch: &mut Batch,
) {
    let size = image.size();
    let start = usize::try_from(offset).map_or(size, |offset| offset.min(size));
    let length = BLOCK.min(size - start);
    let head = Head::data(destination, source, offset, length);
    batch.push_contents(head, image, start, length);
}
