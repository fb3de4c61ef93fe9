//! What a seed makes of a rack.

use std::sync::LazyLock;
use std::time::Duration;

use boot_format::wire::MacAddr;
use boot_image::Contents;
use boot_netboot::server::Together;
use boot_netboot::sim::{Faults, FloodConfig, Line, Link, PortConfig};
use boot_netboot::time::Instant;
use fastrand::Rng;

/// A rack, its links, and what befalls it.
#[derive(Debug)]
pub(crate) struct Trial {
    pub(super) seed: u64,
    pub(super) sleds: u16,
    /// The images that the server has, by number.
    pub(super) images: Vec<usize>,
    /// The image that each sled wants.
    pub(super) wanted: Vec<usize>,
    pub(super) power_on: Vec<Instant>,
    pub(super) ring: usize,
    /// Whether sleds boot in step.
    pub(super) together: Option<Together>,
    pub(super) server_link: Link,
    pub(super) sled_links: Vec<Link>,
    /// The first two sleds have the same address.
    pub(super) twins: bool,
    pub(super) second_server: bool,
    pub(super) flood: Option<FloodConfig>,
    /// In the order of time.
    pub(super) incidents: Vec<(Instant, Incident)>,
    /// After the last incident every sled must boot within this time.
    pub(super) patience: Duration,
}

/// Something that befalls a rack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Incident {
    /// A sled loses power and has it again after so long.
    PowerCycle(u16, Duration),
    /// A sled loses power for good.
    Dies(u16),
    /// A sled's cable is pulled.
    CableOut(u16),
    /// And put back.
    CableIn(u16),
    /// The server begins anew, knowing nothing.
    ServerRestarts,
    /// The server has nothing to offer, or has again.
    OffersHeld(bool),
    /// The server's images make room for one that nobody wants, or are back.
    ImagesChange(bool),
}

const GIGABIT: u64 = 1_000_000_000;
const IMAGES: usize = 5;
/// The number of the image that no sled wants.
pub(super) const UNWANTED: usize = IMAGES;

/// The image with this number: 1 MiB and a few batches more, no two blocks alike.
pub(super) fn image(number: usize) -> Contents {
    static MADE: LazyLock<[Contents; IMAGES + 1]> = LazyLock::new(|| {
        std::array::from_fn(|number| {
            let size = (8 + number) * 128 * 1024;
            let mut random = Rng::with_seed(number as u64);
            Contents::build(size, 16 << 20, "", "rpool/ROOT/ramdisk", |bytes| {
                for word in bytes.chunks_exact_mut(8) {
                    word.copy_from_slice(&random.u64(..).to_le_bytes());
                }
            })
            .expect("there is memory for a few images")
        })
    });
    MADE[number].clone()
}

impl Trial {
    pub(crate) fn from_seed(seed: u64) -> Self {
        let random = &mut Rng::with_seed(seed);
        let sleds: u16 = one_of(random, &[1, 1, 1, 2, 2, 2, 2, 8, 8, 32]);
        let each = usize::from(sleds);
        let images: Vec<_> = match random.u64(..4) {
            0 => vec![random.usize(..IMAGES); 2],
            1 => vec![0, 3, 1],
            _ => vec![random.usize(..IMAGES)],
        };
        let twins = sleds > 1 && happens(random, 0.15);
        let mut wanted: Vec<_> = (0..each).map(|_| one_of(random, &images)).collect();
        if twins {
            wanted[1] = wanted[0];
        }
        let stagger = one_of(random, &[0, 10, 1000, 10_000]);
        let power_on = (0..each)
            .map(|_| Instant::ZERO + time_below(random, Duration::from_millis(stagger)))
            .collect();
        let loss = one_of(random, &[0.0, 0.0, 0.001, 0.01, 0.05, 0.3]);
        let sled_links: Vec<_> = (0..each).map(|_| sled_link(random, loss)).collect();
        let flood = happens(random, 0.1).then(|| flood(random));
        let mut rack = Self {
            seed,
            sleds,
            images,
            wanted,
            power_on,
            ring: one_of(random, &[16, 256, 1024]),
            together: None,
            server_link: server_link(random),
            sled_links,
            twins,
            second_server: happens(random, 0.1),
            flood,
            incidents: Vec::new(),
            patience: Duration::from_mins(2) + Duration::from_secs(1000).mul_f64(loss),
        };
        rack.befall(random);
        rack
    }

    /// The same rack, its sleds in step where they can be.
    pub(crate) fn together(self) -> Self {
        let random = &mut Rng::with_seed(!self.seed);
        let gather = Duration::from_secs(one_of(random, &[0, 1, 6]));
        let expect = happens(random, 0.5).then_some(self.sleds.into());
        // Whoever loses its place waits for the others, and is gathered once more.
        let patience = 3 * self.patience;
        Self { together: Some(Together { gather, expect }), patience, ..self }
    }

    fn befall(&mut self, random: &mut Rng) {
        for _ in 0..random.u64(..4) {
            let at = Instant::ZERO + time_below(random, Duration::from_secs(3));
            let later = at + time_below(random, Duration::from_secs(6));
            let sled = random.u16(..self.sleds);
            match random.u64(..7) {
                0 | 1 => {
                    let off = time_below(random, Duration::from_secs(3));
                    self.incidents.push((at, Incident::PowerCycle(sled, off)));
                }
                2 => self.incidents.push((later, Incident::Dies(sled))),
                3 => {
                    self.incidents.push((at, Incident::CableOut(sled)));
                    self.incidents.push((later, Incident::CableIn(sled)));
                }
                4 => self.incidents.push((at, Incident::ServerRestarts)),
                5 => {
                    self.incidents.push((at, Incident::ImagesChange(true)));
                    self.incidents.push((later, Incident::ImagesChange(false)));
                }
                _ => {
                    self.incidents.push((at, Incident::OffersHeld(true)));
                    self.incidents.push((later, Incident::OffersHeld(false)));
                }
            }
        }
        self.incidents.sort_by_key(|&(at, _)| at);
    }

    /// Frames that all queues and lines of the rack can hold.
    pub(super) fn most_in_flight(&self) -> usize {
        // On a line are as many frames as leave the queue while one travels or is held back.
        const ON_A_LINE: usize = 20_000;
        let line = |line: &Line| line.port.queue + ON_A_LINE;
        let link =
            |link: &Link| line(&link.up) + line(&link.down) + link.trunk.map_or(0, |l| line(&l));
        3 * link(&self.server_link) + self.sled_links.iter().map(link).sum::<usize>()
    }
}

fn faults(random: &mut Rng, loss: f64) -> Faults {
    Faults {
        loss,
        duplicate: one_of(random, &[0.0, 0.0, 0.001, 0.05]),
        flip: one_of(random, &[0.0, 0.0, 0.001, 0.01]),
        unnoticed: one_of(random, &[0.0, 0.0, 0.0, 0.0, 0.01]),
        reorder: one_of(random, &[0.0, 0.0, 0.01, 0.2]),
        jitter: time_below(random, Duration::from_millis(2)),
    }
}

fn line(random: &mut Rng, rates: &[u64], queues: &[usize], loss: f64) -> Line {
    Line {
        port: PortConfig::new(one_of(random, rates), one_of(random, queues)),
        delay: Duration::from_micros(1) + time_below(random, Duration::from_micros(200)),
        faults: faults(random, loss),
    }
}

fn sled_link(random: &mut Rng, loss: f64) -> Link {
    // One port of a rack may be bad while the others are fine.
    let loss = if happens(random, 0.5) { loss } else { 0.0 };
    let rates = [GIGABIT / 10, GIGABIT, GIGABIT, 10 * GIGABIT];
    let loss_up = if happens(random, 0.5) { loss } else { 0.0 };
    Link {
        up: line(random, &rates, &[64], loss_up),
        trunk: None,
        down: line(random, &rates, &[64, 256, 1024], loss),
    }
}

fn server_link(random: &mut Rng) -> Link {
    let rates = [GIGABIT, 10 * GIGABIT, 40 * GIGABIT];
    Link {
        up: line(random, &rates, &[64, 256, 1024], 0.0),
        trunk: happens(random, 0.3)
            .then(|| line(random, &[GIGABIT / 5, GIGABIT], &[64, 256, 1024], 0.0)),
        down: line(random, &rates, &[64, 1024], 0.0),
    }
}

fn flood(random: &mut Rng) -> FloodConfig {
    let start = Instant::ZERO + time_below(random, Duration::from_secs(2));
    FloodConfig {
        server: MacAddr::BROADCAST,
        address: MacAddr::BROADCAST,
        addresses: one_of(random, &[1, 30, 300]),
        hello: happens(random, 0.7),
        gap: Duration::from_micros(20) + time_below(random, Duration::from_millis(1)),
        size: one_of(random, &[1 << 20, 1 << 22, u64::MAX]),
        start,
        end: start + time_below(random, Duration::from_secs(2)),
    }
}

fn one_of<T: Copy>(random: &mut Rng, choices: &[T]) -> T {
    choices[random.usize(..choices.len())]
}

fn happens(random: &mut Rng, probability: f64) -> bool {
    random.f64() < probability
}

fn time_below(random: &mut Rng, end: Duration) -> Duration {
    end.mul_f64(random.f64())
}
