//! The segment: a switch, and stations plugged into it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::ControlFlow;
use std::time::Duration;

use boot_format::wire::MacAddr;
use fastrand::Rng;

use super::Line;
use super::frames::{FrameId, Frames};
use super::line::{Fate, Queue, wire_bytes};
use super::traffic::Traffic;
use crate::batch::Batch;
use crate::station::Station;
use crate::time::Instant;

/// How a station is joined to the switch.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// From the station to the switch. Its queue is the station's own: while it is full, the
    /// station is not polled.
    pub up: Line,
    /// A slower port behind it, whose queue drops what it can't hold.
    pub trunk: Option<Line>,
    /// From the switch to the station: the switch's port, whose queue drops what it can't hold.
    pub down: Line,
}

/// The number of a station's port at the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlugId(usize);

/// An Ethernet segment in virtual time: stations around a switch that learns addresses.
///
/// The same seed and the same calls give the same run, to the nanosecond.
#[derive(Debug)]
pub struct Segment<S> {
    now: Instant,
    random: Rng,
    plugs: Vec<Plug<S>>,
    /// The plug at which each address was last seen.
    learnt: BTreeMap<MacAddr, PlugId>,
    frames: Frames,
    /// The switch's storm control: its time per broadcast frame, and until when it passes none on.
    storm_control: Option<(Duration, Instant)>,
    agenda: BinaryHeap<Reverse<Entry>>,
    /// Entries made so far: those due at the same time happen in the order in which they were made.
    entries: u64,
}

#[derive(Debug)]
struct Plug<S> {
    station: S,
    link: Link,
    up: Queue,
    trunk: Queue,
    down: Queue,
    batch: Batch,
    /// The earliest moment on the agenda for this station.
    wake: Option<Instant>,
    traffic: Traffic,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Instant,
    number: u64,
    what: What,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    /// A station is due, or its link has room.
    Wake(PlugId),
    /// A frame from this plug has reached the switch.
    Switch(PlugId, FrameId),
    /// A frame has reached the station.
    Deliver(PlugId, FrameId),
}

impl<S: Station> Segment<S> {
    /// Frames that a station hands over at once, as in the real loop.
    const BATCH: usize = 128;
    /// Addresses that the switch remembers.
    const MOST_LEARNT: usize = 8192;
    /// The least time between two calls to a station that asks for one "at once" and then sends
    /// nothing.
    const TURN: Duration = Duration::from_micros(1);

    /// A segment without stations, at time zero.
    pub fn new(seed: u64) -> Self {
        Self {
            now: Instant::ZERO,
            random: Rng::with_seed(seed),
            plugs: Vec::new(),
            learnt: BTreeMap::new(),
            frames: Frames::default(),
            storm_control: None,
            agenda: BinaryHeap::new(),
            entries: 0,
        }
    }

    /// Plugs a station in.
    pub fn plug(&mut self, station: S, link: Link) -> PlugId {
        let id = PlugId(self.plugs.len());
        self.plugs.push(Plug {
            station,
            link,
            up: Queue::new(),
            trunk: Queue::new(),
            down: Queue::new(),
            batch: Batch::with_capacity(Self::BATCH),
            wake: None,
            traffic: Traffic::default(),
        });
        self.wake_at(id, self.now);
        id
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The station at `id`.
    pub fn station(&self, id: PlugId) -> &S {
        &self.plugs[id.0].station
    }

    /// The station at `id`, to change it. If that may have given it something to send, call
    /// [`Segment::attend`] afterwards.
    pub fn station_mut(&mut self, id: PlugId) -> &mut S {
        &mut self.plugs[id.0].station
    }

    /// All stations, in the order of plugging.
    pub fn stations(&self) -> impl ExactSizeIterator<Item = (PlugId, &S)> {
        self.plugs.iter().enumerate().map(|(index, plug)| (PlugId(index), &plug.station))
    }

    /// Replaces the station at `id`, and returns the old one. Frames already handed to its link are
    /// still sent; the rest are lost.
    pub fn replace(&mut self, id: PlugId, station: S) -> S {
        self.wake_at(id, self.now);
        let plug = &mut self.plugs[id.0];
        plug.batch.clear();
        std::mem::replace(&mut plug.station, station)
    }

    /// The link of the station at `id`, to change it while frames are in flight.
    pub fn link_mut(&mut self, id: PlugId) -> &mut Link {
        &mut self.plugs[id.0].link
    }

    /// The counts of the link at `id`.
    pub fn traffic(&self, id: PlugId) -> Traffic {
        self.plugs[id.0].traffic
    }

    /// Frames of all links that were passed on with a flipped bit.
    pub fn flipped(&self) -> u64 {
        self.plugs.iter().map(|plug| plug.traffic.flipped).sum()
    }

    /// Frames in flight.
    pub fn in_flight(&self) -> usize {
        self.frames.len()
    }

    /// Limits the broadcast frames per second that the switch passes on, with a small burst.
    pub fn set_storm_control(&mut self, frames: Option<u64>) {
        let each = |frames: u64| Duration::from_secs(1) / u32::try_from(frames.max(1)).unwrap_or(1);
        self.storm_control = frames.map(|frames| (each(frames), Instant::ZERO));
    }

    /// Whether storm control passes on one more broadcast frame.
    fn passes_broadcast(&mut self) -> bool {
        /// Frames at once.
        const BURST: u32 = 16;
        let Some((each, until)) = &mut self.storm_control else {
            return true;
        };
        let passes = *until <= self.now + *each * BURST;
        if passes {
            *until = (*until).max(self.now) + *each;
        }
        passes
    }

    /// Runs until `end`, or until `watch` breaks, which is called after each event with the plug
    /// concerned. Returns its value.
    pub fn run<T>(
        &mut self,
        end: Instant,
        mut watch: impl FnMut(&mut Self, PlugId) -> ControlFlow<T>,
    ) -> Option<T> {
        while let Some(&Reverse(entry)) = self.agenda.peek()
            && entry.at <= end
        {
            self.agenda.pop();
            self.now = entry.at;
            let place = self.happen(entry.what);
            if let ControlFlow::Break(result) = watch(self, place) {
                return Some(result);
            }
        }
        self.now = self.now.max(end);
        None
    }

    /// Runs until `end`.
    pub fn run_until(&mut self, end: Instant) {
        self.run(end, |_, _| ControlFlow::<()>::Continue(()));
    }

    fn happen(&mut self, what: What) -> PlugId {
        match what {
            What::Wake(id) => {
                let wake = &mut self.plugs[id.0].wake;
                if *wake == Some(self.now) {
                    *wake = None;
                }
                self.attend(id);
                id
            }
            What::Switch(from, frame) => {
                self.switch(from, frame);
                from
            }
            What::Deliver(id, frame) => {
                let plug = &mut self.plugs[id.0];
                plug.traffic.delivered += 1;
                plug.station.handle_frame(self.now, self.frames.bytes(frame));
                self.frames.release(frame);
                self.attend(id);
                id
            }
        }
    }

    /// Does for a station what one turn of the real loop does: sends what it has, and asks when to
    /// call it again.
    pub fn attend(&mut self, id: PlugId) {
        let wake = loop {
            if !self.send(id) {
                let plug = &self.plugs[id.0];
                // As with a socket, a writer is woken when half of the buffer is free.
                break Some(plug.up.down_to(plug.link.up.port.queue / 2));
            }
            let plug = &mut self.plugs[id.0];
            let due = plug.station.poll_timeout();
            if due.is_none_or(|due| due > self.now) {
                break due;
            }
            plug.station.poll_transmit(self.now, &mut plug.batch);
            if plug.batch.is_empty() {
                let due = plug.station.poll_timeout();
                break due.map(|due| due.max(self.now + Self::TURN));
            }
        };
        if let Some(wake) = wake {
            self.wake_at(id, wake.max(self.now));
        }
    }

    /// Hands a station's batch to its link. Returns whether all of it fitted.
    fn send(&mut self, id: PlugId) -> bool {
        loop {
            let plug = &mut self.plugs[id.0];
            let Some(frame) = plug.batch.get(0) else {
                return true;
            };
            let bytes = wire_bytes(frame.len());
            let Some(mut at) = plug.up.take(self.now, bytes, plug.link.up.port) else {
                return false;
            };
            let frame = self.frames.keep(&frame);
            plug.batch.consume(1);
            plug.traffic.sent += 1;
            if let Some(trunk) = &plug.link.trunk {
                // Only this station feeds the trunk, in order, so there is no need to wait for
                // `at`.
                match plug.trunk.take(at, bytes, trunk.port) {
                    Some(left) => at = left + trunk.delay,
                    None => {
                        plug.traffic.trunk_drops += 1;
                        self.frames.release(frame);
                        continue;
                    }
                }
            }
            self.travel(id, true, at, frame);
        }
    }

    /// The switch forwards a frame to where its destination was last seen, or floods it.
    fn switch(&mut self, from: PlugId, frame: FrameId) {
        let (destination, source) = self.frames.addresses(frame);
        let room = self.learnt.len() < Self::MOST_LEARNT;
        if let Some(plug) = self.learnt.get_mut(&source) {
            *plug = from;
        } else if room && source.is_station() {
            self.learnt.insert(source, from);
        }
        if destination.is_multicast() && !self.passes_broadcast() {
            self.plugs[from.0].traffic.lost += 1;
            return self.frames.release(frame);
        }
        match self.learnt.get(&destination) {
            Some(&to) if to == from => {}
            Some(&to) => {
                self.frames.share(frame);
                self.leave_switch(to, frame);
            }
            None => {
                for index in (0..self.plugs.len()).filter(|&index| index != from.0) {
                    self.frames.share(frame);
                    self.leave_switch(PlugId(index), frame);
                }
            }
        }
        self.frames.release(frame);
    }

    fn leave_switch(&mut self, to: PlugId, frame: FrameId) {
        let plug = &mut self.plugs[to.0];
        let bytes = wire_bytes(self.frames.bytes(frame).len());
        match plug.down.take(self.now, bytes, plug.link.down.port) {
            Some(at) => self.travel(to, false, at, frame),
            None => {
                plug.traffic.port_drops += 1;
                self.frames.release(frame);
            }
        }
    }

    /// Carries a frame over the line between the plug at `id` and the switch; it left its queue at
    /// `at`.
    fn travel(&mut self, id: PlugId, up: bool, at: Instant, frame: FrameId) {
        let plug = &mut self.plugs[id.0];
        let line = if up { &plug.link.up } else { &plug.link.down };
        let what = |frame| if up { What::Switch(id, frame) } else { What::Deliver(id, frame) };
        let at = at + line.delay;
        match line.faults.strike(&mut self.random) {
            Fate::Lost => {
                plug.traffic.lost += 1;
                self.frames.release(frame);
            }
            Fate::BadFcs => {
                plug.traffic.bad_fcs += 1;
                self.frames.release(frame);
            }
            Fate::Flipped => {
                plug.traffic.flipped += 1;
                let flipped = self.frames.flip_a_bit(frame, &mut self.random);
                self.note(at, what(flipped));
            }
            Fate::Arrives { twice, late } => {
                if twice {
                    self.frames.share(frame);
                    self.note(at, what(frame));
                }
                self.note(at + late, what(frame));
            }
        }
    }

    fn wake_at(&mut self, id: PlugId, at: Instant) {
        let wake = &mut self.plugs[id.0].wake;
        if at != Instant::NEVER && wake.is_none_or(|wake| wake > at) {
            *wake = Some(at);
            self.note(at, What::Wake(id));
        }
    }

    fn note(&mut self, at: Instant, what: What) {
        self.entries += 1;
        self.agenda.push(Reverse(Entry { at, number: self.entries, what }));
    }
}
