//! What it may cost a sled to drop a frame that it does not want, and until when it is busy with
//! that.

use std::time::Duration;

use crate::time::Instant;

/// How many ranges of costs are told apart: eighths of octaves from [`LEAST`] to 2.2 ms, twice the
/// slowest console that is considered, 1,000 us a line.
pub(super) const CELLS: usize = 64;

/// A DATA frame on a wire of 1 Gbit/s, in nanoseconds.
const LEAST: u64 = 8656;

/// The costs between which the cells lie, in nanoseconds.
const EDGES: [u64; CELLS + 1] = edges();

const fn edges() -> [u64; CELLS + 1] {
    /// Eighths of an octave, in thousandths.
    const STEPS: [u64; 8] = [1000, 1091, 1189, 1297, 1414, 1542, 1682, 1834];
    let mut edges = [0; CELLS + 1];
    let mut index = 0;
    while index <= CELLS {
        edges[index] = (LEAST << (index / 8)) * STEPS[index % 8] / 1000;
        index += 1;
    }
    edges
}

/// The cost at an edge.
pub(super) fn edge(index: usize) -> Duration {
    Duration::from_nanos(EDGES[index])
}

/// A range of costs, and until when a sled is busy to which a frame costs the least or the most of
/// it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    pub(super) cost: [Duration; 2],
    pub(super) busy: [Instant; 2],
}

impl Cell {
    /// The cost in its middle.
    pub(super) fn middle(&self) -> Duration {
        (self.cost[0] + self.cost[1]) / 2
    }
}

/// Until when a sled drops what was retransmitted to it, for each cost that is possible.
#[derive(Clone, Debug)]
pub(super) struct Busy {
    /// By the edges of the cells, without the round that is under way: if all was dropped, and if
    /// the receive ring overflowed.
    until: [Instant; CELLS + 1],
    overflowed: [Instant; CELLS + 1],
    /// When the first and the last retransmit of that round went out, and how many there are.
    first: Instant,
    last: Instant,
    sent: u32,
}

impl Busy {
    /// The frames to drop that a sled's receive ring surely holds: common network drivers have one of
    /// 256 frames (igb and e1000e on Linux), of which the batch may take 128.
    pub(super) const ROOM: u32 = 128;

    /// A round of retransmits begins.
    pub(super) fn begin_round(&mut self, now: Instant) {
        self.overflowed = std::array::from_fn(|index| self.overflowed(index));
        self.until = std::array::from_fn(|index| self.until(index));
        (self.first, self.last, self.sent) = (now, now, 0);
    }

    /// A retransmit went out.
    pub(super) fn sent(&mut self, now: Instant) {
        self.last = now;
        self.sent += 1;
    }

    /// The sled answered a batch of which `tried` frames had been retransmitted: what came before it
    /// has dropped, whatever that cost.
    pub(super) fn answered(&mut self, now: Instant, tried: u32) {
        // The usual case: nothing is left to drop, at any cost.
        if self.until(CELLS) <= now {
            return;
        }
        self.begin_round(now);
        for (index, until) in self.until.iter_mut().enumerate() {
            *until = (*until).min(now + edge(index) * tried);
        }
        for (index, until) in self.overflowed.iter_mut().enumerate() {
            *until = (*until).min(now + edge(index) * tried.min(Self::ROOM));
        }
    }

    /// Until when a sled is busy to which a frame costs what is at this edge: with the round since
    /// it began, or, if a frame costs less than the pace, with the last one only.
    pub(super) fn until(&self, index: usize) -> Instant {
        self.with_round(index, self.until[index])
    }

    /// The same if the sled's receive ring has overflowed: what was lost there costs nothing.
    fn overflowed(&self, index: usize) -> Instant {
        let until = self.with_round(index, self.overflowed[index]);
        if self.sent == 0 { until } else { until.min(self.last + edge(index) * Self::ROOM) }
    }

    fn with_round(&self, index: usize, before: Instant) -> Instant {
        if self.sent == 0 {
            return before;
        }
        let all = before.max(self.first) + edge(index) * self.sent;
        all.max(self.last + edge(index))
    }

    /// A range of costs.
    pub(super) fn cell(&self, index: usize) -> Cell {
        Cell {
            cost: [edge(index), edge(index + 1)],
            busy: [self.overflowed(index), self.until(index + 1)],
        }
    }
}

impl Default for Busy {
    fn default() -> Self {
        Self {
            until: [Instant::ZERO; CELLS + 1],
            overflowed: [Instant::ZERO; CELLS + 1],
            first: Instant::ZERO,
            last: Instant::ZERO,
            sent: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_costs_are_eighths_of_octaves() {
        for pair in EDGES.windows(2) {
            let step = pair[1] as f64 / pair[0] as f64;
            assert!((step - 2_f64.powf(0.125)).abs() < 2e-3, "{pair:?}");
        }
        assert!(edge(CELLS) > Duration::from_millis(2));
    }

    #[test]
    fn a_sled_is_busy_with_all_of_a_round_or_with_its_last_frame() {
        let mut busy = Busy::default();
        let start = Instant::ZERO + Duration::from_millis(1);
        let gap = Duration::from_micros(100);
        busy.begin_round(start);
        (0..10).for_each(|frame| busy.sent(start + gap * frame));
        for index in 0..CELLS {
            let (mut until, cost) = (start, edge(index));
            (0..10).for_each(|frame| until = until.max(start + gap * frame) + cost);
            assert_eq!(busy.until(index), until, "{cost:?}");
        }
    }

    #[test]
    fn a_sled_whose_ring_overflowed_may_be_ready_before_it_could_have_dropped_all() {
        let mut busy = Busy::default();
        for round in 0..3 {
            let start = Instant::ZERO + Duration::from_millis(1 + 2 * round);
            let gap = Duration::from_micros(10);
            busy.begin_round(start);
            (0..128).for_each(|frame| busy.sent(start + gap * frame));
        }
        let last = busy.last;
        for index in 0..CELLS {
            let [from, to] = busy.cell(index).busy;
            assert!(from <= last + edge(index) * 128, "{index}");
            assert!(to >= Instant::ZERO + edge(index + 1) * (3 * 128), "{index}");
        }
        busy.answered(last, 3 * 128);
        assert!(busy.cell(CELLS - 1).busy[0] <= last + edge(CELLS) * 128);
    }

    #[test]
    fn a_sled_that_answers_has_dropped_all_that_came_before() {
        let mut busy = Busy::default();
        busy.begin_round(Instant::ZERO);
        (0..1000).for_each(|_| busy.sent(Instant::ZERO));
        assert!(busy.until(CELLS) > Instant::ZERO + Duration::from_secs(2));
        let now = Instant::ZERO + Duration::from_millis(1);
        busy.answered(now, 2);
        assert!(busy.until(CELLS) < now + Duration::from_millis(5));
    }
}
