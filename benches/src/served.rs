//! Sleds that cost nothing: every batch is asked for, and nothing is done with the frames. Time passes
//! as on a wire of 1 Gbit/s: a server that is measured without that would do other things.

use std::array::from_fn;
use std::time::Duration;

use boot_format::wire::{BLOCK, FrameType, Head, MacAddr, SLOTS, emit_read};
use boot_image::Contents;
use boot_netboot::batch::Batch;
use boot_netboot::server::{Config, Serve, Server, Together};
use boot_netboot::station::Station;
use boot_netboot::time::Instant;

/// A server, and sleds that boot the same image again and again.
pub struct ServedSleds {
    server: Server,
    now: Instant,
    batch: Batch,
    sleds: Vec<Sled>,
    /// Sleds whose batch has gone out.
    answering: Vec<usize>,
    /// How many have everything, and wait for the others to start over.
    finished: usize,
    /// When sleds next look at their timers.
    look: Instant,
    /// Frames of each batch that sleds lack at its end, and ask for again.
    pub lacking: usize,
}

struct Sled {
    read: Vec<u8>,
    /// The block that it asks for first, next time.
    next: usize,
    /// Frames that it has asked for and that have not gone out.
    unsent: usize,
    /// When it asks again, if none has by then.
    timer: Instant,
}

/// What the server is asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// To handle a frame.
    Handle,
    /// To send what it may send.
    Transmit,
}

impl ServedSleds {
    /// The server's address.
    pub const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
    const SIZE: usize = 16 << 20;
    /// A DATA frame on a wire of 1 Gbit/s.
    const WIRE: Duration = Duration::from_nanos(8656);
    /// After so long without an answer a sled asks again (netboot protocol).
    const TIMER: Duration = Duration::from_secs(1);
    /// From one boot to the next: longer than the 4 s from HELLO to HELLO (P10).
    const REST: Duration = Duration::from_secs(5);

    /// Sleds that have been offered an image of 16 MiB.
    ///
    /// # Panics
    ///
    /// If there is no memory for the image.
    pub fn new(sleds: u16) -> Self {
        Self::with(sleds, Config::new(Self::SERVER, Serve::All))
    }

    /// The same, which boot as one group: each batch goes to all of them at once.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    pub fn together(sleds: u16) -> Self {
        let together = Together { expect: Some(sleds.into()), ..Together::default() };
        let config = Config::new(Self::SERVER, Serve::All);
        Self::with(sleds, Config { together: Some(together), ..config })
    }

    /// The same, with a server that is configured so.
    ///
    /// # Panics
    ///
    /// As [`new`](Self::new).
    pub fn with(sleds: u16, config: Config) -> Self {
        let fill = |bytes: &mut [u8]| bytes.fill(1);
        let image = Contents::build(Self::SIZE, Self::SIZE as u64, "", "rpool", fill)
            .expect("there is memory for 16 MiB");
        let checksum = image.checksum();
        let mut rack = Self {
            server: Server::new(config),
            now: Instant::ZERO,
            batch: Batch::with_capacity(SLOTS),
            sleds: Vec::new(),
            answering: (0..sleds.into()).collect(),
            finished: 0,
            look: Instant::ZERO,
            lacking: 0,
        };
        rack.server.set_images(vec![image]);
        for sled in 0..sleds {
            let address = Self::address(1, sled);
            // Not a stranger's, whose OFFERs are limited.
            rack.server.remember(address, checksum);
            rack.server.handle_frame(rack.now, &hello(address));
            let body = emit_read(0, &[0; SLOTS]);
            let head = Head::new(Self::SERVER, address, FrameType::Read, body.len());
            let read = [head.as_bytes(), &body].concat();
            rack.sleds.push(Sled { read, next: 0, unsent: 0, timer: Instant::ZERO });
        }
        rack.transmit();
        rack
    }

    /// The address of station `number` of a `kind`; the rack's sleds are of kind 1.
    pub fn address(kind: u8, number: u16) -> MacAddr {
        let [high, low] = number.to_be_bytes();
        MacAddr::new([2, 0, 0, kind, high, low])
    }

    /// Serves until `frames` have gone out: each sled asks for its next batch as soon as the one
    /// before is out, and all start over when all have everything. Returns how many READs that took.
    ///
    /// # Panics
    ///
    /// If the server stops.
    pub fn serve(&mut self, frames: u64) -> u64 {
        self.serve_through(frames, |_, call| call())
    }

    /// The same, where the server is called through `through`.
    ///
    /// # Panics
    ///
    /// If the server stops.
    pub fn serve_through(
        &mut self,
        frames: u64,
        mut through: impl FnMut(Call, &mut dyn FnMut()),
    ) -> u64 {
        let (mut sent, mut reads) = (0, 0);
        while sent < frames {
            for sled in std::mem::take(&mut self.answering) {
                if self.finish(sled) {
                    continue;
                }
                self.prepare(sled);
                let read = &self.sleds[sled].read;
                through(Call::Handle, &mut || self.server.handle_frame(self.now, read));
                reads += 1;
            }
            for sled in self.asking_again() {
                let read = &self.sleds[sled].read;
                through(Call::Handle, &mut || self.server.handle_frame(self.now, read));
                reads += 1;
            }
            through(Call::Transmit, &mut || self.server.poll_transmit(self.now, &mut self.batch));
            if self.batch.is_empty() {
                let due = self.server.poll_timeout().expect("sleds are served");
                self.now = self.now.max(due);
            }
            sent += self.batch.len() as u64;
            self.deliver();
        }
        reads
    }

    /// Whether a sled has everything. Then it says so, and the last one to do so has all start over.
    fn finish(&mut self, sled: usize) -> bool {
        if self.sleds[sled].next + SLOTS <= Self::SIZE / BLOCK {
            return false;
        }
        self.sleds[sled].next = 0;
        let finished = Head::new(Self::SERVER, Self::sled(sled), FrameType::Finished, 0);
        self.server.handle_frame(self.now, finished.as_bytes());
        self.finished += 1;
        if self.finished == self.sleds.len() {
            self.finished = 0;
            self.transmit();
            self.now += Self::REST;
            for sled in 0..self.sleds.len() {
                self.server.handle_frame(self.now, &hello(Self::sled(sled)));
            }
            self.transmit();
            self.answering.extend(0..self.sleds.len());
        }
        true
    }

    fn sled(index: usize) -> MacAddr {
        Self::address(1, index as u16)
    }

    /// Sleds that have waited for the first frame of a batch for as long as their timers run.
    fn asking_again(&mut self) -> Vec<usize> {
        if self.now < self.look {
            return Vec::new();
        }
        self.look = self.now + Self::TIMER / 4;
        let sleds = self.sleds.iter_mut().enumerate();
        let waiting = sleds.filter(|(_, sled)| sled.unsent == SLOTS && sled.timer <= self.now);
        waiting.map(|(index, sled)| (index, sled.timer = self.now + Self::TIMER).0).collect()
    }

    /// A sled makes its next READ.
    fn prepare(&mut self, sled: usize) {
        // From frame to answer, for sleds that print nothing.
        self.now += Duration::from_micros(50) / self.sleds.len() as u32;
        let sled = &mut self.sleds[sled];
        let body = emit_read(SLOTS as u64, &from_fn(|slot| ((sled.next + slot) * BLOCK) as u64));
        let head = sled.read.len() - body.len();
        sled.read[head..].copy_from_slice(&body);
        sled.next += SLOTS - self.lacking;
        sled.unsent = SLOTS;
        sled.timer = self.now + Self::TIMER;
    }

    /// The frames of the batch arrive.
    fn deliver(&mut self) {
        self.now += Self::WIRE * self.batch.len() as u32;
        for frame in self.batch.iter() {
            let to = frame.destination();
            let [.., high, low] = to.octets();
            let one = usize::from(u16::from_be_bytes([high, low]));
            let all = 0..self.sleds.len();
            for index in if to == MacAddr::BROADCAST { all } else { one..one + 1 } {
                let sled = &mut self.sleds[index];
                sled.unsent = sled.unsent.saturating_sub(1);
                if sled.unsent == 0 && !self.answering.contains(&index) {
                    self.answering.push(index);
                }
            }
        }
        self.batch.clear();
        while self.server.poll_event().is_some() {}
    }

    /// Lets time pass.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// The server handles a frame from any station.
    pub fn hear(&mut self, frame: &[u8]) {
        self.server.handle_frame(self.now, frame);
    }

    /// Has the server send what it may send now, and drops it. Returns how many frames that is.
    pub fn transmit(&mut self) -> usize {
        let mut frames = 0;
        loop {
            self.server.poll_transmit(self.now, &mut self.batch);
            if self.batch.is_empty() {
                while self.server.poll_event().is_some() {}
                return frames;
            }
            frames += self.batch.len();
            self.batch.clear();
        }
    }

    /// Lets time pass until the server next has something to do, and has it do that. Returns how
    /// many frames would go out.
    ///
    /// # Panics
    ///
    /// If the server has nothing to wait for.
    pub fn wait(&mut self) -> usize {
        let due = self.server.poll_timeout().expect("a silent sled is looked after");
        self.now = self.now.max(due);
        self.transmit()
    }
}

/// The HELLO of a sled.
pub fn hello(address: MacAddr) -> Vec<u8> {
    Head::new(MacAddr::BROADCAST, address, FrameType::Hello, 0).as_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sleds_in_step_are_sent_each_batch_once() {
        for sleds in [8, 64] {
            let mut group = ServedSleds::together(sleds);
            // Three boots of all of them.
            let frames = 3 * (ServedSleds::SIZE / BLOCK) as u64;
            assert!(group.serve(frames) >= u64::from(sleds) * 3 * 127);
            let counters = group.server.counters();
            assert!(counters.broadcast >= frames && counters.data < frames + frames / 50);
        }
    }

    #[test]
    fn sleds_are_served_as_fast_as_the_wire_carries_however_long() {
        // With hundreds some wait for tens of seconds, and would be forgotten if they didn't ask again.
        for (sleds, boots) in [(1, 20), (8, 20), (512, 2)] {
            let mut rack = ServedSleds::new(sleds);
            let frames = boots * u64::from(sleds) * (ServedSleds::SIZE / BLOCK) as u64;
            rack.serve(frames);
            let wire = ServedSleds::WIRE * frames as u32;
            let time =
                rack.now.since(Instant::ZERO).saturating_sub(boots as u32 * ServedSleds::REST);
            assert!(time < wire.mul_f64(1.1), "{sleds} sleds: {time:?}, the wire {wire:?}");
        }
    }
}
