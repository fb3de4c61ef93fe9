//! A pair of DLPI handles as a datalink.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use boot_format::wire::{ETHERNET_LEN, ETHERTYPE, MAGIC, MacAddr, source_of};
use boot_netboot::batch::{Batch, FrameSlices};
use boot_netboot::time::Instant;

use super::ffi::{DLPI_PHYSADDR_MAX, Failure, Received, Stream, wait};
use super::handle::Receiving;
use crate::{Datalink, LinkCounters, LinkError, Sent};

/// A link of illumos, through a handle to receive and one to send.
///
/// One call sends one frame, so handing over many saves nothing: the frame's head and payload are
/// gathered once, into a buffer that the kernel then copies. The system does not say how many
/// frames were lost while the read queue was full.
pub(super) struct DlpiLink {
    name: String,
    address: MacAddr,
    max_sdu: usize,
    receiving: Stream,
    sending: Stream,
    /// Whether frames keep their source address; otherwise it is the link's.
    raw: bool,
    share: Share,
    described: String,
    /// The addresses that frames were sent from: a link that receives for all addresses gets its
    /// own frames too.
    own: HashSet<MacAddr>,
    incoming: Box<[u8; ETHERNET_LEN + INCOMING]>,
    outgoing: Vec<u8>,
    /// The system had no memory for a frame; it does not report when it has some again.
    starved: bool,
    counters: LinkCounters,
    /// Since when the link has been down.
    down_since: Option<Instant>,
    /// The last turn of the loop.
    now: Instant,
}

/// Bytes kept after the Ethernet header; no frame of the protocol has more.
const INCOMING: usize = 2048;
/// The most frames received at once.
const MOST: usize = 64;
/// How long to wait where no notification comes.
const PAUSE: Duration = Duration::from_millis(1);

/// Which of the frames that arrive at all workers of a link belong to this one: all frames from one
/// address belong to the same worker.
#[derive(Clone, Copy, Debug)]
pub(super) struct Share {
    pub(super) index: u32,
    pub(super) workers: u32,
}

impl Share {
    fn has(self, source: MacAddr) -> bool {
        /// 2^32 divided by the golden ratio: spreads addresses evenly, whatever the step in which
        /// their vendor assigns them.
        const SPREAD: u32 = 0x9e37_79b1;
        let [_, _, a, b, c, d] = source.octets();
        let spread = u32::from_be_bytes([a, b, c, d]).wrapping_mul(SPREAD) >> 16;
        spread % self.workers == self.index
    }
}

impl DlpiLink {
    pub(super) fn new(
        name: &str,
        receiving: Receiving,
        sending: Stream,
        raw: bool,
        share: Share,
    ) -> Self {
        let shallow = receiving.shallow.map_or_else(String::new, |error| {
            format!(" (no bufmod, so the receive queue is short: {error})")
        });
        let address = MacAddr::new(receiving.address);
        Self {
            name: name.to_owned(),
            address,
            max_sdu: receiving.max_sdu,
            receiving: receiving.stream,
            sending,
            raw,
            share,
            described: format!("DLPI, one call per frame{shallow}"),
            own: HashSet::from([address]),
            incoming: Box::new([0; ETHERNET_LEN + INCOMING]),
            outgoing: Vec::new(),
            starved: false,
            counters: LinkCounters::default(),
            down_since: None,
            now: Instant::ZERO,
        }
    }

    fn fail(&self, what: &'static str, failure: Failure) -> LinkError {
        let link = self.name.clone();
        match failure {
            // A stream that has hung up reports nothing, or one of these.
            Failure::System(0 | libc::ENXIO | libc::ENODEV | libc::EIO) => LinkError::Gone { link },
            _ => LinkError::System { link, what, cause: failure.into_error() },
        }
    }

    fn is_down(&self) -> bool {
        self.sending.notes().down.load(Ordering::Relaxed)
    }

    fn send_one(&mut self, frame: FrameSlices<'_>, payload: &[u8]) -> Result<(), Failure> {
        let (to, sap) =
            (frame.destination().octets(), u16::from_be_bytes([frame.head[12], frame.head[13]]));
        let from = if self.raw { 0 } else { ETHERNET_LEN };
        self.outgoing.clear();
        self.outgoing.extend_from_slice(&frame.head[from..]);
        self.outgoing.extend_from_slice(payload);
        if self.raw {
            self.own.extend(source_of(frame.head));
        }
        self.sending.send(&to, sap, &self.outgoing)
    }

    /// Takes the driver's notifications from the sending handle.
    fn take_notes(&mut self) -> Result<(), LinkError> {
        for _ in 0..MOST {
            match self.sending.take_note() {
                // A notification ends in the same error; if any is left, the next wait wakes at
                // once.
                Err(failure) if failure.is_nothing() => return Ok(()),
                Ok(()) => {}
                Err(failure) if failure.is_broken_message() => {}
                Err(failure) => return Err(self.fail("look after the link", failure)),
            }
        }
        Ok(())
    }

    fn take_frames(&mut self, sink: &mut dyn FnMut(&[u8])) -> Result<(), LinkError> {
        let mut source = [0; DLPI_PHYSADDR_MAX];
        for _ in 0..MOST {
            match self.receiving.receive(&mut source, &mut self.incoming[ETHERNET_LEN..]) {
                Ok(received) => self.hand_over(&source, received, sink),
                Err(failure) if failure.is_nothing() => break,
                Err(failure) if failure.is_broken_message() => self.counters.missed += 1,
                Err(failure) => return Err(self.fail("receive", failure)),
            }
        }
        Ok(())
    }

    /// Restores a frame's Ethernet header and hands it on, if it belongs to this worker.
    fn hand_over(
        &mut self,
        source: &[u8; DLPI_PHYSADDR_MAX],
        received: Received,
        sink: &mut dyn FnMut(&[u8]),
    ) {
        const ADDRESS: usize = 6;
        // Without complete addresses it can't be answered, and a part of a frame is useless.
        if received.source_length != ADDRESS
            || received.destination_length != ADDRESS
            || received.total_length > received.length
        {
            self.counters.missed += 1;
            return;
        }
        // A frame that arrives shows that the link is up, even without a notification.
        self.sending.notes().down.store(false, Ordering::Relaxed);
        self.incoming[..6].copy_from_slice(&received.destination[..ADDRESS]);
        self.incoming[6..12].copy_from_slice(&source[..ADDRESS]);
        self.incoming[12..14].copy_from_slice(&ETHERTYPE.to_be_bytes());
        let frame = &self.incoming[..ETHERNET_LEN + received.length];
        // Where frames for all addresses are received, those of other ethertypes can come too.
        let magic = frame[ETHERNET_LEN..].starts_with(&MAGIC.to_be_bytes());
        let is_ours = |source: MacAddr| !self.own.contains(&source) && self.share.has(source);
        if magic && source_of(frame).is_some_and(is_ours) {
            self.counters.received += 1;
            sink(frame);
        }
    }
}

impl Datalink for DlpiLink {
    fn name(&self) -> &str {
        &self.name
    }

    fn address(&self) -> MacAddr {
        self.address
    }

    fn tick(&mut self, now: Instant) {
        self.now = now;
        if self.is_down() {
            self.down_since.get_or_insert(now);
        } else if let Some(since) = self.down_since.take() {
            self.counters.down_time += now.since(since);
        }
    }

    fn mtu(&self) -> usize {
        self.max_sdu
    }

    fn send(&mut self, batch: &mut Batch) -> Result<Sent, LinkError> {
        let mut sent = Sent::default();
        self.starved = false;
        if self.is_down() {
            sent.dropped = batch.len();
            batch.clear();
        }
        while let Some(frame) = batch.get(0) {
            // The library would report it as sent.
            if frame.len() > ETHERNET_LEN + self.max_sdu {
                batch.consume(1);
                sent.dropped += 1;
                continue;
            }
            let Some(payload) = frame.payload.held() else {
                batch.note_unreadable(0);
                batch.consume(1);
                sent.dropped += 1;
                self.counters.unreadable += 1;
                continue;
            };
            match self.send_one(frame, payload) {
                Ok(()) => {
                    batch.consume(1);
                    sent.taken += 1;
                }
                Err(Failure::System(libc::EINTR)) => {}
                Err(Failure::System(errno @ (libc::EAGAIN | libc::ENOSR | libc::ENOMEM))) => {
                    self.starved = errno != libc::EAGAIN;
                    self.counters.full += 1;
                    break;
                }
                Err(failure) => return Err(self.fail("send", failure)),
            }
        }
        self.counters.taken += sent.taken as u64;
        self.counters.dropped += sent.dropped as u64;
        Ok(sent)
    }

    fn receive(
        &mut self,
        timeout: Duration,
        want_room: bool,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), LinkError> {
        let mut timeout = timeout;
        if want_room && self.starved {
            timeout = timeout.min(PAUSE);
        }
        if timeout < Duration::from_millis(1) && !timeout.is_zero() {
            // Polling takes whole milliseconds.
            thread::sleep(timeout);
            timeout = Duration::ZERO;
        }
        let room = want_room && !self.starved;
        let ready = wait(&self.receiving, &self.sending, room, timeout).map_err(|source| {
            LinkError::System { link: self.name.clone(), what: "wait", cause: source }
        })?;
        if ready.notes {
            self.take_notes()?;
        }
        if ready.frames {
            self.take_frames(sink)?;
        }
        Ok(())
    }

    fn path(&self) -> Option<&str> {
        Some(&self.described)
    }

    fn counters(&mut self) -> LinkCounters {
        let downs = self.sending.notes().downs.load(Ordering::Relaxed);
        let down_time = self.down_since.map_or(Duration::ZERO, |since| self.now.since(since));
        LinkCounters { downs, down_time: self.counters.down_time + down_time, ..self.counters }
    }
}
