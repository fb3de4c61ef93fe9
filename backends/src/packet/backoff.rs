//! How long to wait for space in a queue that does not report when it has some.

use std::time::Duration;

/// A wait that grows and shrinks, so that each one makes room for a few frames: long enough that
/// waiting costs little, short enough that the queue does not run dry.
#[derive(Debug)]
pub(super) struct Backoff {
    pause: Duration,
}

impl Backoff {
    const LEAST: Duration = Duration::from_micros(100);
    const MOST: Duration = Duration::from_millis(5);
    /// The least and the most frames that a wait should make room for. A link's queue rarely holds
    /// fewer than 60.
    const FEW: usize = 8;
    const MANY: usize = 24;

    pub(super) fn new() -> Self {
        Self { pause: Self::LEAST }
    }

    /// How long to wait now.
    pub(super) fn pause(&self) -> Duration {
        self.pause
    }

    /// Learns from a wait that ran its full length, and made room for this many frames.
    pub(super) fn made(&mut self, frames: usize) {
        if frames < Self::FEW {
            self.pause = (self.pause * 2).min(Self::MOST);
        } else if frames > Self::MANY {
            self.pause = (self.pause / 2).max(Self::LEAST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Waits until the pause has settled, and returns the frames that the last one made room for.
    fn settled(frames_per_second: usize, queue: usize) -> usize {
        let mut backoff = Backoff::new();
        let mut made = 0;
        for _ in 0..100 {
            let micros = backoff.pause().as_micros() as usize;
            made = (micros * frames_per_second / 1_000_000).min(queue);
            backoff.made(made);
        }
        made
    }

    #[test]
    fn a_wait_makes_room_for_a_handful_of_frames_whatever_the_rate() {
        for rate in [2_400, 24_000, 120_000, 1_200_000] {
            let made = settled(rate, 1000);
            assert!((8..=120).contains(&made), "{made} frames at {rate}/s");
        }
    }

    #[test]
    fn a_queue_that_never_empties_is_looked_at_two_hundred_times_a_second() {
        let mut backoff = Backoff::new();
        for _ in 0..20 {
            backoff.made(0);
        }
        assert_eq!(backoff.pause(), Duration::from_millis(5));
    }
}
