//! A packet socket as a datalink, whichever path its frames take.

use std::io;
use std::mem;
use std::time::Duration;

use boot_format::wire::{MacAddr, source_of};
use boot_netboot::batch::Batch;
use boot_netboot::time::Instant;

use super::backoff::Backoff;
use super::filter;
use super::hold::Holding;
use super::outage::Outage;
use super::socket::{ReceiveScratch, Socket};
use super::until::{Before, Until};
use super::watch::Watch;
use crate::{Datalink, LinkCounters, LinkError, OpenOptions, Sent};

/// One way to hand frames to the kernel.
pub(super) trait Transmit: Send {
    /// Sends frames from the front of `batch`, as many as the kernel takes at once, and consumes
    /// those that are done with.
    ///
    /// # Errors
    ///
    /// If the link is gone for good.
    fn transmit(&mut self, socket: &Socket, batch: &mut Batch) -> io::Result<Round>;

    /// From now on, frames may have `mtu` bytes after the Ethernet header.
    fn fit(&mut self, _mtu: usize) {}

    /// Frames that were consumed but not yet taken by the kernel.
    fn pending(&self) -> usize {
        0
    }

    /// Makes the kernel try pending frames again.
    ///
    /// # Errors
    ///
    /// If the link is gone for good.
    fn flush(&mut self) -> io::Result<Round> {
        Ok(Round::default())
    }
}

/// The result of one attempt at sending.
#[derive(Debug, Default)]
pub(super) struct Round {
    pub(super) sent: Sent,
    /// Dropped frames whose payload could not be read.
    pub(super) unreadable: usize,
    /// Why no more went out, if it is known that no more would.
    pub(super) stop: Option<Stop>,
}

/// Why no more frames can go out now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The socket's own buffer is full; polling reports when there is space.
    BufferFull,
    /// The queue behind the socket is full; nothing reports when there is space.
    QueueFull,
    /// The link is down.
    Down,
}

/// What the kernel means by refusing a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// A signal came.
    Interrupted,
    /// The frame can never go out: it is longer than the link's MTU.
    Lost,
    /// Its payload can't be read: the file that it is mapped from was cut short.
    Unreadable,
    BufferFull,
    QueueFull,
    Down,
}

impl Refusal {
    /// What `error` means; any other error ends the link.
    pub(super) fn of(error: io::Error) -> io::Result<Self> {
        match error.raw_os_error() {
            Some(libc::EINTR) => Ok(Self::Interrupted),
            Some(libc::EMSGSIZE) => Ok(Self::Lost),
            Some(libc::EFAULT) => Ok(Self::Unreadable),
            Some(libc::EAGAIN) => Ok(Self::BufferFull),
            Some(libc::ENOBUFS) => Ok(Self::QueueFull),
            Some(libc::ENETDOWN) => Ok(Self::Down),
            _ => Err(error),
        }
    }
}

/// A packet socket that is bound to one link.
pub(super) struct PacketLink {
    name: String,
    watch: Watch,
    /// The addresses that the filter accepts frames for: the link's own, and its former ones;
    /// `None` if all.
    filtered: Option<(MacAddr, Vec<MacAddr>)>,
    /// The former addresses for which the link delivers frames.
    former: Vec<MacAddr>,
    holding: Holding,
    socket: Socket,
    path: Box<dyn Transmit>,
    described: String,
    receive: ReceiveScratch,
    backoff: Backoff,
    blocked: Option<Stop>,
    /// Whether a wait for room has gone its full length since the last send.
    waited: bool,
    outage: Outage,
    counters: LinkCounters,
    /// What became of pending frames since the last send.
    late: Sent,
}

impl PacketLink {
    /// Sends over `path`; `described` is its description.
    pub(super) fn new(
        name: &str,
        (watch, holding): (Watch, Holding),
        socket: Socket,
        (path, described): (Box<dyn Transmit>, String),
        options: OpenOptions,
    ) -> Self {
        Self {
            name: name.to_owned(),
            filtered: (!options.all_addresses).then(|| (watch.facts().address, Vec::new())),
            former: Vec::new(),
            watch,
            holding,
            socket,
            path,
            described,
            receive: ReceiveScratch::new(),
            backoff: Backoff::new(),
            blocked: None,
            waited: false,
            outage: Outage::new(options.patience),
            counters: LinkCounters::default(),
            late: Sent::default(),
        }
    }

    fn fail(&self, what: &'static str, source: io::Error) -> LinkError {
        let link = self.name.clone();
        match source.raw_os_error() {
            Some(libc::ENXIO | libc::ENODEV) => LinkError::Gone { link },
            _ => LinkError::System { link, what, cause: source },
        }
    }

    /// Takes the socket's pending error: a link that is down is not a failure, a removed one is.
    fn take_error(&mut self) -> Result<(), LinkError> {
        let waiting =
            self.socket.take_error().map_err(|error| self.fail("look for errors", error))?;
        if let Some(error) = waiting {
            if error.raw_os_error() != Some(libc::ENETDOWN) {
                return Err(self.fail("receive", error));
            }
            self.note_down();
        }
        self.look_for_link()
    }

    /// A link that is removed goes down first, and that is all the socket reports.
    fn look_for_link(&self) -> Result<(), LinkError> {
        match self.socket.link_exists() {
            Ok(true) => Ok(()),
            Ok(false) => Err(LinkError::Gone { link: self.name.clone() }),
            Err(error) => Err(self.fail("look for the link", error)),
        }
    }

    /// Takes in what has changed about the link; almost free if nothing has.
    fn look(&mut self) {
        self.watch.look();
        self.path.fit(self.watch.facts().mtu);
        let wanted = (self.watch.facts().address, &self.former);
        // A filter that can't be attached now is tried again later.
        if let Some((address, former)) = &mut self.filtered
            && (*address, &*former) != wanted
            && self.socket.attach_filter(&filter::frames_for(wanted.0, wanted.1)).is_ok()
        {
            (*address, *former) = (wanted.0, wanted.1.clone());
        }
    }

    fn runs(&mut self) -> bool {
        self.look();
        self.watch.facts().runs
    }

    fn note_down(&mut self) {
        self.counters.downs += u64::from(self.outage.begin());
    }

    /// Waits for frames, or for room too if `writable`.
    fn wait(&mut self, timeout: Duration, writable: bool) -> Result<(), LinkError> {
        if !timeout.is_zero() {
            let troubled = self.socket.wait(timeout, writable);
            if troubled.map_err(|error| self.fail("wait", error))? {
                self.take_error()?;
            }
        }
        if self.watch.facts().gone {
            return Err(LinkError::Gone { link: self.name.clone() });
        }
        Ok(())
    }

    /// Hands the frames that have arrived to `sink`, except those that seem to be the link's own.
    /// Returns how many there were.
    fn take_frames(&mut self, sink: &mut dyn FnMut(&[u8])) -> Result<usize, LinkError> {
        let own = self.watch.facts().address;
        let mut as_us = 0;
        let received = self.socket.receive(&mut self.receive, &mut |frame| {
            if source_of(frame) == Some(own) {
                as_us += 1;
            } else {
                sink(frame);
            }
        });
        let received = match received {
            Ok(received) => received,
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => 0,
                Some(libc::ENETDOWN) => {
                    self.note_down();
                    self.look_for_link()?;
                    0
                }
                _ => return Err(self.fail("receive", error)),
            },
        };
        self.counters.received += received as u64;
        self.counters.as_us += as_us;
        Ok(received)
    }

    /// Has the kernel try late frames again.
    fn flush(&mut self) -> Result<(), LinkError> {
        let round = self.path.flush().map_err(|error| self.fail("send", error))?;
        self.count(&round);
        self.late += round.sent;
        if mem::take(&mut self.waited) {
            self.backoff.made(round.sent.taken);
        }
        Ok(())
    }

    /// The link is down: the frames of a batch wait for it, or are lost.
    fn hold_or_drop(&mut self, batch: &mut Batch) -> Result<Sent, LinkError> {
        self.note_down();
        self.look_for_link()?;
        let (may_wait, first) = self.outage.wait();
        if may_wait {
            self.counters.held += if first { batch.len() as u64 } else { 0 };
            self.blocked = Some(Stop::Down);
            return Ok(Sent::default());
        }
        let dropped = Sent { taken: 0, dropped: batch.len() };
        batch.clear();
        self.count(&Round { sent: dropped, ..Round::default() });
        Ok(dropped)
    }

    fn count(&mut self, round: &Round) {
        self.counters.taken += round.sent.taken as u64;
        self.counters.dropped += round.sent.dropped as u64;
        self.counters.unreadable += round.unreadable as u64;
        self.counters.queue_full += u64::from(round.stop == Some(Stop::QueueFull));
        if round.sent.taken > 0 {
            self.outage.end();
        }
    }
}

impl Datalink for PacketLink {
    fn name(&self) -> &str {
        &self.name
    }

    fn current_name(&self) -> &str {
        &self.watch.facts().name
    }

    fn address(&self) -> MacAddr {
        self.watch.facts().address
    }

    fn hear_also(&mut self, former: &[MacAddr]) {
        if self.filtered.is_none() || self.former == former {
            return;
        }
        // If this fails, a card or bridge may not deliver such frames: then sleds start over.
        for address in self.former.iter().filter(|address| !former.contains(address)) {
            let _ = self.socket.receive_for(*address, false);
        }
        for address in former.iter().filter(|address| !self.former.contains(address)) {
            let _ = self.socket.receive_for(*address, true);
        }
        self.former = former.to_vec();
        self.look();
    }

    fn tick(&mut self, now: Instant) {
        self.outage.tick(now);
    }

    fn mtu(&self) -> usize {
        self.watch.facts().mtu
    }

    fn send(&mut self, batch: &mut Batch) -> Result<Sent, LinkError> {
        let mut sent = Sent::default();
        let mut once_more = true;
        self.blocked = None;
        if !batch.is_empty() && !self.runs() {
            sent += self.hold_or_drop(batch)?;
        }
        while !batch.is_empty() && self.blocked.is_none() {
            let round = self.path.transmit(&self.socket, batch);
            let round = round.map_err(|error| self.fail("send", error))?;
            sent += round.sent;
            self.count(&round);
            match round.stop {
                None => {}
                // The socket reports that the link went down even when it is up again.
                Some(Stop::Down) if mem::take(&mut once_more) => {}
                Some(Stop::Down) => sent += self.hold_or_drop(batch)?,
                Some(stop) => {
                    self.counters.full += 1;
                    self.blocked = Some(stop);
                }
            }
        }
        if mem::take(&mut self.waited) {
            self.backoff.made(sent.taken);
        }
        sent += mem::take(&mut self.late);
        Ok(sent)
    }

    fn receive(
        &mut self,
        timeout: Duration,
        want_room: bool,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), LinkError> {
        let late = self.path.pending() > 0;
        let runs = late && self.runs();
        let before = Before { late, runs, want_room, blocked: self.blocked };
        let (until, pause) = (before.until(), self.backoff.pause());
        let timeout = until.limit(timeout, pause);
        self.wait(timeout, until == Until::Room)?;
        let received = self.take_frames(sink)?;
        if self.outage.is_on() && self.watch.runs_again() {
            self.look_for_link()?;
            self.outage.end();
        }
        self.waited |= until == Until::QueueRoom && received == 0 && timeout == pause;
        if before.can_flush() { self.flush() } else { Ok(()) }
    }

    fn sends_mapped(&self) -> bool {
        true
    }

    fn path(&self) -> Option<&str> {
        Some(&self.described)
    }

    fn counters(&mut self) -> LinkCounters {
        if !self.runs() {
            self.note_down();
        }
        self.holding.look();
        // Missing it does no harm: the sled asks again.
        self.counters.missed += self.socket.take_missed().unwrap_or(0);
        LinkCounters {
            down_time: self.outage.time(),
            is_down: self.outage.is_on(),
            ..self.counters
        }
    }
}
