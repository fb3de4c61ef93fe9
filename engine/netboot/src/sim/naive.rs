//! The tool that this project replaces, as a model to compare with: it serves one sled at a time,
//! and reads only the first `count` entries of a READ.

use std::collections::VecDeque;

use boot_format::wire::{BLOCK, Frame, FrameType, Head, MacAddr, Message, Offer, Read};
use boot_image::Contents;

use crate::batch::Batch;
use crate::station::Station;
use crate::time::Instant;

/// A server for the first sled that says HELLO, without retransmission, scheduling or pacing.
#[derive(Debug)]
pub struct Naive {
    address: MacAddr,
    image: Contents,
    sled: Option<MacAddr>,
    outgoing: VecDeque<Reply>,
}

#[derive(Clone, Copy, Debug)]
enum Reply {
    Offer,
    Reset,
    Data(u64),
}

impl Naive {
    /// A server of `image`.
    pub fn new(address: MacAddr, image: Contents) -> Self {
        Self { address, image, sled: None, outgoing: VecDeque::new() }
    }

    fn read(&mut self, read: &Read<'_>) {
        let first = (0..usize::try_from(read.count()).unwrap_or(0)).map_while(|i| read.entry(i));
        self.outgoing.extend(first.map(Reply::Data));
    }
}

impl Station for Naive {
    fn handle_frame(&mut self, _now: Instant, frame: &[u8]) {
        let Ok(frame) = Frame::parse(frame) else {
            return;
        };
        match frame.message {
            Message::Hello(_) if *self.sled.get_or_insert(frame.source) == frame.source => {
                self.outgoing.push_back(Reply::Offer);
            }
            Message::Read(read) if self.sled == Some(frame.source) => self.read(&read),
            Message::Read(_) if self.sled.is_none() => self.outgoing.push_back(Reply::Reset),
            _ => {}
        }
    }

    fn poll_transmit(&mut self, _now: Instant, batch: &mut Batch) {
        let Some(sled) = self.sled else {
            return;
        };
        while batch.room() > 0
            && let Some(reply) = self.outgoing.pop_front()
        {
            match reply {
                Reply::Offer => {
                    let offer = self.image.offer().expect("an image has a name that fits");
                    let head = Head::new(sled, self.address, FrameType::Offer, Offer::LEN);
                    batch.push_body(head, &offer.emit());
                }
                Reply::Reset => {
                    batch.push_body(Head::new(sled, self.address, FrameType::Reset, 0), &[]);
                }
                Reply::Data(offset) => {
                    let size = self.image.size();
                    let start = usize::try_from(offset).map_or(size, |offset| offset.min(size));
                    let length = BLOCK.min(size - start);
                    let head = Head::data(sled, self.address, offset, length);
                    batch.push_contents(head, &self.image, start, length);
                }
            }
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (!self.outgoing.is_empty() && self.sled.is_some()).then_some(Instant::ZERO)
    }
}
