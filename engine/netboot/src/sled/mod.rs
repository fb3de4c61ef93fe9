//! A sled that boots, as a state machine: as exact a model of a real one's loader as
//! `docs/protocol.md` allows, with every quirk that a server can trip over.

mod answer_times;
mod config;
mod report;
mod sleds;
mod slots;
mod verdict;

use std::collections::VecDeque;
use std::time::Duration;

use boot_format::wire::{BATCH, Data, Frame, FrameError, FrameType, Head, MacAddr, Message, Offer};
use boot_format::wire::{LEAST_SIZE, SLOTS, emit_read};
use fastrand::Rng;

use self::slots::{Filled, Slots};
use self::verdict::Verdict;
use crate::batch::Batch;
use crate::station::Station;
use crate::time::Instant;

pub use self::answer_times::AnswerTimes;
pub use self::config::SledConfig;
pub use self::report::{Event, Panic, Report};
pub use self::sleds::Sleds;

/// A sled.
#[derive(Debug)]
pub struct Sled {
    config: SledConfig,
    state: State,
    slots: Slots,
    verdict: Verdict,
    /// The end of a batch whose bytes are still to be checked.
    unchecked: Option<u64>,
    /// Frames that arrived while the console was busy.
    ring: VecDeque<Vec<u8>>,
    busy_until: Instant,
    /// When it wakes if no frame comes before.
    wake: Instant,
    /// Whether its answer time has passed.
    answered: bool,
    /// When it next prints its status, and when it next pauses.
    status_due: Instant,
    pause_due: Instant,
    random: Rng,
    /// Frames that wait to be sent.
    outgoing: VecDeque<(MacAddr, FrameType, Vec<u8>)>,
    events: VecDeque<Event>,
    report: Report,
}

#[derive(Debug)]
enum State {
    /// Switched off until this moment.
    Off(Instant),
    /// It wants an image; the next HELLO is due at this moment.
    Wanting(Instant),
    /// It reads an image.
    Reading(Reading),
    /// It has everything; this many steps remain until FINISHED.
    Closing(Reading, u8),
    /// It has moved on.
    Booted,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    server: MacAddr,
    offer: Offer,
    /// The end of what has been asked for.
    asked: u64,
    past_end: bool,
}

impl Sled {
    /// P10
    const HELLO_EVERY: Duration = Duration::from_secs(4);
    const HELLO_TEXT: &[u8] = b"Hello!  I'd like to buy a ramdisk please.";
    /// P24
    const WAKE_EVERY: Duration = Duration::from_millis(50);
    /// How often it prints its status while it reads (P26).
    const STATUS_EVERY: Duration = Duration::from_secs(1);
    /// Steps between having everything and FINISHED (P24).
    const CLOSING_STEPS: u8 = 2;

    /// A sled that says HELLO as soon as it is switched on.
    pub fn new(config: SledConfig) -> Self {
        let address = config.address.octets().into_iter().fold(0, |sum, o| sum << 8 | u64::from(o));
        Self {
            answered: false,
            status_due: config.power_on,
            pause_due: config.power_on + config.pause.map_or(Duration::ZERO, |(_, every)| every),
            random: Rng::with_seed(config.seed ^ address.rotate_left(32)),
            state: State::Off(config.power_on),
            wake: config.power_on,
            busy_until: config.power_on,
            verdict: Verdict::new(config.compare.as_ref()),
            unchecked: None,
            slots: Slots::new(),
            ring: VecDeque::new(),
            outgoing: VecDeque::new(),
            events: VecDeque::new(),
            report: Report::default(),
            config,
        }
    }

    /// Its Ethernet address.
    pub fn address(&self) -> MacAddr {
        self.config.address
    }

    /// Its counts so far.
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// Whether it has booted and sent FINISHED.
    pub fn is_booted(&self) -> bool {
        matches!(self.state, State::Booted) && self.outgoing.is_empty()
    }

    /// Takes the oldest event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Switches it off, and on again at `on`, so that it starts over.
    pub fn power_cycle(&mut self, on: Instant) {
        self.state = State::Off(on);
        self.wake = on;
        self.busy_until = on;
        self.slots = Slots::new();
        self.unchecked = None;
        self.ring.clear();
        self.outgoing.clear();
    }

    fn is_off(&self) -> bool {
        matches!(self.state, State::Off(_) | State::Booted)
    }

    /// Handles frames that waited while the sled was busy, and timers that are due.
    fn advance(&mut self, now: Instant) {
        while self.busy_until <= now {
            let at = self.wake.max(self.busy_until);
            if self.wake <= self.busy_until || self.ring.is_empty() && at <= now {
                match self.state {
                    State::Off(on) if on > now => return,
                    State::Off(_) => self.state = State::Wanting(at),
                    State::Booted => return,
                    _ => {}
                }
                self.step(at);
            } else if let Some(frame) = self.ring.pop_front() {
                self.take_frame(self.busy_until, &frame);
            } else {
                return;
            }
        }
    }

    /// Is busy for `time`; its next step comes after that.
    fn spend(&mut self, now: Instant, time: Duration) {
        self.busy_until = self.busy_until.max(now) + time;
        self.wake = self.busy_until;
    }

    /// Prints a console line.
    fn print(&mut self, now: Instant) {
        self.spend(now, self.config.console);
    }

    fn take_frame(&mut self, now: Instant, bytes: &[u8]) {
        let frame = match Frame::parse(bytes) {
            Ok(frame) => frame,
            Err(FrameError::Truncated { kind: FrameType::Data, .. } | FrameError::Data { .. }) => {
                return self.panic(now, Panic::DataLength);
            }
            Err(_) => return,
        };
        match frame.message {
            // Accepting is this wake-up's step; the first READ is the next one's.
            Message::Offer(offer) if self.accepts(&offer) => {
                return self.accept(now, frame.source, &offer);
            }
            Message::Data(data) => self.take_data(now, &data),
            Message::Reset => return self.panic(now, Panic::Reset),
            Message::Offer(_) if matches!(self.state, State::Wanting(_)) => self.print(now),
            Message::Offer(_) | Message::Hello(_) | Message::Read(_) | Message::Finished => {}
        }
        if !self.is_off() && self.busy_until <= now {
            self.step(now);
        }
    }

    /// P11
    fn accepts(&self, offer: &Offer) -> bool {
        matches!(self.state, State::Wanting(_))
            && self.config.wanted.is_none_or(|wanted| wanted == offer.checksum)
            && offer.dataset.last() == Some(&0)
            && offer.image_size >= LEAST_SIZE
            && offer.target_size >= LEAST_SIZE
            && offer.image_size <= offer.target_size
    }

    fn accept(&mut self, now: Instant, server: MacAddr, offer: &Offer) {
        let checksum = offer.checksum;
        self.events.push_back(Event::Accepted { checksum, size: offer.image_size });
        self.report.accepted = Some(now);
        self.report.size = offer.image_size;
        self.report.bytes = 0;
        self.verdict = Verdict::new(self.config.compare.as_ref());
        self.slots = Slots::new();
        self.state = State::Reading(Reading { server, offer: *offer, asked: 0, past_end: false });
        self.status_due = now;
        self.answered = false;
        self.busy_until = now + self.config.console;
        self.wake = self.busy_until + Self::WAKE_EVERY;
    }

    fn take_data(&mut self, now: Instant, data: &Data<'_>) {
        // P22
        if data.trailing > 0 && !data.bytes.is_empty() {
            return self.panic(now, Panic::DataLength);
        }
        // One that is not reading drops it silently (P15), as while others are broadcast to.
        let State::Reading(reading) = &mut self.state else {
            return;
        };
        self.report.data += 1;
        Self::check(&mut self.unchecked, &mut self.verdict, &mut self.slots);
        match self.slots.take(data.offset, data.bytes) {
            Filled::Unwanted => {
                self.report.unwanted += 1;
                self.print(now);
            }
            Filled::Mark if data.bytes.is_empty() => reading.past_end = true,
            // The ramdisk has no such offset.
            Filled::Mark => self.panic(now, Panic::DataLength),
            Filled::Wanted => {
                reading.past_end |= data.bytes.is_empty();
                self.report.bytes += data.bytes.len() as u64;
            }
        }
    }

    /// The one step that a wake-up takes.
    fn step(&mut self, now: Instant) {
        self.wake = now + Self::WAKE_EVERY;
        if let Some((pause, every)) = self.config.pause
            && self.pause_due <= now
        {
            self.pause_due = now + pause + every;
            return self.spend(now, pause);
        }
        match &mut self.state {
            State::Off(_) | State::Booted => {}
            State::Wanting(due) => {
                if *due <= now {
                    *due = now + Self::HELLO_EVERY;
                    self.report.hellos += 1;
                    self.report.hello.get_or_insert(now);
                    let text = Self::HELLO_TEXT.to_vec();
                    self.outgoing.push_back((MacAddr::BROADCAST, FrameType::Hello, text));
                    self.busy_until = now + self.config.console;
                }
            }
            State::Reading(reading) => {
                let mut reading = *reading;
                self.read_on(now, &mut reading);
            }
            State::Closing(_, steps @ 1..) => *steps -= 1,
            State::Closing(reading, 0) => {
                let reading = *reading;
                self.finish(now, &reading);
            }
        }
    }

    fn read_on(&mut self, now: Instant, reading: &mut Reading) {
        if self.status_due <= now {
            self.status_due = now + Self::STATUS_EVERY;
            return self.print(now);
        }
        if !self.slots.are_empty() {
            if let Some((count, offsets)) = self.slots.overdue(now) {
                self.report.timeouts += 1;
                self.ask(reading.server, count, &offsets);
            }
            return;
        }
        if reading.asked > 0 && !std::mem::replace(&mut self.answered, true) {
            let time = self.config.answers.draw(&mut self.random);
            return self.spend(now, time);
        }
        self.answered = false;
        self.unchecked = (reading.asked > 0).then_some(reading.asked);
        if reading.past_end || reading.asked >= reading.offer.image_size {
            self.state = State::Closing(*reading, Self::CLOSING_STEPS - 1);
            self.busy_until = now + self.config.console;
            return;
        }
        let offsets = *self.slots.fill(now, reading.asked);
        reading.asked += BATCH as u64;
        self.state = State::Reading(*reading);
        self.ask(reading.server, SLOTS as u64, &offsets);
    }

    fn ask(&mut self, server: MacAddr, count: u64, offsets: &[u64; SLOTS]) {
        let body = emit_read(count, offsets).to_vec();
        self.outgoing.push_back((server, FrameType::Read, body));
    }

    /// Checks the batch that is complete, but only once the next READ is out: a real sled checks
    /// all bytes at the end, so that the time of its answers (P27) has no hashing in it.
    fn check(unchecked: &mut Option<u64>, verdict: &mut Verdict, slots: &mut Slots) {
        if let Some(end) = unchecked.take() {
            verdict.add(end, slots.bytes());
            slots.clear();
        }
    }

    fn finish(&mut self, now: Instant, reading: &Reading) {
        Self::check(&mut self.unchecked, &mut self.verdict, &mut self.slots);
        self.outgoing.push_back((reading.server, FrameType::Finished, Vec::new()));
        let verdict = Verdict::new(self.config.compare.as_ref());
        if !std::mem::replace(&mut self.verdict, verdict).is(reading.offer.checksum) {
            self.panic(now, Panic::Checksum);
            return;
        }
        self.report.finished = Some(now);
        self.report.boots += 1;
        self.state = State::Booted;
        self.ring.clear();
        self.events.push_back(Event::Booted);
    }

    fn panic(&mut self, now: Instant, why: Panic) {
        self.report.panics += 1;
        self.events.push_back(Event::Panicked(why));
        let outgoing = std::mem::take(&mut self.outgoing);
        self.power_cycle(now + self.config.reboot);
        self.outgoing = outgoing;
    }
}

impl Station for Sled {
    fn handle_frame(&mut self, now: Instant, frame: &[u8]) {
        self.advance(now);
        if self.is_off() {
            return;
        }
        if self.busy_until <= now && self.ring.is_empty() {
            self.take_frame(now, frame);
        } else if self.ring.len() < self.config.ring {
            self.ring.push_back(frame.to_vec());
        } else {
            self.report.overrun += 1;
        }
    }

    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch) {
        if self.outgoing.is_empty() {
            Self::check(&mut self.unchecked, &mut self.verdict, &mut self.slots);
        }
        self.advance(now);
        while batch.room() > 0
            && let Some((destination, kind, body)) = self.outgoing.pop_front()
        {
            batch.push_body(Head::new(destination, self.config.address, kind, body.len()), &body);
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if !self.outgoing.is_empty() || self.unchecked.is_some() {
            return Some(Instant::ZERO);
        }
        match self.state {
            State::Booted => None,
            State::Off(on) => Some(on),
            _ if !self.ring.is_empty() => Some(self.busy_until),
            _ => Some(self.wake.max(self.busy_until)),
        }
    }
}
