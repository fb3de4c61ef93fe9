//! What frames meet on their way: ports with a rate and a queue, and faults.

use std::time::Duration;

use fastrand::Rng;

use crate::time::Instant;

/// Bytes that a frame takes on the wire: at least 60, and FCS, preamble and gap besides.
pub fn wire_bytes(frame: usize) -> u64 {
    frame.max(60) as u64 + 4 + 20
}

/// A port that sends frames one after another, with a queue before it that drops what does
/// not fit.
#[derive(Clone, Copy, Debug)]
pub struct PortConfig {
    /// Bits per second; `None` for a port that is never the bottleneck.
    pub rate: Option<u64>,
    /// DATA frames that can wait.
    pub queue: usize,
}

impl PortConfig {
    /// A port that neither delays nor drops.
    pub const FREE: Self = Self { rate: None, queue: usize::MAX };
}

/// A port at work.
#[derive(Clone, Debug)]
pub(super) struct Port {
    config: PortConfig,
    /// When the last frame that was accepted will have left.
    busy_until: Instant,
    pub(super) dropped: u64,
}

impl Port {
    pub(super) fn new(config: PortConfig) -> Self {
        Self { config, busy_until: Instant::ZERO, dropped: 0 }
    }

    /// When a frame of `bytes` that comes at `now` has left; `None` if the queue is full.
    pub(super) fn pass(&mut self, now: Instant, bytes: usize) -> Option<Instant> {
        let Some(rate) = self.config.rate else {
            return Some(now);
        };
        if self.waiting(now) >= self.config.queue as u64 {
            self.dropped += 1;
            return None;
        }
        self.busy_until = self.busy_until.max(now) + time(bytes, rate);
        Some(self.busy_until)
    }

    /// How many frames its queue holds.
    pub(super) fn queue(&self) -> u64 {
        self.config.queue as u64
    }

    /// How many full DATA frames wait or are being sent at `now`.
    pub(super) fn waiting(&self, now: Instant) -> u64 {
        let Some(rate) = self.config.rate else {
            return 0;
        };
        let frame = time(1058, rate).as_nanos().max(1);
        (self.busy_until.since(now).as_nanos() / frame) as u64
    }

    /// When no more than `frames` wait.
    pub(super) fn down_to(&self, frames: u64) -> Instant {
        let Some(rate) = self.config.rate else {
            return Instant::ZERO;
        };
        self.busy_until - time(1058, rate) * u32::try_from(frames).unwrap_or(u32::MAX)
    }
}

fn time(bytes: usize, rate: u64) -> Duration {
    let bits = u128::from(wire_bytes(bytes)) * 8;
    Duration::from_nanos((bits * 1_000_000_000 / u128::from(rate.max(1))) as u64)
}

/// What goes wrong on the way, each as a probability for one frame.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    /// It is lost on the way to a sled.
    pub loss: f64,
    /// It is lost on the way to a server.
    pub loss_to_server: f64,
    /// A bit of it flips: the receiver drops it, since its FCS is wrong.
    pub flip: f64,
    /// It arrives twice.
    pub duplicate: f64,
    /// It is overtaken: delayed by up to [`Faults::jitter`].
    pub reorder: f64,
    /// The longest delay of a frame that is overtaken.
    pub jitter: Duration,
}

impl Faults {
    /// The delays with which copies of a frame arrive, one for each: none if it is lost.
    pub(super) fn copies(
        &self,
        random: &mut Rng,
        to_server: bool,
    ) -> impl Iterator<Item = Duration> + use<> {
        let loss = if to_server { self.loss_to_server } else { self.loss };
        let mut hit = |probability: f64| probability > 0.0 && random.f64() < probability;
        let count =
            if hit(loss) || hit(self.flip) { 0 } else { 1 + usize::from(hit(self.duplicate)) };
        let late = [hit(self.reorder), hit(self.reorder)];
        let jitter = self.jitter;
        let delays =
            late.map(|late| if late { jitter.mul_f64(random.f64()) } else { Duration::ZERO });
        delays.into_iter().take(count)
    }
}
