//! A stream's read queue, and the descriptor that shows whether anything is in it.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::abi::{HARMLESS, NOTE_LINK_DOWN, NOTE_LINK_UP};
use crate::knobs::{Count, Fault};
use crate::link::{Link, lock};

/// Bytes that a stream's read queue holds before it is full, by default.
const HIGH_WATER: usize = 5120;
/// Bytes of a message besides those of the frame.
const OVERHEAD: usize = 48;
/// How long a full write queue takes to empty.
const FULL: Duration = Duration::from_millis(3);

/// One message on its way up.
pub(crate) enum Message {
    Frame {
        bytes: Vec<u8>,
    },
    Note(u32),
    /// An invalid message.
    Stray,
}

/// The queue, shared by its handle and the thread that fills it.
pub(crate) struct ReadQueue {
    link: Arc<Link>,
    /// The end that the user polls.
    near: UnixStream,
    inner: Mutex<Inner>,
}

struct Inner {
    /// Readable for the user while something is in it; none once the stream has hung up.
    far: Option<UnixStream>,
    messages: VecDeque<Message>,
    bytes: usize,
    high_water: usize,
    bufmod: Option<u32>,
    notes: u32,
    full_until: Option<Instant>,
}

impl ReadQueue {
    pub(crate) fn new(link: Arc<Link>) -> std::io::Result<Arc<Self>> {
        let (near, far) = UnixStream::pair()?;
        far.set_nonblocking(true)?;
        let inner = Inner {
            far: Some(far),
            messages: VecDeque::new(),
            bytes: 0,
            high_water: HIGH_WATER,
            bufmod: None,
            notes: 0,
            full_until: None,
        };
        let queue = Arc::new(Self { link, near, inner: Mutex::new(inner) });
        queue.link.register(&queue);
        Ok(queue)
    }

    pub(crate) fn fd(&self) -> RawFd {
        self.near.as_raw_fd()
    }

    /// A frame comes up from the driver.
    pub(crate) fn put(&self, bytes: Vec<u8>) {
        let mut inner = lock(&self.inner);
        if inner.bytes >= inner.high_water {
            self.link.count(Count::QueueFull, 1);
        } else if inner.bufmod.is_none_or(|flags| flags == HARMLESS) {
            inner.bytes += bytes.len() + OVERHEAD;
            if self.link.strikes(Fault::Stray) {
                inner.push(Message::Stray);
            }
            inner.push(Message::Frame { bytes });
        }
    }

    /// The link goes down or comes up.
    pub(crate) fn note(&self, down: bool) {
        let note = if down { NOTE_LINK_DOWN } else { NOTE_LINK_UP };
        let mut inner = lock(&self.inner);
        if inner.notes & note != 0 {
            inner.push(Message::Note(note));
        }
    }

    /// From now on, delivers notes of these kinds.
    pub(crate) fn watch(&self, notes: u32) {
        lock(&self.inner).notes |= notes;
        self.note(self.link.is_set(Fault::Down));
    }

    pub(crate) fn take(&self) -> Option<Message> {
        let mut inner = lock(&self.inner);
        let message = inner.messages.pop_front()?;
        if let Message::Frame { bytes } = &message {
            inner.bytes -= bytes.len() + OVERHEAD;
        }
        if inner.messages.is_empty() {
            // Nothing is left to report.
            let _ = (&self.near).read(&mut [0]);
        }
        Some(message)
    }

    /// Discards frames, as a control call does while it waits for its answer.
    pub(crate) fn eat_frames(&self) {
        let mut kept = Vec::new();
        while let Some(message) = self.take() {
            match message {
                Message::Frame { .. } => self.link.count(Count::Eaten, 1),
                Message::Note(note) => kept.push(Message::Note(note)),
                Message::Stray => {}
            }
        }
        let mut inner = lock(&self.inner);
        for message in kept {
            inner.push(message);
        }
    }

    pub(crate) fn hang_up(&self) {
        lock(&self.inner).far = None;
    }

    pub(crate) fn has_no_bufmod(&self) -> bool {
        self.link.is_set(Fault::NoBufmod)
    }

    pub(crate) fn push_bufmod(&self) {
        lock(&self.inner).bufmod = Some(0);
    }

    /// Sets bufmod's flags; returns whether it is on the stream.
    pub(crate) fn set_flags(&self, flags: u32) -> bool {
        lock(&self.inner).bufmod.replace(flags).is_some()
    }

    /// Sets the queue's depth as bufmod does; returns whether it is on the stream.
    pub(crate) fn set_chunk(&self, chunk: u32) -> bool {
        let mut inner = lock(&self.inner);
        inner.high_water = 4 * chunk as usize + 512;
        inner.bufmod.is_some()
    }

    /// Makes the write queue full for a while, which shows at the descriptor.
    pub(crate) fn fill_write_queue(&self) {
        let mut inner = lock(&self.inner);
        inner.full_until = Some(Instant::now() + FULL);
        let (fd, junk) = (self.fd(), [0_u8; 4096]);
        // SAFETY: the buffer is valid for its length.
        while unsafe { libc::send(fd, junk.as_ptr().cast(), junk.len(), libc::MSG_DONTWAIT) } > 0 {}
    }

    /// Whether the write queue is still full.
    pub(crate) fn is_full(&self) -> bool {
        let mut inner = lock(&self.inner);
        if inner.full_until.is_some_and(|until| Instant::now() >= until) {
            inner.full_until = None;
            let mut junk = [0; 4096];
            while inner.far.as_mut().is_some_and(|far| far.read(&mut junk).is_ok_and(|n| n > 0)) {}
        }
        inner.full_until.is_some()
    }
}

impl Inner {
    fn push(&mut self, message: Message) {
        if self.messages.is_empty()
            && let Some(far) = &mut self.far
        {
            // A byte always fits: there is never more than one.
            let _ = far.write(&[0]);
        }
        self.messages.push_back(message);
    }
}
