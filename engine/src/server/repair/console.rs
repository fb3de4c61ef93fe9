//! What a needless frame costs a sled.

use std::time::Duration;

use super::Repair;
use super::bursts::Bursts;
use crate::time::Instant;

/// What it costs a sled to drop a frame that it did not need: on a real one, the time to print
/// a line. Repeats are sent as fast as it can drop them, or they would pile up before it.
///
/// It is measured, once there have been losses: a few frames that the sled has long had go out
/// before the last one of a batch, and by no more than that its answer is late. Until then it is
/// guessed from the answers to repeats.
#[derive(Debug)]
pub(super) struct Console {
    pub(super) cost: Duration,
    /// The last measurements. Little makes them too small, and much too large.
    measured: [Duration; 4],
    /// The sled has dropped all repeats by then.
    pub(super) busy_until: Instant,
    /// Repairs until it is measured again, and from then until the next time.
    pub(super) repairs: u32,
    pause: u32,
    /// Whether the batch that is out now measures it.
    pub(super) measuring: bool,
    /// Until it is measured.
    bursts: Option<Bursts>,
}

impl Console {
    /// 45 characters at 3 Mbaud.
    pub(super) const ASSUMED: Duration = Duration::from_micros(150);
    const LEAST: Duration = Duration::from_micros(1);
    const MOST: Duration = Duration::from_micros(300);
    /// A frame costs a sled little if it costs no more than this.
    pub(super) const CHEAP: Duration = Duration::from_micros(16);
    const PAUSE: u32 = 4;
    const MOST_PAUSE: u32 = 64;
    /// By such a factor no two measurements should differ: the next one has to decide.
    const FAR: u32 = 8;
    /// By such a factor an answer to a repeat may lower the guess.
    const STEP: u32 = 4;

    pub(super) fn new() -> Self {
        Self {
            cost: Self::ASSUMED,
            measured: [Self::ASSUMED; 4],
            busy_until: Instant::ZERO,
            repairs: 1,
            pause: Self::PAUSE,
            measuring: false,
            bursts: Some(Bursts::default()),
        }
    }

    /// The bursts in which repeats go out, if it is worth while to guess.
    pub(super) fn bursts(&mut self) -> Option<&mut Bursts> {
        self.bursts.as_mut().filter(|_| self.cost > Self::CHEAP)
    }

    /// There is nothing more to be sent again for now.
    pub(super) fn stop(&mut self) {
        if let Some(bursts) = &mut self.bursts {
            bursts.stop();
        }
    }

    /// The sled answered a repeat at `now`, when all had been sent again `once` at most; its
    /// answers take `least` where nothing is in their way.
    pub(super) fn guess(&mut self, now: Instant, once: bool, least: Duration) {
        let cost = self.cost;
        if let Some(bursts) = self.bursts.as_mut().filter(|_| once && cost < Self::ASSUMED) {
            bursts.helped();
        }
        if let Some(bursts) = self.bursts() {
            // It may have been chance: other answers have to confirm it.
            let guess = bursts.answered(now, least, cost).map(|guess| guess.max(cost / Self::STEP));
            self.cost = guess.map_or(cost, |guess| guess.min(cost));
            self.give_up_in_vain();
        }
    }

    /// None of so many `repeats` helped in time: a wrong guess may be why. Then the sled still has
    /// to drop them.
    pub(super) fn unanswered(&mut self, repeats: u32) {
        let guessed = self.cost < Self::ASSUMED;
        if let Some(bursts) = self.bursts.as_mut().filter(|_| guessed) {
            bursts.did_not_help();
            self.busy_until += repeats * Self::ASSUMED.saturating_sub(self.cost);
            self.cost = Self::ASSUMED;
            self.give_up_in_vain();
        }
    }

    fn give_up_in_vain(&mut self) {
        if self.bursts.as_ref().is_some_and(Bursts::are_vain) {
            (self.cost, self.bursts) = (Self::ASSUMED, None);
        }
    }

    /// Whether the sled has dropped all repeats at `now`, but for the last perhaps.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.busy_until <= now + self.cost
    }

    /// A frame was sent that the sled may have to drop.
    pub(super) fn repeat(&mut self, now: Instant) {
        self.busy_until = self.busy_until.max(now) + self.cost;
    }

    /// The sled answered a batch, of which `repeats` were sent; if there were none, its answer
    /// was so `late`.
    pub(super) fn answered(&mut self, repeats: u32, late: Option<Duration>) {
        if repeats > 0 {
            self.repairs = self.repairs.saturating_sub(1);
        }
        if std::mem::take(&mut self.measuring)
            && repeats == 0
            && let Some(late) = late
        {
            let measured = (late / Repair::PROBES).clamp(Self::LEAST, Self::MOST);
            self.repairs = self.pause;
            self.pause = (2 * self.pause).min(Self::MOST_PAUSE);
            if measured > Self::FAR * self.cost {
                // What was measured before was wrong.
                self.measured = [measured; 4];
                self.pause = Self::PAUSE;
            } else {
                self.measured.rotate_left(1);
                self.measured[3] = measured;
            }
            if Self::FAR * measured < self.cost {
                // Little is known yet, and to learn more costs little too.
                (self.repairs, self.pause) = (0, 1);
            }
            self.cost = self.measured.into_iter().min().unwrap_or(Self::ASSUMED);
            self.bursts = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(console: &mut Console, frame: Duration) {
        console.measuring = true;
        console.answered(0, Some(frame * Repair::PROBES));
    }

    #[test]
    fn a_measurement_far_from_others_is_checked_by_the_next_repair_and_may_be_dropped() {
        let mut console = Console::new();
        measured(&mut console, Duration::from_micros(3));
        assert_eq!((console.cost, console.repairs), (Duration::from_micros(3), 0));
        measured(&mut console, Duration::from_micros(140));
        assert_eq!(console.cost, Duration::from_micros(140));
    }

    #[test]
    fn of_measurements_near_each_other_the_least_counts() {
        let mut console = Console::new();
        for micros in [140, 120, 170] {
            measured(&mut console, Duration::from_micros(micros));
        }
        assert_eq!(console.cost, Duration::from_micros(120));
        assert!(console.repairs > 0);
    }

    #[test]
    fn an_answer_after_repeats_measures_nothing() {
        let mut console = Console::new();
        console.measuring = true;
        console.answered(5, Some(Duration::ZERO));
        assert_eq!(console.cost, Console::ASSUMED);
    }
}
