//! Sending through AF_XDP in copy mode, which every driver has.
//!
//! A frame is copied into a slot of the UMEM, from there into a socket buffer by the kernel, and
//! goes to the driver past the queueing discipline. The kernel's share of that is so much less
//! than on an AF_PACKET socket's way that the second copy is well spent. Receiving stays with
//! the AF_PACKET socket, so no XDP program is needed.
//!
//! Zero-copy mode is not for us. Once a socket is bound that way, the queue receives into the
//! socket's UMEM and nowhere else: with an empty fill ring it is deaf, and with a full one it
//! still takes an XDP program that passes every frame on. Drivers such as i40e do not send from
//! the socket at all without one, and reset the card when it comes and goes, under the boots of
//! everybody on it. It would also take CAP_NET_ADMIN and CAP_BPF, where copy mode needs
//! CAP_NET_RAW; and a frame counts as sent once the driver has read its descriptor, whatever
//! becomes of it.

#![expect(unsafe_code, reason = "memory and rings are shared with the kernel")]

mod ring;
mod socket;
mod umem;

use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::Duration;

use boot_engine::batch::Batch;
use boot_engine::wire::ETHERNET_LEN;

use self::ring::{CompletionRing, TxRing};
use self::socket::XdpSocket;
use self::umem::{Umem, prefetch};
use super::link::{Refusal, Round, Stop, Transmit};
use super::socket::Socket;

/// The transmit side of one queue of a link.
pub(super) struct Xdp {
    tx: TxRing,
    completions: CompletionRing,
    socket: XdpSocket,
    umem: Umem,
    /// The longest frame: the kernel does not check it on this way.
    longest: usize,
    /// Frames given to the kernel at a time: what it takes with one call at least.
    burst: usize,
    /// Entries that were in the ring when the kernel last took some.
    pending: u32,
}

impl Xdp {
    /// What every kernel takes with one call.
    const LEAST_BURST: usize = 32;
    /// While a frame is copied, this many frames ahead the next one is on its way from memory.
    const AHEAD: usize = 4;

    /// Opens the transmit side of queue `queue` of the link with this index.
    ///
    /// # Errors
    ///
    /// What the kernel refuses: EPERM without CAP_NET_RAW, EINVAL if the link has no such queue,
    /// EBUSY if another socket has it.
    pub(super) fn open(link: i32, mtu: usize, queue: u32) -> io::Result<Self> {
        let socket = XdpSocket::new()?;
        let umem = Umem::new()?;
        socket.register(&umem)?;
        // The kernel wants a fill ring, though nothing will be received.
        socket.make_ring(libc::XDP_UMEM_FILL_RING, 1)?;
        let slots = Umem::SLOTS as u32;
        socket.make_ring(libc::XDP_UMEM_COMPLETION_RING, slots)?;
        socket.make_ring(libc::XDP_TX_RING, TxRing::SIZE)?;
        let offsets = socket.ring_offsets()?;
        let completions = CompletionRing::map(socket.as_fd(), &offsets, slots)?;
        let tx = TxRing::map(socket.as_fd(), &offsets)?;
        bind(&socket, link, queue)?;
        let burst = match socket.set_budget(TxRing::SIZE) {
            Ok(()) => TxRing::SIZE as usize,
            // Before Linux 6.18.
            Err(_) => Self::LEAST_BURST,
        };
        Ok(Self { tx, completions, socket, umem, longest: ETHERNET_LEN + mtu, burst, pending: 0 })
    }

    /// Has the kernel take what is in the ring.
    fn kick(&mut self) -> io::Result<Round> {
        let mut round = Round::default();
        let outcome = self.socket.kick();
        let before = self.pending;
        self.pending = self.tx.pending();
        round.sent.taken = before.wrapping_sub(self.pending) as usize;
        let completions = &mut self.completions;
        completions.drain(|address| self.umem.give_back(address));
        let Err(error) = outcome else { return Ok(round) };
        // The driver had no room and, instead of saying so, threw the last frame away, as virtual
        // links do.
        if error.raw_os_error() == Some(libc::EBUSY) && round.sent.taken > 0 {
            round.sent.taken -= 1;
            round.sent.dropped += 1;
            round.stop = Some(Stop::QueueFull);
            return Ok(round);
        }
        match Refusal::of(error)? {
            Refusal::Down => round.stop = Some(Stop::Down),
            Refusal::Interrupted | Refusal::Lost | Refusal::Unreadable => {}
            // The kernel says the same when it has done its share for one call.
            Refusal::BufferFull | Refusal::QueueFull if round.sent.taken > 0 => {}
            Refusal::BufferFull | Refusal::QueueFull => round.stop = Some(Stop::QueueFull),
        }
        Ok(round)
    }
}

/// Binds to a queue. A socket that was closed a moment ago may still have it: the kernel lets go
/// of queues in its own time.
fn bind(socket: &XdpSocket, link: i32, queue: u32) -> io::Result<()> {
    const PAUSE: Duration = Duration::from_millis(5);
    const PATIENCE: u32 = 40;
    let busy = |error: &io::Error| error.raw_os_error() == Some(libc::EBUSY);
    for _ in 0..PATIENCE {
        match socket.bind(link, queue) {
            Err(error) if busy(&error) => thread::sleep(PAUSE),
            outcome => return outcome,
        }
    }
    socket.bind(link, queue)
}

impl Transmit for Xdp {
    fn transmit(&mut self, _: &Socket, batch: &mut Batch) -> io::Result<Round> {
        let room = (TxRing::SIZE - self.pending) as usize;
        let room = room.min(self.umem.free()).min(self.burst);
        let mut consumed = 0;
        let mut dropped = 0;
        for frame in batch.iter().take(room) {
            if let Some(ahead) = batch.get(consumed + Self::AHEAD) {
                prefetch(ahead.payload);
            }
            consumed += 1;
            let fits = frame.len() <= self.longest;
            match fits.then(|| self.umem.write(frame.head, frame.payload)).flatten() {
                Some(written) => self.tx.push(written),
                None => dropped += 1,
            }
        }
        batch.consume(consumed);
        self.pending += (consumed - dropped) as u32;
        self.tx.publish();
        let mut round = self.kick()?;
        round.sent.dropped += dropped;
        if room == 0 && round.sent.taken == 0 {
            // Every slot is with the driver, which gives them back as the link takes frames.
            round.stop = round.stop.or(Some(Stop::QueueFull));
        }
        Ok(round)
    }

    fn pending(&self) -> usize {
        self.pending as usize
    }

    fn flush(&mut self) -> io::Result<Round> {
        self.kick()
    }
}
