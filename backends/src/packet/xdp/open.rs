//! Getting an AF_XDP socket for a queue, in the best mode that works.
//!
//! In zero-copy mode the queue receives into the socket's UMEM and nowhere else. So the fill ring
//! gets as many frames as the driver's own ring has, once: a driver that passes a frame on to the
//! kernel copies it into a socket buffer and takes the frame back for the next, and none ever
//! reaches us. No XDP program has to redirect frames to us, and the AF_PACKET socket receives
//! everything.
//!
//! Some drivers (virtio_net) need no more. Most send only once the card has an XDP program, and
//! reset it when one comes or goes: the link may be down for seconds, for everyone. So one is
//! attached only on request, and only after the driver has accepted the socket: finding out that
//! there is no such mode costs nothing. Attaching needs CAP_NET_ADMIN and CAP_BPF, where everything
//! else needs CAP_NET_RAW. An XDP program that is already attached stays in place, and this mode is
//! not used: the program may do more with the queue's frames than pass them on.

use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use boot_format::wire::ETHERNET_LEN;

use super::program::PassAll;
use super::ring::{CompletionRing, FillRing, TxRing};
use super::socket::{How, XdpSocket};
use super::umem::Umem;
use super::{Mode, Xdp};
use crate::packet::mmsg::Mmsg;
use crate::packet::socket::Socket;
use crate::packet::watch::LinkFacts;
use crate::packet::{attributes, why};

/// Opens queues of one link.
pub(in crate::packet) struct Opener {
    /// Whether a program may be attached to the link.
    may_attach: bool,
    program: Option<Arc<PassAll>>,
    /// Whether the driver has zero-copy mode, once that is known.
    pub(super) has_mode: Option<bool>,
    /// Whether the link has another program already, once that is known.
    has_other: Option<bool>,
}

impl Opener {
    /// An opener that attaches an XDP program if one is needed for zero-copy mode and this is
    /// wanted.
    pub(in crate::packet) fn new(may_attach: bool) -> Self {
        Self { may_attach, program: None, has_mode: None, has_other: None }
    }

    /// Opens the transmit side of queue `queue` of the link that `link` is bound to.
    ///
    /// # Errors
    ///
    /// What the kernel refuses: EPERM without CAP_NET_RAW, EINVAL if the link has no such queue,
    /// EBUSY if another socket has it.
    pub(in crate::packet) fn open(
        &mut self,
        link: &Socket,
        facts: &LinkFacts,
        queue: u32,
    ) -> io::Result<Xdp> {
        let no_zero_copy = match self.zero_copy(link, facts, queue) {
            Ok(xdp) => return Ok(xdp),
            // Copy mode would fail in the same way.
            Err(Hindrance::Bind(error)) if is_busy(&error) => return Err(error),
            Err(hindrance) => hindrance.to_string(),
        };
        let mut xdp = bound(How::Copy, facts, queue, 0)?;
        xdp.mode = Mode::Copy(no_zero_copy);
        Ok(xdp)
    }

    fn zero_copy(
        &mut self,
        link: &Socket,
        facts: &LinkFacts,
        queue: u32,
    ) -> Result<Xdp, Hindrance> {
        // If the kernel does not say, the driver will.
        let has_mode = || attributes::has_zero_copy(facts.index).unwrap_or(true);
        if !*self.has_mode.get_or_insert_with(has_mode) {
            return Err(Hindrance::Driver);
        }
        if facts.mtu > Umem::LONGEST_MTU {
            return Err(Hindrance::Mtu(facts.mtu));
        }
        if *self.has_other.get_or_insert_with(|| has_program(facts.index)) {
            return Err(Hindrance::Program);
        }
        let frames = link.receive_ring(&facts.name).unwrap_or(USUAL_RING).max(LEAST_RING);
        if frames > MOST_RING {
            return Err(Hindrance::Ring(frames));
        }
        let mut xdp = bound(How::ZeroCopy, facts, queue, frames).map_err(Hindrance::Bind)?;
        // A driver that lacks something refuses even when there is nothing to send.
        if self.program.is_none() && xdp.socket.kick().is_err() {
            if !self.may_attach {
                return Err(Hindrance::NoProgram);
            }
            let program = PassAll::attach(facts.index).map_err(Hindrance::Attach)?;
            self.program = Some(Arc::new(program));
        }
        match xdp.socket.kick() {
            Ok(()) => {}
            // The link has no carrier, or has just been reset.
            Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => {}
            Err(error) => {
                // Another queue may have the program.
                self.program.take_if(|program| Arc::strong_count(program) == 1);
                return Err(Hindrance::Kick(error));
            }
        }
        xdp.mode = Mode::ZeroCopy(self.program.clone());
        Ok(xdp)
    }
}

/// Frames to receive into where the driver does not say how many its ring has.
const USUAL_RING: usize = 1024;
const LEAST_RING: usize = 64;
/// Each takes 4 KiB of locked memory. With fewer frames than its ring has room for, a driver may
/// not begin to receive before something is sent (ice).
const MOST_RING: usize = 2048;

/// Why zero-copy mode is not used.
#[derive(Debug)]
enum Hindrance {
    /// The driver has no zero-copy mode.
    Driver,
    /// The MTU is too long.
    Mtu(usize),
    /// The driver's receive ring is too long.
    Ring(usize),
    /// An XDP program is already attached, which may send the queue's frames elsewhere.
    Program,
    Bind(io::Error),
    /// The driver sends nothing without a program, and none may be attached.
    NoProgram,
    Attach(io::Error),
    Kick(io::Error),
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mtu(mtu) => {
                write!(f, "the MTU of {mtu} is over {}", Umem::LONGEST_MTU)
            }
            Self::Ring(frames) => write!(
                f,
                "the receive ring has {frames} frames, more than the {MOST_RING} that memory is locked for"
            ),
            Self::Program => f.write_str("the link already has an XDP program"),
            Self::Driver => f.write_str("not in this driver"),
            Self::Bind(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                f.write_str("not in this driver")
            }
            Self::Bind(error) => f.write_str(&why(error)),
            Self::NoProgram => f.write_str(
                "it takes an XDP program, which is attached for `xdp` only, as most cards are reset \
                 for it",
            ),
            Self::Attach(error) if error.raw_os_error() == Some(libc::EPERM) => {
                f.write_str("it needs an XDP program, and that needs cap_net_admin and cap_bpf")
            }
            Self::Attach(error) => write!(f, "it needs an XDP program: {}", why(error)),
            Self::Kick(error) => write!(f, "the driver does not send: {}", why(error)),
        }
    }
}

/// A socket bound to queue `queue`, with `receive` frames to receive into.
fn bound(how: How, facts: &LinkFacts, queue: u32, receive: usize) -> io::Result<Xdp> {
    let socket = XdpSocket::new()?;
    let umem = Umem::new(receive)?;
    patiently(libc::ENOBUFS, || socket.register(&umem))?;
    // The kernel wants a fill ring even if nothing will be received.
    let frames = (receive.max(1) as u32).next_power_of_two();
    socket.make_ring(libc::XDP_UMEM_FILL_RING, frames)?;
    let slots = Umem::SLOTS as u32;
    socket.make_ring(libc::XDP_UMEM_COMPLETION_RING, slots)?;
    socket.make_ring(libc::XDP_TX_RING, TxRing::SIZE)?;
    let offsets = socket.ring_offsets()?;
    let completions = CompletionRing::map(socket.as_fd(), &offsets, slots)?;
    let tx = TxRing::map(socket.as_fd(), &offsets)?;
    // Before the queue is bound, since that is when drivers look for frames.
    FillRing::map(socket.as_fd(), &offsets, frames)?.publish(umem.receive_frames());
    patiently(libc::EBUSY, || socket.bind(facts.index, queue, how))?;
    let burst = match (how, socket.set_budget(TxRing::SIZE)) {
        (How::Copy, Err(_)) => Xdp::LEAST_BURST, // Before Linux 6.18.
        _ => TxRing::SIZE as usize,
    };
    let (longest, mode) = (ETHERNET_LEN + facts.mtu, Mode::Copy(String::new()));
    Ok(Xdp { tx, completions, socket, umem, mode, longest, burst, beside: Mmsg::new(), pending: 0 })
}

/// A queue, locked memory or a program that was released a moment ago may still be taken: the
/// kernel cleans up later.
const PAUSE: Duration = Duration::from_millis(5);
const PATIENCE: u32 = 40;

/// Retries for a while if `attempt` fails with the error `passing`.
fn patiently(passing: i32, mut attempt: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    for _ in 0..PATIENCE {
        match attempt() {
            Err(error) if error.raw_os_error() == Some(passing) => thread::sleep(PAUSE),
            outcome => return outcome,
        }
    }
    attempt()
}

/// Whether the link has an XDP program that stays. If the kernel does not say, attaching one will
/// show.
fn has_program(link: i32) -> bool {
    let look = || match attributes::has_xdp_program(link) {
        Ok(true) => Err(io::Error::from_raw_os_error(libc::EBUSY)),
        _ => Ok(()),
    };
    patiently(libc::EBUSY, look).is_err()
}

fn is_busy(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EBUSY)
}
