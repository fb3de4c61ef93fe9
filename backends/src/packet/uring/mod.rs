//! Sending through an io_uring: one system call per batch, as with sendmmsg, and no copy of a
//! message header per frame.

#![expect(unsafe_code, reason = "the kernel reads frames through the pointers in the ring")]

mod ring;

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixDatagram;

use boot_image::Payload;
use boot_netboot::batch::{Batch, FrameSlices};
use io_uring::opcode;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::Fixed;

use self::ring::Ring;
use super::link::{Refusal, Round, Stop, Transmit};
use super::socket::{Socket, vector_of};
use crate::BATCH;

/// Queues a batch of sends and submits them at once.
///
/// A packet socket completes a non-blocking send at submission, and entries are taken in order. So
/// when the last one has completed, the kernel is done with the memory of all, and a batch need not
/// be borrowed for longer than one call. Only refused entries and the last one report their
/// completion.
pub(super) struct Uring {
    /// Made by the thread that sends, the only one that the kernel then accepts.
    ring: Option<Ring>,
    entries: Entries,
    /// Frames to try at once: few while the queue is full, since each that does not fit costs time.
    burst: usize,
    results: Vec<(usize, i32)>,
}

impl Uring {
    const MOST: usize = BATCH;
    const LEAST: usize = 8;

    /// A ring, if a trial shows that it works here.
    ///
    /// # Errors
    ///
    /// What the kernel refuses.
    pub(super) fn open() -> io::Result<Self> {
        let vectorized = match Entries::new(true).gathers() {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                Entries::new(false).gathers()?;
                false
            }
            outcome => outcome.map(|()| true)?,
        };
        Ok(Self {
            ring: None,
            entries: Entries::new(vectorized),
            burst: Self::MOST,
            results: Vec::with_capacity(Self::MOST),
        })
    }

    /// The kind of entry in use.
    pub(super) fn flavour(&self) -> &'static str {
        if self.entries.vectorized { "vectorized sends" } else { "SendMsg" }
    }

    /// Consumes the first `count` frames, except those whose results say that they can be sent
    /// later.
    fn settle(&mut self, batch: &mut Batch, count: usize) -> io::Result<Round> {
        let mut round = Round::default();
        if self.results.is_empty() {
            batch.consume(count);
            round.sent.taken = count;
            self.burst = (self.burst * 2).min(Self::MOST);
            return Ok(round);
        }
        let mut kept = [false; Self::MOST];
        let mut refused = 0;
        for &(index, result) in &self.results {
            refused += 1;
            let stop = match Refusal::of(io::Error::from_raw_os_error(-result))? {
                Refusal::Interrupted => None,
                refusal @ (Refusal::Lost | Refusal::Unreadable) => {
                    if refusal == Refusal::Unreadable {
                        batch.note_unreadable(index);
                        round.unreadable += 1;
                    }
                    round.sent.dropped += 1;
                    continue;
                }
                Refusal::BufferFull => Some(Stop::BufferFull),
                Refusal::QueueFull => Some(Stop::QueueFull),
                Refusal::Down => Some(Stop::Down),
            };
            kept[index] = true;
            round.stop = round.stop.or(stop);
        }
        if round.stop.is_some() {
            self.burst = Self::LEAST;
        }
        batch.consume_if(count, |index| !kept[index]);
        round.sent.taken = count - refused;
        Ok(round)
    }
}

impl Transmit for Uring {
    fn transmit(&mut self, socket: &Socket, batch: &mut Batch) -> io::Result<Round> {
        let count = batch.len().min(self.burst);
        self.results.clear();
        // Once the link has moved to another thread, that one needs a ring of its own.
        let mut ring = match self.ring.take().filter(Ring::is_own) {
            Some(ring) => ring,
            None => Ring::new(Self::MOST as u32, socket.as_raw_fd())?,
        };
        self.entries.submit(&mut ring, batch.iter().take(count), &mut self.results)?;
        self.ring = Some(ring);
        self.settle(batch, count)
    }
}

/// The memory that a batch of entries refers to, kept from call to call.
struct Entries {
    /// Whether the kernel knows vectorized sends (Linux 6.17); otherwise a message header is
    /// needed.
    vectorized: bool,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::msghdr>,
}

// SAFETY: every call sets the pointers inside before the kernel reads them.
unsafe impl Send for Entries {}

impl Entries {
    /// IORING_SEND_VECTORIZED from linux/io_uring.h: the send's buffer is an array of vectors.
    const VECTORIZED: u16 = 1 << 5;

    fn new(vectorized: bool) -> Self {
        Self {
            vectorized,
            vectors: Vec::with_capacity(2 * Uring::MOST),
            headers: Vec::with_capacity(Uring::MOST),
        }
    }

    /// Submits one send per frame, to the first registered file, and waits until all are
    /// complete. Appends the place and the negative error number of each that was refused.
    ///
    /// On an error the ring must not be used again: it may hold entries.
    fn submit<'a>(
        &mut self,
        ring: &mut Ring,
        frames: impl Iterator<Item = FrameSlices<'a>>,
        refused: &mut Vec<(usize, i32)>,
    ) -> io::Result<()> {
        self.vectors.clear();
        self.headers.clear();
        for frame in frames.take(Uring::MOST) {
            self.vectors.extend([frame.head, frame.payload.as_raw()].map(vector_of));
        }
        let count = self.vectors.len() / 2;
        let mut queue = ring.submission();
        for index in 0..count {
            let last = index + 1 == count;
            let flags = if last { Flags::empty() } else { Flags::SKIP_SUCCESS };
            let entry = self.entry(index).flags(flags).user_data(index as u64);
            // SAFETY: the entry's vectors point to slices that `frames` borrows; they and the
            // entry's own memory stay untouched until this function returns, which on success
            // is after the last entry's completion, so after all were taken up. On an error
            // the ring is dropped, and entries that were not taken up with it.
            let pushed = unsafe { queue.push(&entry) };
            pushed.map_err(|_| io::Error::from_raw_os_error(libc::EBUSY))?;
        }
        drop(queue);
        let mut complete = count == 0;
        while !complete {
            match ring.submit_and_wait() {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error),
                _ => {}
            }
            for completion in ring.completion() {
                let index = completion.user_data() as usize;
                complete |= index + 1 == count;
                if completion.result() < 0 {
                    refused.push((index, completion.result()));
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, index: usize) -> Entry {
        let vectors = &raw mut self.vectors[2 * index];
        if self.vectorized {
            opcode::Send::new(Fixed(0), vectors.cast::<u8>(), 2)
                .ioprio(Self::VECTORIZED)
                .flags(libc::MSG_DONTWAIT)
                .build()
        } else {
            // SAFETY: all zeros is a valid message without an address, vectors or control data.
            let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
            header.msg_iov = vectors;
            header.msg_iovlen = 2;
            // Within the capacity, so headers that entries point to stay where they are.
            self.headers.push(header);
            let header = &raw const self.headers[self.headers.len() - 1];
            opcode::SendMsg::new(Fixed(0), header).flags(libc::MSG_DONTWAIT.cast_unsigned()).build()
        }
    }

    /// Checks that a frame in two pieces arrives as one.
    fn gathers(mut self) -> io::Result<()> {
        let (near, far) = UnixDatagram::pair()?;
        far.set_nonblocking(true)?;
        let mut ring = Ring::new(Uring::MOST as u32, near.as_raw_fd())?;
        let mut refused = Vec::new();
        let frame = FrameSlices { head: b"he", payload: Payload::Held(b"ad") };
        self.submit(&mut ring, [frame, frame].into_iter(), &mut refused)?;
        if let Some(&(_, result)) = refused.first() {
            return Err(io::Error::from_raw_os_error(-result));
        }
        for _ in 0..2 {
            let mut bytes = [0; 8];
            let length = far.recv(&mut bytes)?;
            if &bytes[..length] != b"head" {
                return Err(io::Error::from_raw_os_error(libc::EINVAL));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_entries_gather_where_a_ring_can_be_had() {
        if let Err(error) = io_uring::IoUring::new(1) {
            assert!(Uring::open().is_err(), "{error}");
            return;
        }
        Entries::new(false).gathers().unwrap();
        let uring = Uring::open().unwrap();
        assert_eq!(uring.entries.vectorized, Entries::new(true).gathers().is_ok());
    }
}
