//! A whole boot as the tool that this project replaces does it: one sled, and for each frame a
//! read from the file, a copy, and a system call to send it. It looks at the socket only when
//! nothing is left to send, which is the cheapest that such a tool can be.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

use boot_format::wire::{BLOCK, Frame, FrameType, Head, MacAddr, Message, Offer};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::naive::Naive;

/// Serves the raw contents in `file`, which `offer` describes, to the first sled that says HELLO,
/// until it has booted. Returns how many DATA frames it took.
///
/// As in the tool that it stands for, no READ is expected to be sparse: a lost frame hangs it.
///
/// # Errors
///
/// What the kernel answers to anything that does not go as it should.
pub fn boot_one(
    socket: &mut Naive,
    address: MacAddr,
    file: &File,
    offer: &Offer,
) -> io::Result<u64> {
    let mut frame = [0; 2048];
    let mut block = [0; BLOCK];
    let mut sent = 0;
    loop {
        let mut ready = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
        poll(&mut ready, PollTimeout::NONE)?;
        let length = socket.receive(&mut frame)?;
        let Ok(frame) = Frame::parse(&frame[..length]) else { continue };
        let sled = frame.source;
        match frame.message {
            Message::Hello(_) => {
                let head = Head::new(sled, address, FrameType::Offer, Offer::LEN);
                socket.send_one(head.as_bytes(), &offer.emit())?;
            }
            Message::Read(read) => {
                for offset in read.offsets() {
                    let length = file.read_at(&mut block, offset)?;
                    let head = Head::data(sled, address, offset, length);
                    socket.send_one(head.as_bytes(), &block[..length])?;
                    sent += 1;
                }
            }
            Message::Finished => return Ok(sent),
            _ => {}
        }
    }
}
