//! How long to wait for a store, and how long to leave it alone.

use std::time::Duration;

/// The times of fetching.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// The longest time to wait for a connection.
    pub(super) connect: Duration,
    /// The longest time to wait for an answer, and the time in which `least` bytes have to come.
    pub(super) stall: Duration,
    /// The fewest bytes in that time.
    pub(super) least: u64,
    /// The first pause after a failure, and the longest.
    pub(super) first: Duration,
    pub(super) longest: Duration,
}

impl Patience {
    /// A connection gets 5 s, as `object_store` has it by default, and a stall 30 s, as curl's
    /// `--speed-limit`. At less than 1 KiB/s an image would take days. The pauses grow as in the
    /// standard mode of the AWS SDKs: from 1 s, doubled each time, to 20 s.
    pub(super) const USUAL: Self = Self {
        connect: Duration::from_secs(5),
        stall: Duration::from_secs(30),
        least: 30 << 10,
        first: Duration::from_secs(1),
        longest: Duration::from_secs(20),
    };
}

/// The pauses between tries: each up to twice as long as the one before ("full jitter", AWS
/// Architecture Blog, "Exponential Backoff And Jitter"), so that many servers that lost one store
/// at once do not come back at once.
#[derive(Debug)]
pub(super) struct Pauses {
    patience: Patience,
    next: Duration,
}

impl Pauses {
    pub(super) fn new(patience: Patience) -> Self {
        Self { patience, next: patience.first }
    }

    /// The next try may come soon again: something went well.
    pub(super) fn reset(&mut self) {
        self.next = self.patience.first;
    }

    /// How long to wait after a failure.
    pub(super) fn after_failure(&mut self) -> Duration {
        let most = self.next;
        self.next = (most * 2).min(self.patience.longest);
        most.mul_f64(fastrand::f64())
    }

    /// How long to wait until the next look, every `period` or so: a tenth more or less, so that
    /// many servers do not ask at once.
    pub(super) fn until_look(period: Duration) -> Duration {
        period.mul_f64(0.9 + 0.2 * fastrand::f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_the_longest_and_begin_anew_after_a_success() {
        let mut pauses = Pauses::new(Patience::USUAL);
        let bounds = |pauses: &mut Pauses| {
            let most = pauses.next;
            assert!(pauses.after_failure() <= most);
            most.as_secs()
        };
        let grown: Vec<_> = (0..7).map(|_| bounds(&mut pauses)).collect();
        assert_eq!(grown, [1, 2, 4, 8, 16, 20, 20]);
        pauses.reset();
        assert_eq!(bounds(&mut pauses), 1);
    }

    #[test]
    fn servers_that_start_together_do_not_ask_together() {
        let minute = Duration::from_mins(1);
        let looks: Vec<_> = (0..100).map(|_| Pauses::until_look(minute)).collect();
        let range = Duration::from_secs(54)..=Duration::from_secs(66);
        assert!(looks.iter().all(|look| range.contains(look)));
        assert!(looks.iter().any(|look| look != &looks[0]));
    }
}
