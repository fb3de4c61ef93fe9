//! Sending with sendmmsg: works wherever packet sockets do.

use std::io;

use boot_netboot::batch::Batch;

use super::link::{Refusal, Round, Stop, Transmit};
use super::socket::{SendScratch, Socket};

/// Hands the kernel a batch of frames with one system call.
pub(super) struct Mmsg {
    scratch: SendScratch,
}

impl Mmsg {
    pub(super) fn new() -> Self {
        Self { scratch: SendScratch::new() }
    }
}

impl Transmit for Mmsg {
    fn transmit(&mut self, socket: &Socket, batch: &mut Batch) -> io::Result<Round> {
        let mut round = Round::default();
        match socket.send(&mut self.scratch, batch.iter()) {
            Ok(taken) => {
                batch.consume(taken);
                round.sent.taken = taken;
            }
            // It concerns the first frame: if a later one fails, the call returns the number before
            // it.
            Err(error) => match Refusal::of(error)? {
                Refusal::Interrupted => {}
                refusal @ (Refusal::Lost | Refusal::Unreadable) => {
                    if refusal == Refusal::Unreadable {
                        batch.note_unreadable(0);
                        round.unreadable = 1;
                    }
                    batch.consume(1);
                    round.sent.dropped = 1;
                }
                Refusal::BufferFull => round.stop = Some(Stop::BufferFull),
                Refusal::QueueFull => round.stop = Some(Stop::QueueFull),
                Refusal::Down => round.stop = Some(Stop::Down),
            },
        }
        Ok(round)
    }
}
