//! One direction of a cable: how fast, how long, how lossy, and the queue before it.

use std::collections::VecDeque;
use std::time::Duration;

use fastrand::Rng;

use crate::time::Instant;

/// A port that sends frames one after another, and the queue before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Bits per second on the wire, preamble, FCS and gap included. `None` for a port that neither
    /// delays nor drops.
    pub rate: Option<u64>,
    /// The most frames in the queue, including the one being sent.
    pub queue: usize,
}

impl PortConfig {
    /// A port that neither delays nor drops.
    pub const FREE: Self = Self { rate: None, queue: usize::MAX };

    /// A port of `rate` bits per second.
    pub const fn new(rate: u64, queue: usize) -> Self {
        Self { rate: Some(rate), queue }
    }
}

/// One direction of a cable, and the port that feeds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Line {
    /// The port.
    pub port: PortConfig,
    /// The propagation delay, from the port to the far end.
    pub delay: Duration,
    /// Faults on the way.
    pub faults: Faults,
}

impl Line {
    /// A line of no length, without faults.
    pub const fn new(port: PortConfig) -> Self {
        Self { port, delay: Duration::ZERO, faults: Faults::NONE }
    }
}

/// Faults on the way, each as a probability per frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faults {
    /// It vanishes.
    pub loss: f64,
    /// A bit of it flips. The FCS detects that, and the frame is dropped.
    pub flip: f64,
    /// A flipped bit gets past the FCS: a broken switch.
    pub unnoticed: f64,
    /// It arrives twice.
    pub duplicate: f64,
    /// It is reordered: delayed by up to [`Faults::jitter`].
    pub reorder: f64,
    /// The longest delay of a reordered frame.
    pub jitter: Duration,
}

impl Faults {
    /// No faults.
    pub const NONE: Self = Self {
        loss: 0.0,
        flip: 0.0,
        unnoticed: 0.0,
        duplicate: 0.0,
        reorder: 0.0,
        jitter: Duration::ZERO,
    };

    /// Frames vanish with this probability; there are no other faults.
    pub const fn loss(loss: f64) -> Self {
        Self { loss, ..Self::NONE }
    }

    /// What happens to one frame.
    pub(super) fn strike(&self, random: &mut Rng) -> Fate {
        let mut happens = |probability: f64| probability > 0.0 && random.f64() < probability;
        if happens(self.loss) {
            return Fate::Lost;
        }
        if happens(self.flip) {
            return if happens(self.unnoticed) { Fate::Flipped } else { Fate::BadFcs };
        }
        let twice = happens(self.duplicate);
        let late = happens(self.reorder);
        let late = if late { self.jitter.mul_f64(random.f64()) } else { Duration::ZERO };
        Fate::Arrives { twice, late }
    }
}

/// The fate of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    Lost,
    BadFcs,
    Flipped,
    Arrives { twice: bool, late: Duration },
}

/// The bytes that a frame of `length` bytes takes on the wire: padded to 60, plus FCS, preamble and
/// gap.
pub const fn wire_bytes(length: usize) -> u64 {
    const FCS: u64 = 4;
    const PREAMBLE_AND_GAP: u64 = 20;
    let length = if length < LEAST_FRAME { LEAST_FRAME } else { length };
    length as u64 + FCS + PREAMBLE_AND_GAP
}

/// Ethernet's least frame, without FCS.
pub(super) const LEAST_FRAME: usize = 60;

/// How long `bytes` on the wire take at `rate` bits per second.
pub fn wire_time(bytes: u64, rate: u64) -> Duration {
    let nanos = u128::from(bytes) * 8 * 1_000_000_000 / u128::from(rate.max(1));
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

/// A FIFO of frames that leave at a line's rate.
#[derive(Debug)]
pub(super) struct Queue {
    /// When each waiting frame will have left.
    departures: VecDeque<Instant>,
    /// The rounding error of the last departure, in nanoseconds times the rate: without it, a fast
    /// line would be a thousandth too fast.
    rounded: u128,
}

impl Queue {
    pub(super) fn new() -> Self {
        Self { departures: VecDeque::new(), rounded: 0 }
    }

    /// How many frames wait at `now`.
    pub(super) fn waiting(&mut self, now: Instant) -> usize {
        while self.departures.front().is_some_and(|&departure| departure <= now) {
            self.departures.pop_front();
        }
        self.departures.len()
    }

    /// Queues a frame of `bytes` on the wire, and returns when it will have left, or `None` if the
    /// queue is full. Time must not go backwards between calls.
    pub(super) fn take(&mut self, now: Instant, bytes: u64, port: PortConfig) -> Option<Instant> {
        let Some(rate) = port.rate else {
            return Some(now);
        };
        if self.waiting(now) >= port.queue.max(1) {
            return None;
        }
        let start = self.departures.back().copied().unwrap_or(now);
        let rate = u128::from(rate.max(1));
        let exact = u128::from(bytes) * 8 * 1_000_000_000 + self.rounded % rate;
        self.rounded = exact % rate;
        let departure = start + Duration::from_nanos((exact / rate) as u64);
        self.departures.push_back(departure);
        Some(departure)
    }

    /// When only `left` frames will wait; in the past if that is already so.
    pub(super) fn down_to(&self, left: usize) -> Instant {
        let index = self.departures.len().checked_sub(left + 1);
        index.and_then(|index| self.departures.get(index)).copied().unwrap_or(Instant::ZERO)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_frame_takes_1082_bytes_of_the_wire_and_a_short_one_84() {
        assert_eq!((wire_bytes(1058), wire_bytes(26)), (1082, 84));
        assert_eq!(wire_time(1082, 1_000_000_000), Duration::from_nanos(8656));
    }

    #[test]
    fn no_nanosecond_is_lost_by_rounding() {
        let port = PortConfig::new(10_000_000_000, 10_000);
        let mut queue = Queue::new();
        let last = (0..10_000).map(|_| queue.take(Instant::ZERO, 1082, port)).last().flatten();
        assert_eq!(last, Some(Instant::ZERO + wire_time(10_000 * 1082, 10_000_000_000)));
    }

    #[test]
    fn a_full_queue_drops_and_frames_leave_at_the_lines_rate() {
        let port = PortConfig::new(1_000_000_000, 2);
        let mut queue = Queue::new();
        let at = |nanos| Instant::ZERO + Duration::from_nanos(nanos);
        assert_eq!(queue.take(at(0), 125, port), Some(at(1000)));
        assert_eq!(queue.take(at(0), 125, port), Some(at(2000)));
        assert_eq!(queue.take(at(999), 125, port), None);
        assert_eq!(queue.down_to(1), at(1000));
        assert_eq!(queue.take(at(1000), 125, port), Some(at(3000)));
        assert_eq!(queue.take(at(9000), 125, port), Some(at(10_000)));
    }
}
