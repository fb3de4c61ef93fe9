//! A link whose sleds cost nothing: frames really go out, READs come from nowhere.

use std::time::Duration;

use boot_backends::{Datalink, LinkCounters, LinkError, Sent};
use boot_format::wire::{BLOCK, FrameType, Head, MacAddr, SLOTS, emit_read};
use boot_netboot::batch::Batch;
use boot_netboot::time::Instant;

/// Wraps a link: each of its sleds asks for its next batch as soon as the one before has been
/// handed to the link, for image after image.
pub struct Feed<'a> {
    link: &'a mut dyn Datalink,
    sleds: Vec<Sled>,
    /// Batches in the image.
    batches: usize,
    read: Vec<u8>,
    counters: LinkCounters,
}

struct Sled {
    address: MacAddr,
    /// Frames of the batch asked for that have not been sent.
    unsent: usize,
    /// The batch to ask for next; with none, the sled says HELLO.
    next: Option<usize>,
}

impl<'a> Feed<'a> {
    /// `sleds` sleds that want an image of `size` bytes.
    pub fn new(link: &'a mut dyn Datalink, sleds: u8, size: usize) -> Self {
        let sleds = (0..sleds).map(|number| Sled {
            address: MacAddr::new([2, 0, 0, 0, 1, number]),
            unsent: 0,
            next: None,
        });
        Self {
            link,
            sleds: sleds.collect(),
            batches: size / BLOCK / SLOTS,
            read: Vec::new(),
            counters: LinkCounters::default(),
        }
    }
}

impl Datalink for Feed<'_> {
    fn name(&self) -> &str {
        self.link.name()
    }

    fn address(&self) -> MacAddr {
        self.link.address()
    }

    fn mtu(&self) -> usize {
        self.link.mtu()
    }

    fn send(&mut self, batch: &mut Batch) -> Result<Sent, LinkError> {
        let before = batch.len();
        for frame in batch.iter() {
            let sled = &mut self.sleds[usize::from(frame.head[5])];
            sled.unsent = sled.unsent.saturating_sub(1);
        }
        let sent = self.link.send(batch)?;
        self.counters.taken += sent.taken as u64;
        assert!(batch.is_empty(), "{} of {before} frames found no room", batch.len());
        Ok(sent)
    }

    fn tick(&mut self, now: Instant) {
        self.link.tick(now);
    }

    /// Only what this feed sent, and at no cost.
    fn counters(&mut self) -> LinkCounters {
        self.counters
    }

    fn receive(
        &mut self,
        timeout: Duration,
        want_room: bool,
        sink: &mut dyn FnMut(&[u8]),
    ) -> Result<(), LinkError> {
        // If no sled has a frame to send, only the server's own pace is waited for.
        let silent = self.sleds.iter().all(|sled| sled.unsent > 0);
        self.link.receive(if silent { timeout } else { Duration::ZERO }, want_room, sink)?;
        let server = self.link.address();
        for sled in self.sleds.iter_mut().filter(|sled| sled.unsent == 0) {
            let Some(batch) = sled.next.filter(|&batch| batch < self.batches) else {
                let hello = Head::new(MacAddr::BROADCAST, sled.address, FrameType::Hello, 0);
                sink(hello.as_bytes());
                sled.next = Some(0);
                // The OFFER.
                sled.unsent = 1;
                continue;
            };
            let offsets = std::array::from_fn(|slot| ((batch * SLOTS + slot) * BLOCK) as u64);
            let body = emit_read(SLOTS as u64, &offsets);
            let head = Head::new(server, sled.address, FrameType::Read, body.len());
            self.read.clear();
            self.read.extend_from_slice(head.as_bytes());
            self.read.extend_from_slice(&body);
            sink(&self.read);
            sled.next = Some(batch + 1);
            sled.unsent = SLOTS;
        }
        Ok(())
    }
}
