//! One sled's boot, as the server sees it.

mod asking;
mod claims;
mod silence;
mod status;
mod stepping;
mod turn;
mod worth;

use std::time::Duration;

pub(super) use self::asking::Hello;
pub(super) use self::claims::Asks;
use self::claims::Claim;
pub use self::status::SledStatus;
pub(super) use self::turn::Turn;
pub(super) use self::worth::{Loss, Worth};
use super::addresses::AddressId;
use super::admission::Rank;
use super::asked::{Asked, Merged};
use super::event::{EventKind, Summary};
use super::pace::Pacer;
use super::recovery::{Heard, Recovery};
use super::sent_batch::{Answered, SentBatch};
use crate::time::Instant;
use boot_format::Checksum;
use boot_format::wire::{self, BLOCK, MacAddr, Read};
use boot_image::Contents;

/// Where a boot stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// It said HELLO and has had no offer since.
    Waiting,
    /// It was offered an image and has not read.
    Offered,
    /// It reads.
    Reading,
    /// It has booted.
    Finished,
    /// It went silent in mid-boot.
    Lost,
}

/// A session.
#[derive(Debug)]
pub(super) struct Sled {
    pub(super) address: MacAddr,
    pub(super) stage: Stage,
    /// The rank with which it got its session.
    pub(super) rank: Rank,
    /// The image that it boots. Every READ is answered from it and from no other.
    pub(super) image: Option<Contents>,
    /// The checksum of `image`, kept after the image is released.
    pub(super) boots: Option<Checksum>,
    /// The other boot under the same address, and whether the two boot different images.
    other: Option<Claim>,
    contested: bool,
    /// The image that it was offered last, until it reads.
    offer: Option<Contents>,
    /// The checksum of the last offer.
    pub(super) offers: Option<Checksum>,
    /// The address from which the last offer was made, and the offer that it boots from.
    offer_from: AddressId,
    boots_from: AddressId,
    /// Whether the link's address has changed since its last frame.
    pub(super) unheard: bool,
    /// Whether it was offered an image since its boot began, and since its last READ.
    renewed: bool,
    open: bool,
    /// Whether it said HELLO in mid-boot.
    asks_again: bool,
    /// Whether its last READ repeats one that has been answered.
    same: bool,
    /// Offers that it has refused since it last began a boot.
    refusals: u32,
    pub(super) asked: Asked,
    pub(super) recovery: Recovery,
    pub(super) pacer: Pacer,
    /// The batch that is being sent, or awaits its answer.
    pub(super) batch: Option<SentBatch>,
    /// Whether it is verified: it has gone on from the end of one batch to the next, as only a sled
    /// does; an invented one may ask for anything.
    pub(super) known: bool,
    /// DATA frames sent to it since this moment, when it said HELLO.
    drawn: (u64, Instant),
    /// When an OFFER is due: the first one at once, later ones to wake the sled.
    pub(super) offer_due: Option<Instant>,
    /// When the last OFFER was sent.
    offered: Instant,
    /// Whether OFFERs are rationed at the moment: then each is sent once.
    strained: bool,
    /// OFFERs that may still be sent to wake the sled.
    nudges: u8,
    /// Whether it said HELLO again although it had an offer and time to read.
    pub(super) refused: bool,
    /// When it first asked the question that the last offer answers.
    hello: Instant,
    pub(super) heard: Instant,
    /// When it last read.
    read_at: Instant,
    /// When everything that it had asked for had gone out.
    sent: Instant,
    started: Instant,
    stalled: bool,
    /// Whether it has asked for something that was never sent.
    unsent: bool,
    /// Whether it read since its last HELLO.
    has_read: bool,
    /// The contiguous offset: it has asked for every byte before it.
    pub(super) frontier: u64,
    told: (u64, Instant),
    pub(super) frames: u64,
    again: u64,
    early: u64,
    needless: u64,
}

impl Sled {
    /// An equal second OFFER wakes a sled that would otherwise sleep for 50 ms, and is dropped
    /// silently (P25).
    const NUDGE: Duration = Duration::from_millis(1);
    /// A sled takes two steps from its last DATA to FINISHED (P24), each of which a frame triggers;
    /// twice that, since any may be lost.
    const NUDGES_AT_THE_END: u8 = 4;
    const PROGRESS_EVERY: Duration = Duration::from_secs(1);
    /// How many times over a boot may draw the image before it is slowed to a trickle: at any loss
    /// rate at which a sled boots at all, it asks for less.
    const ALLOWANCE: u64 = 8;
    /// Bytes that a sled's first READ asks for.
    const BATCH: u64 = wire::BATCH as u64;
    /// Frames per second of a trickle.
    const TRICKLE: f64 = 1000.0;

    pub(super) fn new(address: MacAddr, now: Instant) -> Self {
        Self {
            address,
            stage: Stage::Waiting,
            rank: Rank::Known,
            image: None,
            boots: None,
            other: None,
            contested: false,
            offer: None,
            offers: None,
            offer_from: AddressId::default(),
            boots_from: AddressId::default(),
            unheard: false,
            renewed: false,
            open: false,
            asks_again: false,
            same: false,
            refusals: 0,
            asked: Asked::default(),
            recovery: Recovery::new(0),
            pacer: Pacer::unlimited(),
            batch: None,
            known: false,
            drawn: (0, now),
            offer_due: None,
            offered: now,
            strained: false,
            nudges: 0,
            refused: false,
            hello: now,
            heard: now,
            read_at: Instant::ZERO,
            sent: now,
            started: now,
            stalled: false,
            unsent: false,
            has_read: false,
            frontier: 0,
            told: (0, now),
            frames: 0,
            again: 0,
            early: 0,
            needless: 0,
        }
    }

    /// Whether a boot is under way, or may begin at any moment.
    pub(super) fn is_booting(&self, now: Instant) -> bool {
        match self.stage {
            Stage::Reading => true,
            // A sled that was offered the wrong image says HELLO again after 4 s (P10).
            Stage::Waiting | Stage::Offered => now.since(self.heard) < Duration::from_secs(5),
            Stage::Finished | Stage::Lost => false,
        }
    }

    /// Whether it may have taken an offer from this address.
    pub(super) fn asks_at(&self, address: AddressId) -> bool {
        self.offers.is_some() && self.offer_from == address
            || self.boots.is_some() && self.boots_from == address
    }

    /// The image's size in bytes; zero before the first offer.
    pub(super) fn size(&self) -> u64 {
        self.image.as_ref().map_or(0, |image| image.size() as u64)
    }

    /// A READ. Returns what it reveals about the batch before, and the event if it begins a boot.
    pub(super) fn read(
        &mut self,
        now: Instant,
        read: &Read<'_>,
    ) -> (Option<Answered>, Option<EventKind>) {
        let size = self.size();
        let first = !self.has_read;
        if first {
            self.has_read = true;
            // A sled whose boot was interrupted by another with its address goes on where it was.
            if self.frontier == 0 {
                self.started = now;
                self.recovery.restart(size / BLOCK as u64);
                (self.frames, self.again, self.early, self.needless) = (0, 0, 0, 0);
            }
            self.told = (self.frontier, now);
        }
        let goes_on = !self.asked.is_pending() && read.offsets().next() == Some(self.frontier);
        let Merged { again, fresh } = self.asked.merge(read);
        let Heard { answered, tried, lost } = self.recovery.heard(now, again > 0);
        if fresh {
            self.known = goes_on && (self.known || self.frontier > 0);
            self.unsent = true;
        }
        self.again += again as u64;
        self.early += u64::from(tried);
        // A sled that had lost a frame needed one of the retransmits.
        self.needless += u64::from(tried.saturating_sub(u32::from(fresh && lost >= 0.5)));
        read.offsets().for_each(|offset| {
            if offset <= self.frontier {
                self.frontier = self.frontier.max(offset.saturating_add(BLOCK as u64));
            }
        });
        if let Some(given_up) = self.asked.take_given_up() {
            self.frontier = self.frontier.min(given_up);
        }
        self.heard = now;
        self.unheard = false;
        self.read_at = now;
        self.stalled = false;
        self.nudges = 0;
        self.offer_due = None;
        self.asks_again = false;
        self.open = false;
        if self.stage != Stage::Finished {
            self.stage = Stage::Reading;
        }
        let batch = if answered { self.batch.take() } else { None };
        let answered = batch.map(|batch| Answered {
            batch,
            repeats: match again {
                0 => (lost * f64::from(tried)).round() as u64,
                // No retransmit helped before its own timer.
                _ => u64::from(tried).max(batch.frames),
            },
            tried: tried > 0,
            lost,
        });
        (answered, first.then_some(EventKind::Started { size }))
    }

    /// Frames were handed out to it, after `released` others.
    fn sent(&mut self, now: Instant, frames: usize, released: u64) {
        let frames = frames as u64;
        let begun = SentBatch { first: now, last: now, frames: 0, released: (released, released) };
        let batch = self.batch.get_or_insert(begun);
        batch.last = now;
        batch.frames += frames;
        batch.released.1 = released + frames;
        self.draw(now, frames);
    }

    /// Retransmits were handed out to it.
    pub(super) fn sent_again(&mut self, now: Instant, frames: usize) {
        self.draw(now, frames as u64);
    }

    fn draw(&mut self, now: Instant, frames: u64) {
        self.pacer.sent(now, frames as usize);
        self.drawn.0 += frames;
        let blocks = self.size() / BLOCK as u64;
        if self.drawn.0 > Self::ALLOWANCE * blocks {
            self.pacer.cap(Self::TRICKLE);
        }
    }

    /// When its batch began, if the answer will tell something about the path.
    pub(super) fn telling_batch(&self) -> Option<Instant> {
        let batch = self.batch.as_ref().filter(|_| self.known)?;
        batch.tells().then_some(batch.first)
    }

    /// Everything that it asked for has been handed out, on a link where a batch loses a frame with
    /// probability `link`, and that is `crowded` if others use it. Returns whether that was the
    /// image's end, after which no READ comes.
    pub(super) fn batch_sent(&mut self, now: Instant, link: f64, crowded: bool) -> bool {
        self.unsent = false;
        let frames = self.asked.unacknowledged().len();
        if self.asked.unacknowledged().is_empty() {
            return true;
        }
        self.sent = now;
        let last = self.asked.reaches(self.size());
        self.recovery.batch_sent(now, frames, last, link, crowded);
        if last {
            self.nudges = Self::NUDGES_AT_THE_END;
            self.offer_due = Some(now + Self::NUDGE);
        }
        last
    }

    /// FINISHED, which counts only if everything was sent to it.
    pub(super) fn finished(&mut self, now: Instant) -> Option<EventKind> {
        if self.stage != Stage::Reading
            || !self.has_had_everything() && !self.other_has_had_everything()
        {
            return None;
        }
        self.heard = now;
        Some(self.finish(false))
    }

    /// Sends it nothing more.
    pub(super) fn dismiss(&mut self) {
        self.stage = Stage::Lost;
        self.let_go();
        self.drop_claim();
        (self.boots, self.offers, self.renewed) = (None, None, false);
        self.asked.clear();
        self.recovery.stop();
        self.offer_due = None;
    }

    /// An event of its progress, if one is due.
    pub(super) fn progress(&mut self, now: Instant) -> Option<EventKind> {
        let size = self.size();
        let bytes = self.frontier.min(size);
        let (told, at) = self.told;
        let due = bytes.saturating_sub(told) >= size.div_ceil(10);
        if !due || now.since(at) < Self::PROGRESS_EVERY {
            return None;
        }
        self.told = (bytes, now);
        Some(EventKind::Progress { bytes, size })
    }

    /// When it next needs attention, unless a frame comes first. An OFFER that is `withheld` waits.
    pub(super) fn due(&self, withheld: bool) -> Option<Instant> {
        let offer = self.offer_due.filter(|_| !withheld);
        [offer, self.recovery.due(), self.silence_due()].into_iter().flatten().min()
    }

    /// Queued retransmits may no longer be needed.
    fn has_had_everything(&self) -> bool {
        self.frontier >= self.size() && !self.unsent
    }

    fn finish(&mut self, assumed: bool) -> EventKind {
        self.stage = Stage::Finished;
        self.asked.clear();
        self.early += u64::from(self.recovery.stop());
        self.batch = None;
        self.offer_due = None;
        EventKind::Finished(Summary {
            time: self.heard.since(self.started),
            size: self.size(),
            frames: self.frames,
            again: self.again,
            early: self.early,
            needless: self.needless,
            assumed,
        })
    }
}
