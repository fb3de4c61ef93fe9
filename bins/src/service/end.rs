//! When the server ends, and how.

use std::sync::atomic::Ordering;

use anyhow::anyhow;
use boot_netboot::server::{Serve, Server};
use boot_netboot::time::Instant;

use super::attendant::Attendant;
use super::silence::Lasts;
use super::{Shared, lock};
use crate::exit::Exit;

impl Attendant<'_> {
    /// Notes whether frames were left to read when the link was last asked, which was after the
    /// last turn.
    pub(crate) fn note_drained(&mut self, now: Instant, server: &Server) {
        let received = server.counters().received;
        if received == self.received {
            self.shared.silence.drained(self.index, self.last_turn);
        }
        (self.received, self.last_turn) = (received, now);
    }

    /// Whether it is time to end, and how.
    pub(crate) fn end(&mut self, now: Instant, server: &Server) -> Option<anyhow::Result<Exit>> {
        let Shared { options, ended, .. } = self.shared;
        if let Some(exit) = self.shared.end_by_signal() {
            return Some(Ok(exit));
        }
        if ended.load(Ordering::Acquire) {
            return Some(Ok(Exit::Success));
        }
        if let Some(fault) = self.shared.store.take_fault() {
            return Some(Err(fault));
        }
        self.shared.booting[self.index].store(server.booting(now), Ordering::Release);
        if options.stop {
            if self.serves_one() && server.images().is_empty() && !self.shared.store.is_loading() {
                return Some(Err(anyhow!("there is no image to offer")));
            }
            if self.shared.is_done() {
                return Some(Ok(Exit::Success));
            }
        }
        if let Some(heard) = server.last_heard() {
            self.shared.silence.heard(heard);
        }
        let limit = self.plan.timeout?;
        match self.shared.silence.lasts(now, limit, self.index) {
            Lasts::Short | Lasts::Here => None,
            Lasts::MayBeOver => {
                self.next_look = now;
                None
            }
            Lasts::Over => {
                Some(Err(anyhow!("no sled has been heard from for {} s", limit.as_secs_f64())))
            }
        }
    }
}

impl Shared {
    /// How a signal ends the server, if one has come. SIGTERM is how a supervisor stops a service:
    /// that is a success, unless the boot that `-s` waits for has not been done.
    fn end_by_signal(&self) -> Option<Exit> {
        if self.signals.terminated() {
            let well = !self.options.stop || self.is_done();
            return Some(if well { Exit::Success } else { Exit::Terminated });
        }
        self.signals.interrupted().then_some(Exit::Interrupted)
    }

    /// Whether all sleds that `-s` waits for have booted, and none is booting.
    fn is_done(&self) -> bool {
        let boots = lock(&self.boots);
        let has_booted = |address| boots.has_booted(address);
        match &self.plan.plan().serve {
            Serve::These(sleds) => sleds.iter().copied().all(has_booted),
            Serve::First => lock(&self.first).as_ref().is_some_and(|sled| has_booted(sled.address)),
            Serve::All => {
                let idle = self.booting.iter().all(|booting| booting.load(Ordering::Acquire) == 0);
                boots.any_booted() && idle
            }
        }
    }
}
