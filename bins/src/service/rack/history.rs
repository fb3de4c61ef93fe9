//! How much sleds received in each of the last seconds.

use std::collections::VecDeque;
use std::time::SystemTime;

/// Seconds, the oldest first.
#[derive(Debug, Default)]
pub(super) struct History {
    points: VecDeque<Point>,
}

/// What all sleds received within one second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Point {
    /// Since 1970.
    pub(super) second: u64,
    pub(super) bytes: u64,
    /// Retransmitted DATA frames.
    pub(super) retransmits: u64,
}

impl History {
    /// Ten minutes: several boots of a rack.
    pub(super) const SECONDS: u64 = 600;

    pub(super) fn add(&mut self, time: SystemTime, bytes: u64, retransmits: u64) {
        let second = seconds(time);
        match self.points.back_mut() {
            // A clock that is set back must not disturb the order.
            Some(last) if last.second >= second => {
                last.bytes += bytes;
                last.retransmits += retransmits;
            }
            _ => self.points.push_back(Point { second, bytes, retransmits }),
        }
        while self.points.len() as u64 > Self::SECONDS {
            self.points.pop_front();
        }
    }

    /// The whole seconds before `time`, the oldest first: those in which nothing happened too.
    pub(super) fn until(&self, time: SystemTime, count: u64) -> Vec<Point> {
        let end = seconds(time);
        let first = end.saturating_sub(count.min(Self::SECONDS));
        let known = |second| {
            let at = self.points.binary_search_by_key(&second, |point| point.second);
            at.map_or(Point { second, ..Point::default() }, |at| self.points[at])
        };
        (first..end).map(known).collect()
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(second: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn a_second_has_all_that_came_in_it_and_none_is_missing() {
        let mut history = History::default();
        history.add(at(1000), 5, 0);
        history.add(at(1000), 6, 1);
        history.add(at(1003), 7, 0);
        let bytes: Vec<_> =
            history.until(at(1005), 6).iter().map(|point| (point.second, point.bytes)).collect();
        assert_eq!(bytes, [(999, 0), (1000, 11), (1001, 0), (1002, 0), (1003, 7), (1004, 0)]);
    }

    #[test]
    fn a_clock_set_back_and_a_long_life_are_bounded() {
        let mut history = History::default();
        (0..5000).for_each(|second| history.add(at(second), 1, 0));
        history.add(at(3), 1, 0);
        assert_eq!(history.points.len() as u64, History::SECONDS);
        assert_eq!(history.until(at(5000), 10_000).len() as u64, History::SECONDS);
        assert_eq!(history.until(at(5000), 1)[0].bytes, 2);
    }
}
