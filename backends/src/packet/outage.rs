//! A link that is down: since when, and for how long frames wait for it.

use std::time::{Duration, Instant};

/// The time during which a link carries nothing.
#[derive(Debug)]
pub(super) struct Outage {
    /// How long frames wait, from the first that finds the link down.
    patience: Duration,
    since: Option<Instant>,
    waiting: Option<Instant>,
}

impl Outage {
    /// There is no notice when a link is up again, so it is polled this often.
    pub(super) const PAUSE: Duration = Duration::from_millis(5);

    /// The link is up.
    pub(super) fn new(patience: Duration) -> Self {
        Self { patience, since: None, waiting: None }
    }

    /// The link has been found down. Says whether that is news.
    pub(super) fn begin(&mut self) -> bool {
        let news = self.since.is_none();
        self.since.get_or_insert_with(Instant::now);
        news
    }

    /// Frames have found the link down. Says whether they may wait, and whether they are the first
    /// to.
    pub(super) fn wait(&mut self) -> (bool, bool) {
        let first = self.waiting.is_none();
        let waiting = self.waiting.get_or_insert_with(Instant::now);
        (waiting.elapsed() < self.patience, first)
    }

    /// Whether the link is known to be down.
    pub(super) fn is_on(&self) -> bool {
        self.since.is_some()
    }

    /// The link is up again. Returns how long it was down.
    pub(super) fn end(&mut self) -> Duration {
        self.waiting = None;
        self.since.take().map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// How long the link has been down by now.
    pub(super) fn time(&self) -> Duration {
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_wait_for_so_long_and_not_again_before_the_link_was_up() {
        let mut outage = Outage::new(Duration::from_mins(1));
        assert_eq!((outage.begin(), outage.begin()), (true, false));
        assert_eq!((outage.wait(), outage.wait()), ((true, true), (true, false)));
        outage.patience = Duration::ZERO;
        assert_eq!(outage.wait(), (false, false));
        assert!(outage.is_on());
        outage.end();
        assert!(!outage.is_on() && outage.time().is_zero());
        outage.patience = Duration::from_mins(1);
        assert_eq!(outage.wait(), (true, true));
    }
}
