//! An Ethernet segment in virtual time: servers, sleds, and what frames meet between them.
//!
//! Everything that happens follows from the setup and its seed: the same run can be had again
//! as often as it is wanted.
//!
//! ```text
//! server -> its own port -> trunk of the switch -> the sled's port of the switch -> sled
//! ```
//!
//! A server is asked for frames only while its own port has room, as a socket would. The
//! switch drops what its queues can't hold. The way back carries a hundredth of the frames and
//! is never full.

pub mod naive;
pub mod scenario;
mod segment;

use std::cmp::Reverse;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use fastrand::Rng;

use self::segment::Port;
use crate::batch::Batch;
use crate::sled::{Sled, SledConfig};
use crate::station::Station;
use crate::time::Instant;
use crate::wire::MacAddr;

pub use self::segment::{Faults, PortConfig, wire_bytes};

/// What a segment is made of.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What all chance follows from.
    pub seed: u64,
    /// Each server's own port; its queue is the socket's and drops nothing.
    pub server_port: PortConfig,
    /// The port of the switch that all frames to sleds pass.
    pub trunk: PortConfig,
    /// The sleds, each with the port of the switch that it is behind.
    pub sleds: Vec<(SledConfig, PortConfig)>,
    /// From one end to the other, for a frame that meets no queue.
    pub delay: Duration,
    /// What goes wrong.
    pub faults: Faults,
}

/// A running segment.
pub struct Simulation<S> {
    now: Instant,
    random: Rng,
    faults: Faults,
    delay: Duration,
    servers: Vec<Server<S>>,
    trunk: Port,
    sleds: Vec<Slot>,
    /// Behind which of the sleds' ports an address was last seen.
    learnt: HashMap<MacAddr, usize>,
    due: BinaryHeap<Reverse<Due>>,
    frames: Vec<Vec<u8>>,
    spare: Vec<usize>,
    sequence: u64,
    counts: Counts,
}

/// What went over the segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames that servers sent, and the bytes that they take on the wire.
    pub sent: u64,
    /// Bytes on the wire of those frames.
    pub wire_bytes: u64,
    /// Frames that a queue of the switch dropped.
    pub queue_drops: u64,
    /// Frames that were lost to faults.
    pub lost: u64,
}

struct Server<S> {
    address: MacAddr,
    station: S,
    port: Port,
    batch: Batch,
    poll: Option<Instant>,
}

struct Slot {
    sled: Sled,
    port: Port,
    poll: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Due {
    at: Instant,
    /// Of what is due at the same time, what was put down first comes first.
    sequence: u64,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    PollServer(usize),
    PollSled(usize),
    ToServer { server: usize, frame: usize },
    ToSled { sled: usize, frame: usize },
    PowerCycle { sled: usize, off: Duration },
}

impl<S: Station> Simulation<S> {
    /// Frames that a server hands over at once.
    const BATCH: usize = 16;

    /// A segment with these servers, at time zero.
    pub fn new(setup: Setup, servers: Vec<(MacAddr, S)>) -> Self {
        let mut simulation = Self {
            now: Instant::ZERO,
            random: Rng::with_seed(setup.seed),
            faults: setup.faults,
            delay: setup.delay,
            servers: Vec::new(),
            trunk: Port::new(setup.trunk),
            sleds: Vec::new(),
            learnt: HashMap::new(),
            due: BinaryHeap::new(),
            frames: Vec::new(),
            spare: Vec::new(),
            sequence: 0,
            counts: Counts::default(),
        };
        for (address, station) in servers {
            let port = Port::new(setup.server_port);
            let batch = Batch::with_capacity(Self::BATCH);
            simulation.servers.push(Server { address, station, port, batch, poll: None });
        }
        for (config, port) in setup.sleds {
            let sled = Sled::new(config);
            simulation.sleds.push(Slot { sled, port: Port::new(port), poll: None });
        }
        for sled in 0..simulation.sleds.len() {
            simulation.run_sled(sled);
        }
        for server in 0..simulation.servers.len() {
            simulation.run_server(server);
        }
        simulation
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// What went over the segment so far.
    pub fn counts(&self) -> Counts {
        let queues =
            self.trunk.dropped + self.sleds.iter().map(|slot| slot.port.dropped).sum::<u64>();
        Counts { queue_drops: queues, ..self.counts }
    }

    /// The sleds.
    pub fn sleds(&self) -> impl Iterator<Item = &Sled> {
        self.sleds.iter().map(|slot| &slot.sled)
    }

    /// A server.
    pub fn server(&mut self, index: usize) -> &mut S {
        &mut self.servers[index].station
    }

    /// Replaces a server, as if it had been started anew, and returns the old one.
    pub fn restart_server(&mut self, index: usize, station: S) -> S {
        let server = &mut self.servers[index];
        server.batch.clear();
        let old = std::mem::replace(&mut server.station, station);
        self.run_server(index);
        old
    }

    /// Has a sled lose its power at `at`, for as long as `off`.
    pub fn power_cycle(&mut self, sled: usize, at: Instant, off: Duration) {
        self.put(at, What::PowerCycle { sled, off });
    }

    /// Has a frame arrive at a server, whoever sent it.
    pub fn inject(&mut self, server: usize, at: Instant, frame: &[u8]) {
        let frame = self.keep(|bytes| bytes.extend_from_slice(frame));
        self.put(at, What::ToServer { server, frame });
    }

    /// Lets the next thing happen. Says whether anything was left to happen before `end`.
    pub fn step(&mut self, end: Instant) -> bool {
        let due = match self.due.peek_mut() {
            Some(due) if due.0.at <= end => PeekMut::pop(due).0,
            _ => {
                self.now = self.now.max(end);
                return false;
            }
        };
        self.now = due.at;
        match due.what {
            What::PollServer(server) => {
                if self.servers[server].poll == Some(due.at) {
                    self.servers[server].poll = None;
                    self.run_server(server);
                }
            }
            What::PollSled(sled) => {
                if self.sleds[sled].poll == Some(due.at) {
                    self.sleds[sled].poll = None;
                    self.run_sled(sled);
                }
            }
            What::ToServer { server, frame } => {
                self.servers[server].station.handle_frame(self.now, &self.frames[frame]);
                self.spare.push(frame);
                self.run_server(server);
            }
            What::ToSled { sled, frame } => {
                self.sleds[sled].sled.handle_frame(self.now, &self.frames[frame]);
                self.spare.push(frame);
                self.run_sled(sled);
            }
            What::PowerCycle { sled, off } => {
                self.sleds[sled].sled.power_cycle(self.now + off);
                self.run_sled(sled);
            }
        }
        true
    }

    /// Runs until every sled has booted, or `end`. Says whether they have.
    pub fn run(&mut self, end: Instant) -> bool {
        while !self.sleds().all(Sled::is_booted) {
            if !self.step(end) {
                return false;
            }
        }
        true
    }

    /// Sends what a server has to send, as far as its port has room.
    fn run_server(&mut self, index: usize) {
        let now = self.now;
        loop {
            let server = &mut self.servers[index];
            let room = server.port.waiting(now) < server.port.queue();
            if !room {
                let at = server.port.down_to(server.port.queue() / 2);
                return self.poll_server(index, at);
            }
            if server.batch.is_empty() {
                server.station.poll_transmit(now, &mut server.batch);
            }
            let Some(slices) = server.batch.get(0) else {
                break;
            };
            let (length, destination) = (slices.len(), slices.destination());
            self.counts.sent += 1;
            self.counts.wire_bytes += wire_bytes(length);
            let left = server.port.pass(now, length);
            let passed = left.and_then(|left| self.trunk.pass(left, length));
            let target = self.learnt.get(&destination).copied();
            if let (Some(left), Some(sled)) = (passed, target) {
                self.send_to_sled(index, left, sled, length);
            }
            self.servers[index].batch.consume(1);
        }
        if let Some(at) = self.servers[index].station.poll_timeout() {
            self.poll_server(index, at);
        }
    }

    /// Sends the front frame of a server's batch through the port of a sled.
    fn send_to_sled(&mut self, server: usize, at: Instant, sled: usize, length: usize) {
        let Some(left) = self.sleds[sled].port.pass(at, length) else {
            return;
        };
        let mut lost = true;
        for delay in self.faults.copies(&mut self.random, false) {
            lost = false;
            let index = self.spare.pop().unwrap_or(self.frames.len());
            if index == self.frames.len() {
                self.frames.push(Vec::new());
            }
            let bytes = &mut self.frames[index];
            bytes.clear();
            let slices = self.servers[server].batch.get(0).expect("the caller has one in hand");
            bytes.extend_from_slice(slices.head);
            bytes.extend_from_slice(slices.payload);
            bytes.resize(length.max(60), 0);
            self.put(left + self.delay + delay, What::ToSled { sled, frame: index });
        }
        self.counts.lost += u64::from(lost);
    }

    /// Sends what a sled has to send.
    fn run_sled(&mut self, index: usize) {
        let mut batch = Batch::with_capacity(4);
        loop {
            self.sleds[index].sled.poll_transmit(self.now, &mut batch);
            if batch.is_empty() {
                break;
            }
            self.learnt.insert(self.sleds[index].sled.address(), index);
            for slices in batch.iter() {
                let destination = slices.destination();
                for server in 0..self.servers.len() {
                    if !destination.is_multicast() && destination != self.servers[server].address {
                        continue;
                    }
                    let delays = self.faults.copies(&mut self.random, true);
                    for delay in delays {
                        let frame = self.keep(|bytes| {
                            bytes.extend_from_slice(slices.head);
                            bytes.extend_from_slice(slices.payload);
                            bytes.resize(bytes.len().max(60), 0);
                        });
                        self.put(self.now + self.delay + delay, What::ToServer { server, frame });
                    }
                }
            }
            batch.clear();
        }
        if let Some(at) = self.sleds[index].sled.poll_timeout() {
            let at = at.max(self.now);
            if self.sleds[index].poll.is_none_or(|known| at < known) {
                self.sleds[index].poll = Some(at);
                self.put(at, What::PollSled(index));
            }
        }
    }

    fn poll_server(&mut self, index: usize, at: Instant) {
        // A moment later, so that a server that is never satisfied can't stop the clock.
        let at = at.max(self.now + Duration::from_nanos(100));
        if self.servers[index].poll.is_none_or(|known| at < known) {
            self.servers[index].poll = Some(at);
            self.put(at, What::PollServer(index));
        }
    }

    fn keep(&mut self, fill: impl FnOnce(&mut Vec<u8>)) -> usize {
        let index = self.spare.pop().unwrap_or(self.frames.len());
        if index == self.frames.len() {
            self.frames.push(Vec::new());
        }
        self.frames[index].clear();
        fill(&mut self.frames[index]);
        index
    }

    fn put(&mut self, at: Instant, what: What) {
        self.sequence += 1;
        self.due.push(Reverse(Due { at, sequence: self.sequence, what }));
    }
}
