//! Sleds that boot in step: each batch goes out once, to all of them. See `docs/together.md`.
//!
//! A sled takes a DATA frame whatever its destination, and asks for the next batch only when it has
//! all of the last. So sleds that are offered an image at the same time can be sent each batch to
//! the broadcast address, as soon as every one of them has asked for it. A member's losses are
//! repaired for it alone, by [`super::recovery`].
//!
//! A broadcast frame costs a sled that reads something else a console line, so while a group is in
//! step no other sled boots: others get their OFFERs when it is done.

mod choice;
mod event;
mod gather;
mod members;
mod step;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use boot_format::Checksum;
use boot_format::wire::MacAddr;

use self::choice::Estimates;
use self::members::Group;
use super::sled::Sled;
use super::table::SledId;
use crate::time::Instant;

pub use self::event::{Expected, GroupEvent, Leaving, OneByOne};

/// How sleds are gathered to boot in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Together {
    /// How long sleds wait for others, from the first HELLO. Sleds say it every 4 s.
    pub gather: Duration,
    /// The number of sleds at which waiting ends early.
    pub expect: Option<usize>,
}

impl Together {
    /// Every sled that is on says HELLO within 4 s; half as much again is left for those that are
    /// switched on together.
    pub const GATHER: Duration = Duration::from_secs(6);
}

impl Default for Together {
    fn default() -> Self {
        Self { gather: Self::GATHER, expect: None }
    }
}

/// What a group is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupStatus {
    /// This many sleds wait for others, or for an OFFER.
    Gathering(usize),
    /// This many boot in step.
    InStep {
        /// How many.
        members: usize,
        /// How many others wait for them to finish.
        waiting: usize,
        /// Bytes sent to them.
        bytes: u64,
        /// The image's size in bytes.
        size: u64,
    },
}

/// The groups of one segment, one at a time.
#[derive(Debug)]
pub(super) struct Groups {
    how: Together,
    phase: Phase,
    /// Sleds that wait for an OFFER, and since when.
    waiting: BTreeMap<SledId, Instant>,
    /// Sleds that may have their OFFER and have not read since.
    invited: BTreeSet<SledId>,
    estimates: Estimates,
    /// The image that was broadcast last, and how much of it.
    carried: Option<(Checksum, u64)>,
    /// Until when sleds are served one by one.
    apart: Instant,
    /// How long that lasts when it is decided next.
    apart_for: Duration,
    /// When sleds that read one by one are next considered; when they last were, and how many
    /// frames had been sent by then.
    next_look: Instant,
    looked: Option<(Instant, u64)>,
    /// When another server was last heard.
    other_server: Option<Instant>,
    /// Whether the reason for waiting was reported.
    told_waiting: bool,
    events: VecDeque<GroupEvent>,
}

#[derive(Debug)]
enum Phase {
    /// No sled boots in step; some may wait to.
    Apart,
    /// Sleds were offered an image, and must read by this moment.
    Offered(Instant, Group),
    /// Sleds boot in step.
    InStep(Group),
}

impl Groups {
    /// A sled reads 50 ms after its OFFER and some console lines; the same time for which the group
    /// waits for a silent member.
    const TO_READ: Duration = Group::PATIENCE;
    /// How long another server is taken to be active: several boots.
    const OTHER_SERVER: Duration = Duration::from_mins(1);
    /// How long sleds are served one by one when that was faster: at first, and at most.
    const APART: Duration = Duration::from_secs(2);
    const LONGEST_APART: Duration = Duration::from_mins(2);
    /// How often sleds that read one by one are considered.
    const LOOK: Duration = Duration::from_millis(500);
    const MOST_EVENTS: usize = 1024;

    pub(super) fn new(how: Together) -> Self {
        Self {
            how,
            phase: Phase::Apart,
            waiting: BTreeMap::new(),
            invited: BTreeSet::new(),
            estimates: Estimates::default(),
            carried: None,
            apart: Instant::ZERO,
            apart_for: Self::APART,
            next_look: Instant::ZERO,
            looked: None,
            other_server: None,
            told_waiting: false,
            events: VecDeque::new(),
        }
    }

    /// Whether an OFFER to a sled must wait, for other sleds or for a group to finish.
    pub(super) fn withholds(&self, id: SledId, sled: &Sled) -> bool {
        if !sled.awaits_offer() || self.invited.contains(&id) {
            return false;
        }
        matches!(self.phase, Phase::InStep(_)) || self.waiting.contains_key(&id)
    }

    /// A session has ended, or started over.
    pub(super) fn forget(&mut self, id: SledId, sled: MacAddr) {
        self.waiting.remove(&id);
        self.invited.remove(&id);
        if let Phase::Offered(_, group) | Phase::InStep(group) = &mut self.phase {
            group.invited.remove(&id);
        }
        // Others may have waited for it to finish.
        self.next_look = Instant::ZERO;
        self.begin(id, sled);
    }

    /// A sled begins a boot, and leaves its group.
    pub(super) fn begin(&mut self, id: SledId, sled: MacAddr) {
        if let Phase::Offered(_, group) | Phase::InStep(group) = &mut self.phase
            && group.leave(id)
        {
            let members = group.len();
            self.tell(GroupEvent::Left { sled, why: Leaving::Gone, members });
        }
    }

    /// When groups next need attention, other than for sending; `withheld` if no offers are made.
    pub(super) fn due(&self, withheld: bool) -> Option<Instant> {
        match &self.phase {
            Phase::Apart if withheld => None,
            Phase::Apart if self.told_waiting => Some(self.next_look),
            Phase::Apart => self.gathered(),
            Phase::Offered(_, group) if group.invited.is_empty() => Some(Instant::ZERO),
            Phase::Offered(until, _) => Some(*until),
            Phase::InStep(group) if group.len() < 2 => Some(Instant::ZERO),
            Phase::InStep(group) => group.deadline(),
        }
    }

    /// When the gathering window ends.
    fn gathered(&self) -> Option<Instant> {
        let since = self.waiting.values().min()?;
        let complete = self.how.expect.is_some_and(|expect| self.waiting.len() >= expect);
        // Where another server is active, no sled waits for others.
        Some(if complete || self.other_server.is_some() {
            *since
        } else {
            *since + self.how.gather
        })
    }

    /// Whether frames of a group can go out.
    pub(super) fn is_sending(&self) -> bool {
        matches!(&self.phase, Phase::InStep(group) if group.is_due())
    }

    /// The offset, if everything of `image` before it was broadcast, so that a sled may have it
    /// without having asked for it here. What another server has broadcast is not known.
    pub(super) fn carried(
        &self,
        now: Instant,
        image: Option<Checksum>,
        offset: u64,
    ) -> Option<u64> {
        let image = image?;
        let ours = self.carried.is_some_and(|(carried, end)| image == carried && offset <= end);
        (ours || self.has_other_server(now)).then_some(offset)
    }

    /// Whether a sled is sent nothing because a group is in step.
    pub(super) fn shuts_out(&self, id: SledId) -> bool {
        match &self.phase {
            Phase::Apart => false,
            Phase::Offered(_, group) => !group.has(id) && !group.invited.contains(&id),
            Phase::InStep(group) => !group.has(id),
        }
    }

    /// Members of the group that is in step.
    pub(super) fn members(&self) -> Vec<SledId> {
        match &self.phase {
            Phase::InStep(group) => group.ids().collect(),
            _ => Vec::new(),
        }
    }

    fn has_other_server(&self, now: Instant) -> bool {
        self.other_server.is_some_and(|heard| now.since(heard) < Self::OTHER_SERVER)
    }

    fn tell(&mut self, event: GroupEvent) {
        if self.events.len() < Self::MOST_EVENTS {
            self.events.push_back(event);
        }
    }

    pub(super) fn poll_event(&mut self) -> Option<GroupEvent> {
        self.events.pop_front()
    }

    pub(super) fn status(&self) -> Option<GroupStatus> {
        match &self.phase {
            Phase::InStep(group) => Some(GroupStatus::InStep {
                members: group.len(),
                waiting: self.waiting.len(),
                bytes: group.position,
                size: group.size(),
            }),
            _ if self.waiting.is_empty() => None,
            _ => Some(GroupStatus::Gathering(self.waiting.len())),
        }
    }
}
