//! Batches that go out to all members at once.

use boot_format::wire::{BLOCK, MacAddr, SLOTS};

use super::event::{Expected, GroupEvent, Leaving, OneByOne};
use super::members::BATCH;
use super::{Groups, Phase};
use crate::batch::Batch;
use crate::server::Server;
use crate::server::send::push_block;
use crate::server::sent_batch::{Answered, SentBatch};
use crate::server::table::SledId;
use crate::server::turns::Turns;
use crate::time::Instant;

impl Server {
    /// A sled has read, and asked for more than before if it `goes_on`. Returns whether that must
    /// wait, at the barrier or for the group to finish.
    pub(in crate::server) fn holds(&mut self, now: Instant, id: SledId, goes_on: bool) -> bool {
        let Some(groups) = self.groups.as_deref_mut() else {
            return false;
        };
        groups.invited.remove(&id);
        let sled = self.sleds.get(id);
        match &mut groups.phase {
            Phase::Apart => false,
            Phase::Offered(_, group) => {
                let same = sled.image.as_ref().is_some_and(|own| own.same_memory(&group.image));
                if same && sled.asked.batch() == Some(0) && group.invited.remove(&id) {
                    group.join(id);
                    group.asked(now, id, sled, goes_on);
                }
                true
            }
            Phase::InStep(group) if group.has(id) => group.asked(now, id, sled, goes_on),
            Phase::InStep(group) => {
                let Some(behind) = group.behind(id, sled) else {
                    return true;
                };
                group.join(id);
                let waits = group.asked(now, id, sled, goes_on);
                groups.tell(GroupEvent::CaughtUp { sled: sled.address, behind });
                waits
            }
        }
    }

    /// Records an answer, if it is a member's. Returns whether it is.
    pub(in crate::server) fn learn_of_step(
        &mut self,
        now: Instant,
        id: SledId,
        told: &Answered,
    ) -> bool {
        let Some(groups) = self.groups.as_deref_mut() else {
            return false;
        };
        let lost = told.lost >= 0.5;
        if self.sleds.get(id).known {
            groups.estimates.answered(now.since(told.batch.last), told.repeats, lost);
        }
        match &mut groups.phase {
            Phase::InStep(group) if group.has(id) => {
                group.learn(now, id, lost, told.repeats);
                true
            }
            _ => false,
        }
    }

    /// Members that did not answer in time leave.
    pub(super) fn attend_in_step(&mut self, now: Instant) {
        let Some(groups) = self.groups.as_deref_mut() else {
            return;
        };
        let other_server = groups.has_other_server(now);
        let Phase::InStep(group) = &mut groups.phase else {
            return;
        };
        let silent = group.silent(now, groups.estimates.repair());
        for (id, why) in silent {
            self.expel(id, why);
        }
        if other_server {
            self.go_apart(now, OneByOne::OtherServer);
        }
        self.end_if_alone(now);
    }

    /// Whether frames of a group's batch can go out.
    pub(in crate::server) fn is_stepping(&self) -> bool {
        self.groups.as_deref().is_some_and(Groups::is_sending)
    }

    /// Sends a few frames of the group's batch, if all members have asked for it. Returns whether
    /// it sent any.
    pub(in crate::server) fn step(&mut self, now: Instant, batch: &mut Batch) -> bool {
        let Some(groups) = self.groups.as_deref_mut() else {
            return false;
        };
        let Phase::InStep(group) = &mut groups.phase else {
            return false;
        };
        if !group.is_due() {
            return false;
        }
        if group.is_complete() {
            if let Some((at, answer)) = group.answer().filter(|_| self.pacer.learns()) {
                self.pacer.batch_sent(answer.first);
                self.pacer.answered(at, &answer);
            }
            if let Some(step) = group.begin(now, self.released) {
                groups.estimates.stepped(&step);
            }
            if !self.stays_in_step(now) {
                return true;
            }
        }
        let Some(groups) = self.groups.as_deref_mut() else {
            return false;
        };
        let Phase::InStep(group) = &mut groups.phase else {
            return false;
        };
        let (start, frames) = group.take(Turns::QUANTUM.min(batch.room()));
        for block in 0..frames {
            let offset = start + (block * BLOCK) as u64;
            push_block(&group.image, MacAddr::BROADCAST, self.addresses.own(), offset, batch);
        }
        let sent = group.sent(now);
        if sent.is_some() {
            groups.carried = Some((group.image.checksum(), group.position));
        }
        self.counters.broadcast += frames as u64;
        self.release(now, frames);
        if let Some((sent, members)) = sent {
            for id in members {
                self.note_step(now, id, sent);
            }
            self.end_if_done(now);
        }
        true
    }

    /// Notes that a sled has been sent the batch, unless it was only for others.
    fn note_step(&mut self, now: Instant, id: SledId, sent: SentBatch) {
        let Some(Phase::InStep(group)) = self.groups.as_deref_mut().map(|groups| &mut groups.phase)
        else {
            return;
        };
        let start = group.position - BATCH;
        if self.sleds.get(id).asked.batch() != Some(start) {
            return;
        }
        let sled = self.sleds.change(id);
        let member = group.has(id);
        group.expect(id);
        sled.sent_in_step(now, sent);
        sled.batch_sent(now, self.loss.of_link(), true);
        if !self.retransmit || !member {
            sled.recovery.wait();
        }
    }

    /// Before a batch: a member that is too slow leaves, and the group ends if one by one is
    /// faster.
    fn stays_in_step(&mut self, now: Instant) -> bool {
        /// Batches after which twice the expected time is too long, and after which a tenth more
        /// is.
        const SOON: u64 = 8;
        const SURE: u64 = 32;
        const FAR: f64 = 2.0;
        let loss = self.loss.of_link();
        let Some(groups) = self.groups.as_deref_mut() else {
            return false;
        };
        let Phase::InStep(group) = &mut groups.phase else {
            return false;
        };
        if let Some((id, why)) = group.slow() {
            self.expel(id, why);
            return !self.end_if_alone(now);
        }
        let took = group.period.or(0.0);
        let one_by_one = groups.estimates.expected(group.len(), loss).one_by_one.as_secs_f64();
        let count = u64::from(group.period.count());
        let far = count >= SOON && took > FAR * one_by_one;
        let sure = count >= SURE && took > Expected::MARGIN * one_by_one;
        let all_lose = group.all_lose();
        let capped = all_lose && took > groups.estimates.without_broadcast(group.len());
        if far || sure || capped {
            groups.estimates.gave_up(group.len(), loss, took);
            self.go_apart(now, if all_lose { OneByOne::AllLose } else { OneByOne::Faster });
            return false;
        }
        true
    }

    /// A member leaves, and is sent nothing until the group is done.
    fn expel(&mut self, id: SledId, why: Leaving) {
        let Some(groups) = self.groups.as_deref_mut() else {
            return;
        };
        let Phase::InStep(group) = &mut groups.phase else {
            return;
        };
        group.expel(id, why);
        let members = group.len();
        let sled = self.sleds.change(id);
        sled.recovery.stop();
        sled.batch = None;
        let address = sled.address;
        groups.tell(GroupEvent::Left { sled: address, why, members });
        self.turns.leave(id);
    }

    /// The members continue one by one.
    fn go_apart(&mut self, now: Instant, why: OneByOne) {
        let loss = self.loss.of_link();
        let Some(groups) = self.groups.as_deref_mut() else {
            return;
        };
        let Phase::InStep(group) = &groups.phase else {
            return;
        };
        let sleds = group.len();
        let expected = groups.estimates.expected(sleds, loss);
        groups.tell(GroupEvent::OneByOne { sleds, why, expected });
        if why == OneByOne::AllLose && groups.apart_for > Groups::APART {
            // The cause is not a rate that the path can't carry: that has been found out meanwhile.
            groups.apart_for = Groups::LONGEST_APART;
        }
        groups.apart = now + groups.apart_for;
        groups.apart_for = (2 * groups.apart_for).min(Groups::LONGEST_APART);
        self.disband(now);
    }

    /// Ends a group of one, whose member continues alone. Returns whether it did.
    fn end_if_alone(&mut self, now: Instant) -> bool {
        let groups = self.groups.as_deref();
        let alone = matches!(groups.map(|groups| &groups.phase), Some(Phase::InStep(group)) if group.len() < 2);
        if alone {
            self.disband(now);
        }
        alone
    }

    /// Ends a group that has been sent everything.
    fn end_if_done(&mut self, now: Instant) {
        let Some(groups) = self.groups.as_deref_mut() else {
            return;
        };
        let Phase::InStep(group) = &groups.phase else {
            return;
        };
        if group.position < group.size() {
            return;
        }
        let frames = group.batches * SLOTS as u64;
        let done = GroupEvent::Done { members: group.len(), time: group.time(now), frames };
        groups.tell(done);
        groups.apart_for = Groups::APART;
        self.disband(now);
    }
}
