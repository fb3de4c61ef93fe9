//! A rack that boots, from a few parameters to a table of figures.

use std::collections::BTreeSet;
use std::time::Duration;

use super::naive::Naive;
use super::{Counts, Faults, PortConfig, Setup, Simulation, wire_bytes};
use crate::image::Contents;
use crate::server::{self, Config, EventKind, Serve};
use crate::sled::{Report, SledConfig};
use crate::station::Station;
use crate::time::Instant;
use crate::wire::{BLOCK, DATA_HEAD_LEN, MacAddr};

/// A rack, its network, and what goes wrong there.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What all chance follows from.
    pub seed: u64,
    /// How many sleds boot.
    pub sleds: u16,
    /// The image that they boot.
    pub image: Contents,
    /// The server's own port; its queue is the socket's.
    pub server_port: PortConfig,
    /// The port of the switch that all frames to sleds pass.
    pub trunk: PortConfig,
    /// The port of the switch before each sled.
    pub sled_port: PortConfig,
    /// From one end to the other, for a frame that meets no queue.
    pub delay: Duration,
    /// What goes wrong on the way.
    pub faults: Faults,
    /// What a line on a sled's console costs.
    pub console: Duration,
    /// The sleds come up one after another, so long apart.
    pub stagger: Duration,
    /// Sleds that lose their power for good in the middle of their boot.
    pub dead: u16,
    /// Sleds behind a port of a tenth of the rate.
    pub slow: u16,
    /// Virtual time after which nothing more is awaited.
    pub limit: Duration,
}

impl Scenario {
    /// A rack without any fault behind one switch, all of it at `rate` bits per second.
    pub fn new(sleds: u16, image: Contents, rate: u64) -> Self {
        let port = PortConfig { rate: Some(rate), queue: 256 };
        Self {
            seed: 1,
            sleds,
            image,
            server_port: port,
            trunk: port,
            sled_port: port,
            delay: Duration::from_micros(20),
            faults: Faults::default(),
            console: Duration::from_micros(150),
            stagger: Duration::ZERO,
            dead: 0,
            slow: 0,
            limit: Duration::from_hours(1),
        }
    }

    /// Runs it with this project's server.
    pub fn run(&self) -> Outcome {
        let mut server = server::Server::new(Config::new(SERVER, Serve::All));
        server.set_images(vec![self.image.clone()]);
        self.simulate(server, |server, outcome| {
            while let Some(event) = server.poll_event() {
                if let EventKind::Finished(summary) = event.kind {
                    outcome.early += summary.early;
                    outcome.needless += summary.needless;
                }
            }
        })
    }

    /// Runs it with a model of the tool that this project replaces.
    pub fn run_naive(&self) -> Outcome {
        self.simulate(Naive::new(SERVER, self.image.clone()), |_, _| {})
    }

    fn simulate<S: Station>(
        &self,
        server: S,
        mut drain: impl FnMut(&mut S, &mut Outcome),
    ) -> Outcome {
        let slow = PortConfig { rate: self.sled_port.rate.map(|rate| rate / 10), ..self.sled_port };
        let sleds = (0..self.sleds).map(|number| {
            let [high, low] = number.to_be_bytes();
            let config = SledConfig {
                wanted: Some(self.image.checksum()),
                compare: Some(self.image.clone()),
                power_on: Instant::ZERO + self.stagger * u32::from(number),
                console: self.console,
                ..SledConfig::new(MacAddr::new([2, 0, 0, 1, high, low]))
            };
            let last = self.sleds - number;
            (config, if last <= self.slow { slow } else { self.sled_port })
        });
        let setup = Setup {
            seed: self.seed,
            server_port: self.server_port,
            trunk: self.trunk,
            sleds: sleds.collect(),
            delay: self.delay,
            faults: self.faults,
        };
        let mut simulation = Simulation::new(setup, vec![(SERVER, server)]);
        for sled in 0..usize::from(self.dead) {
            let middle = Instant::ZERO + Duration::from_millis(200);
            simulation.power_cycle(sled, middle, Duration::from_hours(1000));
        }
        let mut outcome = Outcome::default();
        let mut at_first = None;
        let end = Instant::ZERO + self.limit;
        let mut booted = BTreeSet::new();
        let wanted = usize::from(self.sleds - self.dead);
        while booted.len() < wanted && simulation.step(end) {
            drain(simulation.server(0), &mut outcome);
            for (index, sled) in simulation.sleds().enumerate() {
                if sled.is_booted() {
                    booted.insert(index);
                }
            }
            if at_first.is_none() && !booted.is_empty() {
                let dead = usize::from(self.dead);
                let bytes = simulation.sleds().skip(dead).map(|sled| sled.report().bytes as f64);
                at_first = Some(jain(bytes));
            }
        }
        drain(simulation.server(0), &mut outcome);
        let reports: Vec<_> = simulation.sleds().map(|sled| sled.report().clone()).collect();
        let finished = reports.iter().filter_map(|report| report.finished).max();
        let started = reports.iter().filter_map(|report| report.accepted).min();
        outcome.time = finished.zip(started).map_or(self.limit, |(end, start)| end.since(start));
        outcome.booted = booted.len() as u16;
        outcome.fairness = at_first.unwrap_or(0.0);
        outcome.counts = simulation.counts();
        outcome.wire_time = self.wire_time();
        outcome.sleds = reports;
        outcome
    }

    /// How long the slowest port that all frames pass takes for them, if each is sent once.
    pub fn wire_time(&self) -> Duration {
        let rate = [self.server_port.rate, self.trunk.rate].into_iter().flatten().min();
        let frames = u64::from(self.sleds) * (self.image.bytes().len() / BLOCK) as u64;
        let bits = frames * wire_bytes(DATA_HEAD_LEN + BLOCK) * 8;
        rate.map_or(Duration::ZERO, |rate| Duration::from_secs_f64(bits as f64 / rate as f64))
    }
}

/// How a scenario went.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// From the first accepted offer to the last boot.
    pub time: Duration,
    /// What the wire alone would take for that.
    pub wire_time: Duration,
    /// Sleds that have booted.
    pub booted: u16,
    /// Jain's index over what the sleds had received when the first one had booted.
    pub fairness: f64,
    /// Frames that the server sent again before they were asked for.
    pub early: u64,
    /// Those of them that it thinks were not needed.
    pub needless: u64,
    /// What went over the segment.
    pub counts: Counts,
    /// Each sled's own account.
    pub sleds: Vec<Report>,
}

impl Outcome {
    /// Frames that sleds dropped because they had not asked for them, for each that they had.
    pub fn unwanted_share(&self) -> f64 {
        let unwanted: u64 = self.sleds.iter().map(|report| report.unwanted).sum();
        let data: u64 = self.sleds.iter().map(|report| report.data).sum();
        unwanted as f64 / (data - unwanted).max(1) as f64
    }

    /// How often a sled had to wait for its own timer.
    pub fn timeouts(&self) -> u64 {
        self.sleds.iter().map(|report| report.timeouts).sum()
    }

    /// The share of the wire's speed that was reached.
    pub fn efficiency(&self) -> f64 {
        self.wire_time.as_secs_f64() / self.time.as_secs_f64().max(1e-9)
    }
}

const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);

/// Jain's fairness index: 1 if all have the same, 1/n if one has everything.
fn jain(shares: impl Iterator<Item = f64>) -> f64 {
    let (count, sum, squares) = shares.fold((0.0, 0.0, 0.0), |(count, sum, squares), share| {
        (count + 1.0, sum + share, squares + share * share)
    });
    if squares > 0.0 { sum * sum / (count * squares) } else { 0.0 }
}
