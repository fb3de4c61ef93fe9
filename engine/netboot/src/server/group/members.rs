//! A group: its members, where they are, and the barrier between two batches.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use boot_format::wire::{self, BLOCK, SLOTS};
use boot_image::Contents;

use super::choice::{Mean, Step};
use super::event::Leaving;
use crate::server::sent_batch::{Answer, SentBatch};
use crate::server::sled::Sled;
use crate::server::table::SledId;
use crate::time::Instant;

/// Bytes of a batch.
pub(super) const BATCH: u64 = wire::BATCH as u64;

/// Sleds that boot in step.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) image: Contents,
    /// Sleds that were offered the image and have not read yet.
    pub(super) invited: BTreeSet<SledId>,
    members: BTreeMap<SledId, Member>,
    /// Sleds that have left, and how often.
    left: BTreeMap<SledId, u32>,
    /// How many members are at the barrier.
    ready: usize,
    /// The start of the batch that is at the barrier or is being sent.
    pub(super) position: u64,
    /// How many of its frames have been handed out, while it is being sent.
    sending: Option<usize>,
    lap: Lap,
    /// When the first batch began.
    began: Instant,
    /// Batches since the group was formed.
    pub(super) batches: u64,
    /// The time from batch to batch, in seconds.
    pub(super) period: Mean,
    /// The share of batches of which all members lost some.
    all_lost: Mean<16>,
    /// The usual time from a batch's first frame to a member's answer, in seconds.
    usual: f64,
    /// How long a silent member is waited for.
    patience: Duration,
}

#[derive(Clone, Copy, Debug, Default)]
struct Member {
    /// Whether it has asked for the batch at the group's position.
    ready: bool,
    /// From a batch's first frame to its answer, in seconds.
    takes: Mean<128>,
    /// How often it takes much longer than usual.
    late: Mean<16>,
}

/// The batch in flight.
#[derive(Clone, Debug, Default)]
struct Lap {
    begun: Instant,
    /// Frames handed to the link before it.
    released: u64,
    /// When the first member answered, the last one without loss, and the last of all.
    first: Option<Instant>,
    clean: Instant,
    last: Option<Instant>,
    lossy: usize,
    /// Retransmits to each member that has answered.
    repeats: Vec<u64>,
    /// When the last frame went out.
    sent: Instant,
    /// Whether a member left meanwhile, which makes its duration meaningless.
    disturbed: bool,
}

impl Group {
    /// How long the group waits for a silent member at first; half as long each further time, but
    /// never less than this, nor than some repairs take: a whole one at 250 us a frame takes 32 ms.
    pub(super) const PATIENCE: Duration = Duration::from_millis(250);
    const LEAST_PATIENCE: Duration = Duration::from_millis(50);
    const REPAIRS: u32 = 4;
    /// Batches without silence after which patience doubles again.
    const CALM: u64 = 256;
    /// How many batches lie between two searches for a slow member.
    const TELLING: u64 = 16;
    /// No member leaves by chance: that takes this many answers, half of them late, twice the usual
    /// time among members, and twice the cost to the others that leaving is to itself.
    const ENOUGH: u32 = 16;
    const OFTEN: f64 = 0.5;
    const FAR: f64 = 2.0;
    const WORTH: f64 = 2.0;
    /// How often a sled may come back.
    const MOST_RETURNS: u32 = 2;

    pub(super) fn new(image: Contents, now: Instant) -> Self {
        Self {
            image,
            invited: BTreeSet::new(),
            members: BTreeMap::new(),
            left: BTreeMap::new(),
            ready: 0,
            position: 0,
            sending: None,
            lap: Lap::default(),
            began: now,
            batches: 0,
            period: Mean::default(),
            all_lost: Mean::default(),
            usual: f64::INFINITY,
            patience: Self::PATIENCE,
        }
    }

    /// How many members there are.
    pub(super) fn len(&self) -> usize {
        self.members.len()
    }

    pub(super) fn has(&self, sled: SledId) -> bool {
        self.members.contains_key(&sled)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = SledId> + '_ {
        self.members.keys().copied()
    }

    /// The image's size in bytes.
    pub(super) fn size(&self) -> u64 {
        self.image.size() as u64
    }

    /// Batches that are still to be sent.
    pub(super) fn batches_left(&self) -> u64 {
        self.size().saturating_sub(self.position).div_ceil(BATCH)
    }

    /// A sled becomes a member.
    pub(super) fn join(&mut self, id: SledId) {
        self.members.entry(id).or_default();
    }

    /// Removes a member. Returns whether it was one.
    pub(super) fn leave(&mut self, id: SledId) -> bool {
        let Some(member) = self.members.remove(&id) else {
            return false;
        };
        self.ready -= usize::from(member.ready);
        self.lap.disturbed = true;
        true
    }

    /// A member has asked for something at `now`, and for more than before if it `goes_on`. Returns
    /// whether that waits at the barrier.
    pub(super) fn asked(&mut self, now: Instant, id: SledId, sled: &Sled, goes_on: bool) -> bool {
        let Some(member) = self.members.get_mut(&id) else {
            return false;
        };
        // A member that is ahead of the others, as only two READs at once can make it, waits for
        // them.
        let waits = sled.asked.batch().is_some_and(|start| start >= self.position);
        if waits && !member.ready {
            member.ready = true;
            self.ready += 1;
            if self.batches > 0 {
                let took = now.since(self.lap.begun).as_secs_f64();
                member.takes.add(took);
                member.late.add(f64::from(u8::from(took > Self::FAR * self.usual)));
            }
        }
        if goes_on {
            self.lap.first.get_or_insert(now);
            self.lap.last = Some(now);
        }
        self.lap.disturbed |= !waits;
        waits
    }

    /// Records a member's answer: whether its batch had lost a frame, and how many frames were
    /// retransmitted.
    pub(super) fn learn(&mut self, now: Instant, id: SledId, lost: bool, repeats: u64) {
        if self.has(id) {
            self.lap.repeats.push(repeats);
            if lost {
                self.lap.lossy += 1;
            } else {
                self.lap.clean = self.lap.clean.max(now);
            }
        }
    }

    /// Whether frames of a batch can go out.
    pub(super) fn is_due(&self) -> bool {
        self.sending.is_some() || self.ready > 0 && self.ready == self.members.len()
    }

    /// Whether all wait for the next batch, of which nothing has gone out.
    pub(super) fn is_complete(&self) -> bool {
        self.sending.is_none() && self.is_due()
    }

    /// A batch begins. Returns the timing of the one before, if it means something.
    pub(super) fn begin(&mut self, now: Instant, released: u64) -> Option<Step> {
        let before =
            std::mem::replace(&mut self.lap, Lap { begun: now, released, ..Lap::default() });
        self.sending = Some(0);
        let first = before.first.filter(|_| !before.disturbed && self.batches > 0)?;
        self.period.add(now.since(before.begun).as_secs_f64());
        let all = before.lossy >= self.members.len();
        self.all_lost.add(f64::from(u8::from(all)));
        let spread = before.clean.since(first);
        (before.lossy == 0 || before.clean > first).then(|| Step {
            first: first.since(before.begun),
            spread,
            members: self.members.len() - before.lossy.min(self.members.len()),
        })
    }

    /// Whether all members lose frames of the same batches, often.
    pub(super) fn all_lose(&self) -> bool {
        /// Batches needed to decide, the same number as for one by one being much faster.
        const ENOUGH: u32 = 8;
        /// The share of them: a path to the switch that loses one frame in a thousand makes it an
        /// eighth.
        const MANY: f64 = 0.25;
        self.all_lost.count() >= ENOUGH && self.all_lost.or(0.0) > MANY
    }

    /// The last batch's answer, as if from one sled: retransmits that most members needed are the
    /// shared path's fault, the rest that of single sleds' paths.
    pub(super) fn answer(&mut self) -> Option<(Instant, Answer)> {
        let Lap { begun, first, .. } = self.lap;
        let first = first?;
        let repeats = &mut self.lap.repeats;
        let middle = repeats.len().checked_sub(1)? / 2;
        let (_, &mut repeats, _) = repeats.select_nth_unstable(middle);
        let passed = SLOTS as u64;
        let batch = Answer {
            first: begun,
            last: begun,
            passed,
            lossy: repeats > 0,
            tried: repeats > 0,
            alone: false,
            crowded: true,
        };
        Some((first, batch))
    }

    /// The next frames of the batch: the first one's offset, and how many, up to `most`.
    pub(super) fn take(&mut self, most: usize) -> (u64, usize) {
        let sent = self.sending.unwrap_or(0);
        let frames = most.min(SLOTS - sent);
        self.sending = Some(sent + frames);
        (self.position + (sent * BLOCK) as u64, frames)
    }

    /// The whole batch has gone out at `now`. Returns the sleds that asked for it, and the batch.
    /// The group goes on to the next one.
    pub(super) fn sent(&mut self, now: Instant) -> Option<(SentBatch, Vec<SledId>)> {
        // A former member that asks for it has it too.
        if self.sending != Some(SLOTS) {
            return None;
        }
        self.sending = None;
        self.lap.sent = now;
        self.batches += 1;
        self.position += BATCH;
        if self.batches.is_multiple_of(Self::CALM) {
            self.patience = (2 * self.patience).min(Self::PATIENCE);
        }
        let Lap { begun, released, .. } = self.lap;
        let frames = SLOTS as u64;
        let batch =
            SentBatch { first: begun, last: now, frames, released: (released, released + frames) };
        Some((batch, self.members.keys().chain(self.left.keys()).copied().collect()))
    }

    /// A member was sent the batch and must ask for the next one.
    pub(super) fn expect(&mut self, id: SledId) {
        if let Some(member) = self.members.get_mut(&id)
            && std::mem::take(&mut member.ready)
        {
            self.ready -= 1;
        }
    }

    /// When the group stops waiting for members that have not answered.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.lap.last.filter(|_| !self.is_due()).map(|last| last + self.patience)
    }

    /// The members that have been silent too long at `now`. A repair takes about `repair`.
    pub(super) fn silent(&mut self, now: Instant, repair: Duration) -> Vec<(SledId, Leaving)> {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return Vec::new();
        }
        let why = Leaving::Silent(self.patience);
        let least = Self::LEAST_PATIENCE.max(Self::REPAIRS * repair).min(Self::PATIENCE);
        self.patience = (self.patience / 2).max(least);
        let silent = self.members.iter().filter(|(_, member)| !member.ready);
        silent.map(|(&id, _)| (id, why)).collect()
    }

    /// The member that is much slower than most, if the others lose more by waiting for it than it
    /// would by leaving (the time that they still need, and its own boot after that).
    pub(super) fn slow(&mut self) -> Option<(SledId, Leaving)> {
        if self.batches == 0 || !self.batches.is_multiple_of(Self::TELLING) {
            return None;
        }
        let takes = |member: &Member| member.takes.or(0.0);
        let mut all: Vec<f64> = self.members.values().map(takes).collect();
        let middle = (all.len().max(1) - 1) / 2;
        let (_, &mut usual, _) = all.select_nth_unstable_by(middle, f64::total_cmp);
        self.usual = usual;
        let others = (self.members.len() - 1) as f64;
        let by_takes = |a: &(_, &Member), b: &(_, &Member)| takes(a.1).total_cmp(&takes(b.1));
        let (&id, slowest) = self.members.iter().max_by(by_takes)?;
        let often = slowest.late.count() >= Self::ENOUGH && slowest.late.or(0.0) >= Self::OFTEN;
        let slowest = takes(slowest);
        let excess = slowest - usual;
        let far = often && slowest > Self::FAR * usual;
        (far && others * excess > Self::WORTH * (self.period.or(0.0) + slowest))
            .then(|| (id, Leaving::Slow(Duration::from_secs_f64(excess))))
    }

    /// A member that does not keep in step leaves. A slow one may not come back.
    pub(super) fn expel(&mut self, id: SledId, why: Leaving) {
        if self.leave(id) {
            // How long batches took with it says nothing about those without it.
            self.period = Mean::default();
            let times = self.left.entry(id).or_default();
            *times += match why {
                Leaving::Silent(_) => 1,
                Leaving::Slow(_) | Leaving::Gone => Self::MOST_RETURNS + 1,
            };
        }
    }

    /// How many batches behind a sled is that reads the group's image and may come back, if the
    /// others lose less by waiting for it than it loses otherwise.
    pub(super) fn behind(&self, id: SledId, sled: &Sled) -> Option<u64> {
        let least = sled.asked.least_pending()?;
        let same = sled.image.as_ref().is_some_and(|image| image.same_memory(&self.image));
        let returns = self.left.get(&id).copied().unwrap_or(0);
        let behind = self.position.checked_sub(least)?.div_ceil(BATCH);
        let worth = behind * self.members.len() as u64 + behind < self.batches_left();
        let credible = sled.known || self.invited.contains(&id);
        (same && credible && worth && returns <= Self::MOST_RETURNS).then_some(behind)
    }

    /// The time from the first batch to `now`.
    pub(super) fn time(&self, now: Instant) -> Duration {
        now.since(self.began)
    }

    /// The first batch begins at `now`.
    pub(super) fn start(&mut self, now: Instant) {
        self.began = now;
    }
}
