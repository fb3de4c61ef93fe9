//! Sending with sendmmsg, receiving with recvmmsg.

use std::io;
use std::time::Duration;

use boot_engine::batch::Batch;
use boot_engine::wire::MacAddr;

use super::socket::{ReceiveScratch, SendScratch, Socket};
use crate::{Datalink, LinkError, Sent};

/// A packet socket that hands the kernel a batch of frames with one system call.
pub(super) struct Mmsg {
    pub(super) name: String,
    pub(super) address: MacAddr,
    pub(super) mtu: usize,
    pub(super) socket: Socket,
    send: SendScratch,
    receive: ReceiveScratch,
    /// How long to wait for room in a queue that cannot tell when it has some.
    pause: Duration,
    /// Whether the last send found the queue full.
    full: bool,
}

impl Mmsg {
    /// A full device queue drains at the pace of the link: 64 frames take 0.5 ms at 1 Gbit/s.
    const LEAST_PAUSE: Duration = Duration::from_micros(100);
    const MOST_PAUSE: Duration = Duration::from_millis(5);

    pub(super) fn new(name: &str, address: MacAddr, mtu: usize, socket: Socket) -> Self {
        Self {
            name: name.to_owned(),
            address,
            mtu,
            socket,
            send: SendScratch::new(),
            receive: ReceiveScratch::new(),
            pause: Self::LEAST_PAUSE,
            full: false,
        }
    }

    fn fail(&self, what: &'static str, source: io::Error) -> LinkError {
        let link = self.name.clone();
        match source.raw_os_error() {
            Some(libc::ENXIO | libc::ENODEV) => LinkError::Gone { link },
            _ => LinkError::System { link, what, source },
        }
    }

    /// Takes the error that waits at the socket: a link that is down is no failure, one that
    /// has been removed is.
    fn take_error(&self) -> Result<(), LinkError> {
        let waiting =
            self.socket.take_error().map_err(|error| self.fail("look for errors", error))?;
        match waiting {
            Some(error) if error.raw_os_error() != Some(libc::ENETDOWN) => {
                Err(self.fail("receive", error))
            }
            // A link that is removed goes down first: only its name tells.
            _ => match self.socket.facts(&self.name) {
                Ok(_) => Ok(()),
                Err(error) => Err(self.fail("look for the link", error)),
            },
        }
    }
}

impl Datalink for Mmsg {
    fn name(&self) -> &str {
        &self.name
    }

    fn address(&self) -> MacAddr {
        self.address
    }

    fn mtu(&self) -> usize {
        self.mtu
    }

    fn send(&mut self, batch: &mut Batch) -> Result<Sent, LinkError> {
        let mut sent = Sent::default();
        self.full = false;
        while !batch.is_empty() {
            match self.socket.send(&mut self.send, batch.iter()) {
                Ok(taken) => {
                    batch.consume(taken);
                    sent.taken += taken;
                    self.pause = Self::LEAST_PAUSE;
                }
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN | libc::ENOBUFS) => {
                        self.full = true;
                        break;
                    }
                    // Down, or the frame can't be sent, or its memory has gone: the frame is
                    // lost, as frames are.
                    Some(libc::ENETDOWN | libc::EMSGSIZE | libc::EFAULT) => {
                        batch.consume(1);
                        sent.dropped += 1;
                    }
                    _ => return Err(self.fail("send", error)),
                },
            }
        }
        Ok(sent)
    }

    fn receive(
        &mut self,
        timeout: Duration,
        want_room: bool,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), LinkError> {
        let mut timeout = timeout;
        let mut writable = want_room;
        if want_room && self.full {
            // The socket calls itself writable while the queue behind it is full: so wait for
            // a little time instead, and longer if that did not help.
            writable = false;
            timeout = timeout.min(self.pause);
            self.pause = (self.pause * 2).min(Self::MOST_PAUSE);
        }
        if !timeout.is_zero() {
            let troubled = self.socket.wait(timeout, writable);
            if troubled.map_err(|error| self.fail("wait", error))? {
                self.take_error()?;
            }
        }
        match self.socket.receive(&mut self.receive, sink) {
            Ok(_) => Ok(()),
            Err(error) => match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => Ok(()),
                Some(libc::ENETDOWN) => self.take_error(),
                _ => Err(self.fail("receive", error)),
            },
        }
    }
}
