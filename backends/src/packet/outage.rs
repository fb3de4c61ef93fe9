//! A link that is down: since when, and for how long frames wait for it.

use std::time::Duration;

use boot_netboot::time::Instant;

/// The time during which a link carries nothing.
///
/// It is counted from turn to turn of the loop ([`Outage::tick`]): a change that is found between
/// two turns counts from the second.
#[derive(Debug)]
pub(super) struct Outage {
    /// How long frames wait, from the first that finds the link down.
    patience: Duration,
    state: State,
    /// Since when frames have been waiting.
    waiting: Option<Instant>,
    /// The last turn.
    now: Instant,
    /// All outages that have ended.
    past: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Up,
    /// Found down since the last turn.
    Begun,
    Down(Instant),
    /// Found up again since the last turn, after being down from then on.
    Ended(Instant),
}

impl Outage {
    /// Nothing reports when a link is up again, so it is polled this often.
    pub(super) const PAUSE: Duration = Duration::from_millis(5);

    /// The link is up.
    pub(super) fn new(patience: Duration) -> Self {
        let (now, past) = (Instant::ZERO, Duration::ZERO);
        Self { patience, state: State::Up, waiting: None, now, past }
    }

    /// A turn of the loop begins.
    pub(super) fn tick(&mut self, now: Instant) {
        self.now = now;
        match self.state {
            State::Up | State::Down(_) => {}
            State::Begun => self.state = State::Down(now),
            State::Ended(since) => {
                self.past += now.since(since);
                self.state = State::Up;
            }
        }
    }

    /// The link has been found down. Returns whether that is news.
    pub(super) fn begin(&mut self) -> bool {
        let news = !self.is_on();
        match self.state {
            State::Up => self.state = State::Begun,
            State::Ended(since) => self.state = State::Down(since),
            State::Begun | State::Down(_) => {}
        }
        news
    }

    /// Frames have found the link down. Returns whether they can wait, and whether they are the
    /// first to.
    pub(super) fn wait(&mut self) -> (bool, bool) {
        let first = self.waiting.is_none();
        let waiting = self.waiting.get_or_insert(self.now);
        (self.now.since(*waiting) < self.patience, first)
    }

    /// Whether the link is known to be down.
    pub(super) fn is_on(&self) -> bool {
        matches!(self.state, State::Begun | State::Down(_))
    }

    /// The link is up, again or still.
    pub(super) fn end(&mut self) {
        self.waiting = None;
        match self.state {
            State::Begun => self.state = State::Up,
            State::Down(since) => self.state = State::Ended(since),
            State::Up | State::Ended(_) => {}
        }
    }

    /// How long the link has been down in all, up to the last turn.
    pub(super) fn time(&self) -> Duration {
        match self.state {
            State::Up | State::Begun => self.past,
            State::Down(since) | State::Ended(since) => self.past + self.now.since(since),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn frames_wait_for_so_long_and_not_again_before_the_link_was_up() {
        let at = |seconds: u32| Instant::ZERO + seconds * SECOND;
        let mut outage = Outage::new(60 * SECOND);
        outage.tick(at(100));
        assert_eq!((outage.begin(), outage.begin()), (true, false));
        assert_eq!((outage.wait(), outage.wait()), ((true, true), (true, false)));
        outage.tick(at(159));
        assert_eq!(outage.wait(), (true, false));
        outage.tick(at(160));
        assert_eq!(outage.wait(), (false, false));
        outage.end();
        assert_eq!((outage.begin(), outage.wait()), (true, (true, true)));
    }

    #[test]
    fn outages_last_from_turn_to_turn_and_add_up() {
        let at = |seconds: u32| Instant::ZERO + seconds * SECOND;
        let mut outage = Outage::new(Duration::ZERO);
        outage.tick(at(1));
        outage.begin();
        assert!(outage.is_on() && outage.time().is_zero());
        outage.tick(at(3));
        outage.tick(at(7));
        assert_eq!(outage.time(), 4 * SECOND);
        outage.end();
        assert!(!outage.is_on());
        outage.tick(at(8));
        outage.tick(at(20));
        assert_eq!(outage.time(), 5 * SECOND);
        // Found down and up within one turn.
        outage.begin();
        outage.end();
        outage.tick(at(21));
        assert_eq!(outage.time(), 5 * SECOND);
        outage.begin();
        outage.tick(at(30));
        outage.tick(at(32));
        assert_eq!(outage.time(), 7 * SECOND);
    }
}
