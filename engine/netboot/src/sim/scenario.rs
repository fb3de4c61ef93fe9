//! A rack that boots, from a few parameters to its figures.

use std::ops::ControlFlow;
use std::time::Duration;

use boot_format::wire::{BLOCK, DATA_HEAD_LEN, MacAddr};
use boot_image::Contents;

use super::{
    Actor, Faults, Flood, FloodConfig, Line, Link, Naive, PlugId, PortConfig, Segment, Traffic,
    wire_bytes, wire_time,
};
use crate::server::{Config, EventKind, GroupEvent, Serve, Server, Together};
use crate::sled::{AnswerTimes, Report, Sled, SledConfig};
use crate::time::Instant;

/// A rack, its network, and what goes wrong there.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The seed of all random numbers.
    pub seed: u64,
    /// How many sleds there are.
    pub sleds: u16,
    /// The image that they boot.
    pub image: Contents,
    /// The server's own port; its queue is the socket's and drops nothing.
    pub server_port: PortConfig,
    /// The port behind the server's own that all its frames pass.
    pub trunk: PortConfig,
    /// The port of the switch before each sled.
    pub sled_port: PortConfig,
    /// The end-to-end delay of a frame that meets no queue.
    pub delay: Duration,
    /// Faults on the way to each sled.
    pub faults: Faults,
    /// Faults on the way to the server.
    pub faults_to_server: Faults,
    /// What a line on a sled's console costs.
    pub console: Duration,
    /// The size of a sled's receive ring, in frames.
    pub ring: usize,
    /// From a batch's last frame at a sled to its next READ.
    pub answers: AnswerTimes,
    /// How long a sled pauses now and then, and how often.
    pub pause: Option<(Duration, Duration)>,
    /// Whether the server retransmits.
    pub retransmit: bool,
    /// Whether the sleds boot in step, and how they are gathered for that.
    pub together: Option<Together>,
    /// Faults on the trunk, which hit all sleds at once.
    pub trunk_faults: Faults,
    /// How many broadcast frames a second the switch passes on.
    pub storm_control: Option<u64>,
    /// The time between two sleds' power-on.
    pub stagger: Duration,
    /// How many of the sleds, the first ones, lose power for good in mid-boot.
    pub dead: u16,
    /// How many of the sleds, the last ones, are behind a port of a tenth of the rate.
    pub slow: u16,
    /// How many more stations ask for random blocks, ten thousand times a second each.
    pub flooding: u16,
    /// How many sleds each of these claims to be.
    pub claimed: u16,
    /// The virtual time after which the run ends.
    pub limit: Duration,
}

impl Scenario {
    const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
    const FIRST_SLED: MacAddr = MacAddr::new([2, 0, 0, 1, 0, 0]);
    const FIRST_FLOOD: MacAddr = MacAddr::new([2, 0, 0, 2, 0, 0]);
    /// When the dead die, after power-on.
    const DEATH: Duration = Duration::from_millis(200);
    /// How long the run continues after the last boot.
    const FAREWELL: Duration = Duration::from_millis(10);
    const FLOOD_GAP: Duration = Duration::from_micros(100);
    /// The queue of ports that carry a READ for every 128 DATA frames.
    const BACK_QUEUE: usize = 1024;

    /// A rack without faults behind one switch, with every port at `rate` bits per second and
    /// queues of 256 frames.
    pub fn new(sleds: u16, image: Contents, rate: u64) -> Self {
        let port = PortConfig::new(rate, 256);
        let sled = SledConfig::new(Self::FIRST_SLED);
        Self {
            seed: 1,
            sleds,
            image,
            server_port: port,
            trunk: port,
            sled_port: port,
            delay: Duration::from_micros(20),
            faults: Faults::NONE,
            faults_to_server: Faults::NONE,
            console: sled.console,
            ring: sled.ring,
            answers: sled.answers,
            pause: sled.pause,
            retransmit: true,
            together: None,
            trunk_faults: Faults::NONE,
            storm_control: None,
            stagger: Duration::ZERO,
            dead: 0,
            slow: 0,
            flooding: 0,
            claimed: 1,
            limit: Duration::from_hours(1),
        }
    }

    /// Runs it with this project's server.
    pub fn run(&self) -> Outcome {
        let config = Config::new(Self::SERVER, Serve::All);
        let (retransmit, together) = (self.retransmit, self.together);
        let mut server = Server::new(Config { retransmit, together, ..config });
        server.set_images(vec![self.image.clone()]);
        self.simulate(Actor::Server(server))
    }

    /// Runs it with a model of the tool that this project replaces.
    pub fn run_naive(&self) -> Outcome {
        self.simulate(Actor::Naive(Naive::new(Self::SERVER, self.image.clone())))
    }

    /// The address of a sled.
    pub fn address(sled: u16) -> MacAddr {
        Self::FIRST_SLED.nth_after(sled)
    }

    /// How long the wire alone would take: the shared port or trunk for all frames, or a sled's
    /// port for its own, whichever is longer. The dead and the slow do not count.
    pub fn wire_time(&self) -> Duration {
        let sleds = u64::from(self.sleds.saturating_sub(self.dead + self.slow));
        let image = (self.image.size() / BLOCK) as u64 * wire_bytes(DATA_HEAD_LEN + BLOCK);
        let time = |port: PortConfig, bytes| {
            port.rate.map_or(Duration::ZERO, |rate| wire_time(bytes, rate))
        };
        time(self.server_port, sleds * image)
            .max(time(self.trunk, sleds * image))
            .max(time(self.sled_port, image))
    }

    fn simulate(&self, server: Actor) -> Outcome {
        let mut segment = Segment::new(self.seed);
        segment.set_storm_control(self.storm_control);
        let server = segment.plug(server, self.server_link());
        let sleds: Vec<_> = (0..self.sleds).map(|n| self.plug_sled(&mut segment, n)).collect();
        for number in 0..self.flooding {
            let flood = Flood::new(self.flood(number), u64::from(number));
            segment.plug(Actor::Flood(flood), self.sled_link(false));
        }
        let mut watcher = Watcher::new(self, server, &sleds);
        let mut dying: Vec<_> = (0..self.dead)
            .map(|number| (self.power_on(number) + Self::DEATH, sleds[usize::from(number)]))
            .collect();
        dying.push((Instant::ZERO + self.limit, server));
        for (at, place) in dying {
            if segment.run(at, |segment, place| watcher.watch(segment, place)).is_some() {
                break;
            }
            if let Some(sled) = segment.station_mut(place).sled_mut() {
                sled.power_cycle(Instant::NEVER);
            }
        }
        // The last FINISHED is still on its way.
        segment.run_until(segment.now() + 2 * self.delay + Self::FAREWELL);
        watcher.outcome(&mut segment, self)
    }

    fn plug_sled(&self, segment: &mut Segment<Actor>, number: u16) -> PlugId {
        let sled = Sled::new(SledConfig {
            wanted: Some(self.image.checksum()),
            compare: Some(self.image.clone()),
            power_on: self.power_on(number),
            console: self.console,
            ring: self.ring,
            answers: self.answers,
            pause: self.pause,
            seed: self.seed,
            ..SledConfig::new(Self::address(number))
        });
        segment.plug(Actor::Sled(sled), self.sled_link(number >= self.sleds - self.slow))
    }

    fn power_on(&self, sled: u16) -> Instant {
        Instant::ZERO + self.stagger * u32::from(sled)
    }

    fn server_link(&self) -> Link {
        let half = self.delay / 2;
        let back = PortConfig { rate: self.trunk.rate, queue: Self::BACK_QUEUE };
        Link {
            up: Line { faults: self.trunk_faults, ..Line::new(self.server_port) },
            trunk: Some(Line { delay: half, ..Line::new(self.trunk) }),
            down: Line { delay: half, ..Line::new(back) },
        }
    }

    fn sled_link(&self, slow: bool) -> Link {
        let delay = self.delay / 2;
        let rate = self.sled_port.rate.map(|rate| if slow { rate / 10 } else { rate });
        let back = PortConfig { rate, queue: Self::BACK_QUEUE };
        let port = PortConfig { rate, ..self.sled_port };
        Link {
            up: Line { port: back, delay, faults: self.faults_to_server },
            trunk: None,
            down: Line { port, delay, faults: self.faults },
        }
    }

    fn flood(&self, number: u16) -> FloodConfig {
        FloodConfig {
            server: Self::SERVER,
            address: Self::FIRST_FLOOD.nth_after(number * self.claimed),
            addresses: self.claimed,
            hello: true,
            gap: Self::FLOOD_GAP,
            size: self.image.size() as u64,
            start: Instant::ZERO,
            end: Instant::NEVER,
        }
    }
}

/// How a scenario went.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// From the first HELLO to the last boot of a sled that is neither dead nor slow; the
    /// scenario's limit if one of them did not boot.
    pub time: Duration,
    /// What the wire alone would take.
    pub wire_time: Duration,
    /// Sleds that have booted.
    pub booted: u16,
    /// Jain's index over what the sleds, but for the dead and the slow, had received when the
    /// first one had booted.
    pub fairness: f64,
    /// Frames that the server retransmitted before they were asked for.
    pub early: u64,
    /// Of those, the ones that it believes were spurious.
    pub needless: u64,
    /// Counts of the server's frames on the way to the switch.
    pub server: Traffic,
    /// Counts of the frames between the switch and the sleds, in both directions.
    pub ports: Traffic,
    /// Each sled's report.
    pub sleds: Vec<Report>,
    /// DATA frames that were broadcast.
    pub broadcast: u64,
    /// Events of groups, with their times.
    pub groups: Vec<(Instant, GroupEvent)>,
}

impl Outcome {
    /// Unwanted frames per wanted frame, over all sleds.
    pub fn unwanted_share(&self) -> f64 {
        let unwanted: u64 = self.sleds.iter().map(|report| report.unwanted).sum();
        let data: u64 = self.sleds.iter().map(|report| report.data).sum();
        unwanted as f64 / (data - unwanted).max(1) as f64
    }

    /// How often a sled had to wait for its own timer.
    pub fn timeouts(&self) -> u64 {
        self.sleds.iter().map(|report| report.timeouts).sum()
    }

    /// The share of the wire's capacity that was used.
    pub fn efficiency(&self) -> f64 {
        self.wire_time.as_secs_f64() / self.time.as_secs_f64().max(1e-9)
    }
}

/// Records what happens while a scenario runs.
struct Watcher {
    server: PlugId,
    sleds: Vec<PlugId>,
    /// Those that are neither dead nor slow.
    sound: Vec<PlugId>,
    booted: Vec<PlugId>,
    /// How many must boot before the run ends.
    awaited: usize,
    outcome: Outcome,
}

impl Watcher {
    fn new(scenario: &Scenario, server: PlugId, sleds: &[PlugId]) -> Self {
        let dead = usize::from(scenario.dead);
        let slow = usize::from(scenario.slow);
        Self {
            server,
            sleds: sleds.to_vec(),
            sound: sleds[dead..sleds.len() - slow].to_vec(),
            booted: Vec::new(),
            awaited: sleds.len() - dead,
            outcome: Outcome::default(),
        }
    }

    fn watch(&mut self, segment: &mut Segment<Actor>, place: PlugId) -> ControlFlow<()> {
        if place == self.server {
            self.drain(segment);
        } else if segment.station(place).sled().is_some_and(Sled::is_booted)
            && !self.booted.contains(&place)
        {
            if self.booted.is_empty() {
                let bytes = self.sound.iter().filter_map(|&sled| segment.station(sled).sled());
                self.outcome.fairness = jain(bytes.map(|sled| sled.report().bytes as f64));
            }
            self.booted.push(place);
        }
        // Frames in flight when the last sled has booted are dropped.
        if self.booted.len() == self.awaited {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn drain(&mut self, segment: &mut Segment<Actor>) {
        let now = segment.now();
        let Some(server) = segment.station_mut(self.server).server_mut() else {
            return;
        };
        while let Some(event) = server.poll_event() {
            if let EventKind::Finished(summary) = event.kind {
                self.outcome.early += summary.early;
                self.outcome.needless += summary.needless;
            }
        }
        while let Some(event) = server.poll_group_event() {
            self.outcome.groups.push((now, event));
        }
        self.outcome.broadcast = server.counters().broadcast;
    }

    fn outcome(mut self, segment: &mut Segment<Actor>, scenario: &Scenario) -> Outcome {
        self.drain(segment);
        let report =
            |&sled: &PlugId| segment.station(sled).sled().map(|sled| sled.report().clone());
        let sound: Vec<_> = self.sound.iter().filter_map(report).collect();
        let first = sound.iter().filter_map(|report| report.hello).min();
        let last = sound.iter().map(|report| report.finished).collect::<Option<Vec<_>>>();
        let last = last.and_then(|times| times.into_iter().max());
        let time = first.zip(last).map_or(scenario.limit, |(first, last)| last.since(first));
        Outcome {
            time,
            wire_time: scenario.wire_time(),
            booted: self.booted.len() as u16,
            server: segment.traffic(self.server),
            ports: self.sleds.iter().map(|&sled| segment.traffic(sled)).sum(),
            sleds: self.sleds.iter().filter_map(report).collect(),
            ..self.outcome
        }
    }
}

/// Jain's fairness index: 1 if all have the same, 1/n if one has everything.
fn jain(shares: impl Iterator<Item = f64>) -> f64 {
    let (count, sum, squares) = shares.fold((0.0, 0.0, 0.0), |(count, sum, squares), share| {
        (count + 1.0, sum + share, squares + share * share)
    });
    if squares > 0.0 { sum * sum / (count * squares) } else { 0.0 }
}
