//! Sending through AF_XDP.
//!
//! A frame is copied into a slot of the UMEM. In copy mode, which every driver has, the kernel
//! copies it from there into a socket buffer and hands that to the driver, past the queueing
//! discipline: the kernel does much less than for an AF_PACKET socket, which outweighs the second
//! copy. In zero-copy mode the card reads the slot itself; [`open`] finds out which drivers
//! can and what they need. Receiving stays with the AF_PACKET socket.

#![expect(unsafe_code, reason = "memory and rings are shared with the kernel")]

mod open;
mod program;
mod ring;
mod socket;
#[cfg(test)]
mod tests;
mod umem;

use std::io;
use std::sync::Arc;

use boot_format::wire::ETHERNET_LEN;
use boot_netboot::batch::Batch;

pub(super) use self::open::Opener;
use self::program::PassAll;
use self::ring::{CompletionRing, TxRing};
use self::socket::XdpSocket;
use self::umem::{Umem, prefetch};
use super::link::{Refusal, Round, Stop, Transmit};
use super::mmsg::Mmsg;
use super::socket::Socket;

/// The transmit side of one queue of a link.
pub(super) struct Xdp {
    tx: TxRing,
    completions: CompletionRing,
    socket: XdpSocket,
    umem: Umem,
    mode: Mode,
    /// The longest frame: the kernel does not check it on this path.
    longest: usize,
    /// Frames given to the kernel at a time: the least that it takes with one call.
    burst: usize,
    /// For frames from a mapped file, which only the kernel may read: they can't be copied to the
    /// UMEM.
    beside: Mmsg,
    /// Entries that were in the ring when it was last looked at.
    pending: u32,
}

/// What reads the slots.
#[derive(Debug)]
enum Mode {
    /// The kernel, in the call that sends; and why not the card, in words.
    Copy(String),
    /// The card, some time after the call; and the program that it takes, if any.
    ZeroCopy(Option<Arc<PassAll>>),
}

impl Xdp {
    /// What every kernel takes with one call.
    const LEAST_BURST: usize = 32;
    /// How many frames ahead of the copy payloads are prefetched.
    const AHEAD: usize = 4;
    /// A card frees slots one at a time; sending pays off from this many on.
    const LEAST_ROOM: usize = 32;

    /// Describes how frames leave by this queue; `said` is a remark about it.
    pub(super) fn describe(&self, queue: u32, said: &str) -> String {
        let (mode, remark) = match &self.mode {
            Mode::Copy(why) => ("in copy mode", format!("; zero-copy: {why}")),
            Mode::ZeroCopy(None) => ("zero-copy", String::new()),
            Mode::ZeroCopy(Some(_)) => {
                ("zero-copy", "; with an XDP program that passes every frame on".to_owned())
            }
        };
        format!("AF_XDP {mode}, queue {queue}{said}{remark}")
    }

    fn is_zero_copy(&self) -> bool {
        matches!(self.mode, Mode::ZeroCopy(_))
    }

    /// Takes note of what has left the ring since it was last looked at, and of the slots that
    /// are free again. Returns the number of frames that have left it.
    fn look(&mut self) -> usize {
        let before = self.pending;
        self.pending = self.tx.pending();
        self.completions.drain(|address| self.umem.give_back(address));
        before.wrapping_sub(self.pending) as usize
    }

    /// Has the kernel take what is in the ring.
    fn kick(&mut self) -> io::Result<Round> {
        let mut round = Round::default();
        let outcome = self.socket.kick();
        round.sent.taken = self.look();
        let Err(error) = outcome else { return Ok(round) };
        if error.raw_os_error() == Some(libc::EBUSY) {
            round.stop = Some(Stop::QueueFull);
            // The driver had no room and, instead of saying so, threw the last frame away, as
            // virtual links do.
            if !self.is_zero_copy() && round.sent.taken > 0 {
                round.sent.taken -= 1;
                round.sent.dropped += 1;
            }
            return Ok(round);
        }
        match Refusal::of(error)? {
            Refusal::Down => round.stop = Some(Stop::Down),
            Refusal::Interrupted | Refusal::Lost | Refusal::Unreadable => {}
            // The kernel returns the same error when it has done its share for one call.
            Refusal::BufferFull | Refusal::QueueFull if round.sent.taken > 0 => {}
            Refusal::BufferFull | Refusal::QueueFull => round.stop = Some(Stop::QueueFull),
        }
        Ok(round)
    }
}

impl Transmit for Xdp {
    fn transmit(&mut self, socket: &Socket, batch: &mut Batch) -> io::Result<Round> {
        if batch.get(0).is_some_and(|frame| frame.payload.held().is_none()) {
            return self.beside.transmit(socket, batch);
        }
        // Between calls only a card goes on taking frames.
        let meanwhile = if self.is_zero_copy() { self.look() } else { 0 };
        let room = (TxRing::SIZE - self.pending) as usize;
        let mut room = room.min(self.umem.free()).min(self.burst);
        if self.is_zero_copy() && room < Self::LEAST_ROOM.min(batch.len()) {
            room = 0;
        }
        let mut consumed = 0;
        let mut dropped = 0;
        for frame in batch.iter().take(room) {
            let Some(payload) = frame.payload.held() else { break };
            if let Some(ahead) = batch.get(consumed + Self::AHEAD) {
                prefetch(ahead.payload.held().unwrap_or_default());
            }
            consumed += 1;
            let fits = frame.len() <= self.longest;
            match fits.then(|| self.umem.write(frame.head, payload)).flatten() {
                Some(written) => self.tx.push(written),
                None => dropped += 1,
            }
        }
        batch.consume(consumed);
        self.pending += (consumed - dropped) as u32;
        self.tx.publish();
        let mut round = self.kick()?;
        round.sent.taken += meanwhile;
        round.sent.dropped += dropped;
        if room == 0 && (round.sent.taken == 0 || self.is_zero_copy()) {
            // Every slot is with the driver, which gives them back as the link takes frames.
            round.stop = round.stop.or(Some(Stop::QueueFull));
        }
        Ok(round)
    }

    fn fit(&mut self, mtu: usize) {
        self.longest = ETHERNET_LEN + mtu;
    }

    fn pending(&self) -> usize {
        self.pending as usize
    }

    fn flush(&mut self) -> io::Result<Round> {
        if !self.is_zero_copy() {
            return self.kick();
        }
        let meanwhile = self.look();
        let mut round = if self.pending == 0 { Round::default() } else { self.kick()? };
        round.sent.taken += meanwhile;
        Ok(round)
    }
}
