//! Incoming frames: what sleds ask for, and what that reveals about their paths.

use std::collections::BTreeSet;

use boot_format::wire::{MacAddr, Read};

use super::event::EventKind;
use super::sent_batch::{Answer, Answered};
use super::sled::Hello;
use super::sled_id::SledId;
use super::{Serve, Server};
use crate::time::Instant;

/// What became of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Handled {
    /// It is from a sled that is served.
    Served,
    /// It is not for this server, or not from a served sled.
    Ignored,
}

impl Server {
    pub(super) fn handle_hello(&mut self, now: Instant, source: MacAddr) -> Handled {
        if self.serve == Serve::First {
            self.serve = Serve::These(BTreeSet::from([source]));
            self.tell(source, EventKind::Settled);
        }
        if !self.is_served(source) {
            return self.ignore(now, source);
        }
        let Some(id) = self.sleds.find(source).or_else(|| self.admit(now, source)) else {
            self.counters.offers_withheld += 1;
            return Handled::Served;
        };
        if let Hello::Asks { again } = self.sleds.change(id).hello(now) {
            self.turns.leave(id);
            self.tell(source, EventKind::Hello { again });
        }
        self.greet(now, id);
        Handled::Served
    }

    pub(super) fn handle_read(
        &mut self,
        now: Instant,
        source: MacAddr,
        read: &Read<'_>,
    ) -> Handled {
        let Some(id) = self.session(now, source, read) else {
            return self.refuse(now, source);
        };
        let sled = self.sleds.change(id);
        let crowded = self.turns.is_crowded();
        if self.groups.as_deref().is_some_and(|groups| groups.shuts_out(id)) {
            // Nothing of its previous READ was sent, and this READ names everything that it lacks.
            sled.asked.drop_pending();
        }
        let before = sled.frontier;
        let (answered, started) = sled.read(now, read);
        let progress = sled.progress(now);
        let (pending, known) = (sled.asked.is_pending(), sled.known);
        let goes_on = sled.frontier > before;
        if pending && self.holds(now, id, goes_on) {
            self.turns.leave(id);
        } else if pending {
            self.turns.ask(id, known);
        }
        if let Some(answered) = answered {
            self.learn(now, id, answered, crowded);
        }
        if let Some(started) = started {
            self.tell(source, started);
        }
        if let Some(progress) = progress {
            self.tell(source, progress);
        }
        Handled::Served
    }

    /// Feeds the acknowledged batch to the pacers: losses that all sleds share to the link's, the
    /// others to that sled's.
    fn learn(&mut self, now: Instant, id: SledId, answered: Answered, crowded: bool) {
        let in_step = self.learn_of_step(now, id, &answered);
        let Answered { batch, tried, lost, .. } = answered;
        // An unverified sled's losses are no evidence about the link.
        if !self.sleds.get(id).known {
            return;
        }
        self.loss.add(lost);
        // The pacer learns of a broadcast batch when all members have answered it; and a remainder
        // of a frame or two reveals little about the path.
        if in_step || !self.pacer.learns() || !batch.tells() {
            return;
        }
        let answer = Answer { crowded: !self.is_alone(id), ..batch.answer(lost >= 0.5, tried) };
        let open = self.pacer.is_open();
        if answer.crowded {
            self.pacer.answered(now, &answer);
        } else {
            // One sled's losses can't tell the link from that sled's port: its own pacer's matter.
            self.pacer.rise(now, &answer);
        }
        match (open, self.pacer.is_open()) {
            (true, true) if !answer.lossy && crowded => self.turns.widen(),
            (false, true) => self.turns.narrow(),
            _ => {}
        }
        let own = &mut self.sleds.change(id).pacer;
        own.answered(now, &Answer { passed: batch.frames, alone: true, ..answer });
    }

    /// Notes that a sled answered. Returns whether all recent answers came from it.
    fn is_alone(&mut self, id: SledId) -> bool {
        /// As many as a pacer looks back at.
        const RECENT: u32 = 8;
        let row = match self.row {
            None => RECENT,
            Some((last, row)) if last == id => (row + 1).min(RECENT),
            Some(_) => 0,
        };
        self.row = Some((id, row));
        row == RECENT
    }

    pub(super) fn handle_finished(&mut self, now: Instant, source: MacAddr) -> Handled {
        let found = self.sleds.find(source);
        let Some((id, finished)) =
            found.zip(found.and_then(|id| self.sleds.change(id).finished(now)))
        else {
            return Handled::Ignored;
        };
        self.remember_boot(id);
        self.withdraw(id);
        self.tell(source, finished);
        Handled::Served
    }

    /// Drops everything that a sled has asked for.
    pub(super) fn withdraw(&mut self, id: SledId) {
        self.turns.leave(id);
        if let Some(groups) = self.groups.as_deref_mut() {
            groups.forget(id, self.sleds.get(id).address);
        }
    }

    /// A sled has booted: remembers its image, and that it is a real sled.
    pub(super) fn remember_boot(&mut self, id: SledId) {
        let sled = self.sleds.get(id);
        if let Some(booted) = sled.boots {
            self.offers.took(sled.address, booted);
        }
    }
}
