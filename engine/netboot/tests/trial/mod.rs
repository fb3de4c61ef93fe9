//! A rack with faults, made from a seed, and what must hold while it boots.

mod plan;

use std::fmt;
use std::ops::ControlFlow;
use std::time::Duration;

use boot_format::wire::MacAddr;
use boot_image::Contents;
use boot_netboot::server::{Config, Serve, Server};
use boot_netboot::sim::{Actor, Faults, Flood, FloodConfig, PlugId, Segment};
use boot_netboot::sled::{Event, Panic, Sled, SledConfig};
use boot_netboot::time::Instant;

pub(crate) use self::plan::Trial;
use self::plan::{Incident, UNWANTED, image};

/// How a rack's boots went.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    boots: u64,
    panics: u64,
    frames: u64,
    virtual_time: Duration,
    slowest: Duration,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.boots += other.boots;
        self.panics += other.panics;
        self.frames += other.frames;
        self.virtual_time += other.virtual_time;
        self.slowest = self.slowest.max(other.slowest);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { boots, panics, frames, virtual_time, slowest } = self;
        write!(
            f,
            "{boots} boots, {panics} panics of sleds, {frames} frames, {:.0} s of virtual time, \
             the slowest rack {:.0} s",
            virtual_time.as_secs_f64(),
            slowest.as_secs_f64()
        )
    }
}

const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 0]);
const SECOND_SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 1]);
const FIRST_SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 2, 0]);
const FIRST_FLOOD: MacAddr = MacAddr::new([2, 0, 0, 0, 3, 0]);

/// The stations' plugs.
struct Plugs {
    server: PlugId,
    sleds: Vec<PlugId>,
}

impl Trial {
    /// Boots the rack, checking invariants at each step and at the end.
    pub(crate) fn boot(&self) -> Result<Tally, String> {
        let mut segment = Segment::new(self.seed);
        let plugs = self.plug(&mut segment);
        for (at, incident) in &self.incidents {
            self.run(&mut segment, &plugs, *at)?;
            self.happen(&mut segment, &plugs, *incident);
        }
        self.run(&mut segment, &plugs, self.last() + self.patience)?;
        self.judge(&mut segment, &plugs)
    }

    fn plug(&self, segment: &mut Segment<Actor>) -> Plugs {
        let server = segment.plug(Actor::Server(self.server(SERVER)), self.server_link);
        if self.second_server {
            segment.plug(Actor::Server(self.server(SECOND_SERVER)), self.server_link);
        }
        let sleds = (0..self.sleds).map(|index| {
            let number = if self.twins && index == 1 { 0 } else { index };
            let config = SledConfig {
                wanted: Some(image(self.wanted[usize::from(index)]).checksum()),
                power_on: self.power_on[usize::from(index)],
                ring: self.ring,
                ..SledConfig::new(FIRST_SLED.nth_after(number))
            };
            (Sled::new(config), self.sled_links[usize::from(index)])
        });
        let sleds = sleds.map(|(sled, link)| segment.plug(Actor::Sled(sled), link)).collect();
        if let Some(flood) = self.flood {
            let config = FloodConfig { server: SERVER, address: FIRST_FLOOD, ..flood };
            segment.plug(Actor::Flood(Flood::new(config, self.seed)), self.server_link);
        }
        Plugs { server, sleds }
    }

    fn server(&self, address: MacAddr) -> Server {
        let together = self.together;
        let config = Config { together, ..Config::new(address, Serve::All) };
        let mut server = Server::new(config);
        server.set_images(self.images());
        server
    }

    fn images(&self) -> Vec<Contents> {
        self.images.iter().map(|&number| image(number)).collect()
    }

    fn happen(&self, segment: &mut Segment<Actor>, plugs: &Plugs, incident: Incident) {
        let now = segment.now();
        let sled = |index: u16| plugs.sleds[usize::from(index)];
        let mut power_cycle = |index, on| {
            let sled = segment.station_mut(sled(index)).sled_mut();
            sled.expect("a sled stands there").power_cycle(on);
        };
        match incident {
            Incident::PowerCycle(index, off) => power_cycle(index, now + off),
            Incident::Dies(index) => power_cycle(index, Instant::NEVER),
            Incident::CableOut(index) => {
                let link = segment.link_mut(sled(index));
                link.up.faults = Faults::loss(1.0);
                link.down.faults = Faults::loss(1.0);
            }
            Incident::CableIn(index) => {
                *segment.link_mut(sled(index)) = self.sled_links[usize::from(index)];
            }
            Incident::ServerRestarts => {
                segment.replace(plugs.server, Actor::Server(self.server(SERVER)));
            }
            Incident::OffersHeld(held) => {
                let server = segment.station_mut(plugs.server).server_mut();
                server.expect("a server stands there").hold_offers(held);
            }
            Incident::ImagesChange(gone) => {
                let images = if gone { vec![image(UNWANTED)] } else { self.images() };
                let server = segment.station_mut(plugs.server).server_mut();
                server.expect("a server stands there").set_images(images);
            }
        }
        for plug in [plugs.server].iter().chain(&plugs.sleds) {
            segment.attend(*plug);
        }
    }

    /// Runs until `end`, or until all sleds that can have booted, checking at each step.
    fn run(&self, segment: &mut Segment<Actor>, plugs: &Plugs, end: Instant) -> Result<(), String> {
        let last = self.last();
        let broken = segment.run(end, |segment, _| {
            if segment.now() > last && self.all_booted(segment, plugs) {
                return ControlFlow::Break(None);
            }
            match self.check(segment) {
                Ok(()) => ControlFlow::Continue(()),
                Err(broken) => ControlFlow::Break(Some(broken)),
            }
        });
        broken.flatten().map_or(Ok(()), Err)
    }

    /// When the last incident happens and the flood ends.
    fn last(&self) -> Instant {
        let incident = self.incidents.last().map_or(Instant::ZERO, |&(at, _)| at);
        incident.max(self.flood.map_or(Instant::ZERO, |flood| flood.end))
    }

    fn all_booted(&self, segment: &Segment<Actor>, plugs: &Plugs) -> bool {
        let alive = plugs.sleds.iter().zip(0..).filter(|&(_, index)| !self.dies(index));
        alive
            .map(|(&plug, _)| segment.station(plug))
            .all(|actor| actor.sled().expect("a sled stands there").is_booted())
    }

    fn dies(&self, sled: u16) -> bool {
        self.incidents.iter().any(|&(_, incident)| incident == Incident::Dies(sled))
    }

    /// What must hold at every step.
    fn check(&self, segment: &Segment<Actor>) -> Result<(), String> {
        for server in segment.stations().filter_map(|(_, actor)| actor.server()) {
            let addresses = usize::from(self.sleds)
                + self.flood.map_or(0, |flood| usize::from(flood.addresses))
                // A flipped bit makes a new address.
                + segment.flipped() as usize;
            let most = addresses.min(Config::MAX_SESSIONS);
            if server.sessions() > most {
                return Err(format!("{} sessions for {most} addresses", server.sessions()));
            }
        }
        let most = self.most_in_flight();
        if segment.in_flight() > most {
            return Err(format!("{} frames in flight, {most} is all", segment.in_flight()));
        }
        Ok(())
    }

    /// What must hold at the end.
    fn judge(&self, segment: &mut Segment<Actor>, plugs: &Plugs) -> Result<Tally, String> {
        let mut outcome = Tally { frames: segment.traffic(plugs.server).sent, ..<_>::default() };
        let reset = self.incidents.iter().any(|&(_, i)| i == Incident::ServerRestarts);
        let (now, flipped) = (segment.now(), segment.flipped());
        let server = segment.station_mut(plugs.server).server_mut().expect("a server stands there");
        let group = server.group();
        let mut news = Vec::new();
        while let Some(event) = server.poll_group_event() {
            news.push(event);
        }
        let news = &news[news.len().saturating_sub(12)..];
        for (&plug, index) in plugs.sleds.iter().zip(0..) {
            let wanted = image(self.wanted[usize::from(index)]).checksum();
            let sled = segment.station_mut(plug).sled_mut().expect("a sled stands there");
            let mut took = None;
            while let Some(event) = sled.poll_event() {
                match event {
                    Event::Accepted { checksum, .. } => took = Some(checksum),
                    Event::Booted if took != Some(wanted) => {
                        return Err(format!("sled {index} booted {took:?}, not {wanted}"));
                    }
                    Event::Booted => outcome.boots += 1,
                    Event::Panicked(Panic::Reset) if reset => outcome.panics += 1,
                    Event::Panicked(_) if flipped > 0 => outcome.panics += 1,
                    // One was offered another image while its twin, of the same address, read: a
                    // READ could then be from either.
                    Event::Panicked(Panic::Checksum | Panic::Reset) if self.twins => {
                        outcome.panics += 1;
                    }
                    Event::Panicked(why) => {
                        return Err(format!("sled {index} panicked: {why}, {group:?}, {news:?}"));
                    }
                }
            }
            if !sled.is_booted() && !self.dies(index) {
                let report = sled.report();
                return Err(format!(
                    "sled {index} has not booted at {now}: {report:?}, {group:?}, {news:?}"
                ));
            }
            outcome.slowest = outcome.slowest.max(sled.report().time().unwrap_or_default());
        }
        outcome.virtual_time = now.since(Instant::ZERO);
        Ok(outcome)
    }
}
