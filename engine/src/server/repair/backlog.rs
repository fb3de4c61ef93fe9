//! Whether a sled still has repeats to drop when it goes on.

use std::time::Duration;

use crate::time::Instant;

/// A doubt: when a sled goes on after repeats, either one of them was what it lacked, and it has
/// dropped those before; or it was late, lacked nothing, and all of them are still before it. Then
/// its next answers are late too, and to send again for that would keep them late for long.
///
/// So it is given the time to drop them all, where it is most likely that nothing was lost: after
/// a while without losses, and after several repairs in a row that took many repeats.
#[derive(Debug)]
pub(super) struct Backlog {
    /// Answers without repeats since one after some.
    calm: u32,
    /// Repairs in a row that took many repeats; and how many it takes, more after each time that
    /// turned out to be in vain.
    long: u32,
    enough: u32,
    /// Whether it is given the time now.
    pub(super) granted: bool,
}

impl Default for Backlog {
    fn default() -> Self {
        Self { calm: Self::CALM, long: 0, enough: Self::ENOUGH, granted: false }
    }
}

impl Backlog {
    /// After so many answers without repeats, a batch after the next is hardly lost too.
    const CALM: u32 = 16;
    /// Most of a batch.
    const MANY: u32 = 100;
    const ENOUGH: u32 = 3;
    const MOST_ENOUGH: u32 = 96;

    /// The sled went on at `now` after so many repeats, each of which takes `cost` to drop. Returns
    /// when it will have dropped them all, if it is to be given the time.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        repeats: u32,
        cost: Duration,
    ) -> Option<Instant> {
        let granted = std::mem::take(&mut self.granted);
        if repeats == 0 {
            self.calm = self.calm.saturating_add(1);
            self.long = 0;
            if granted {
                self.enough = Self::ENOUGH;
            }
            return None;
        }
        if granted {
            self.enough = (2 * self.enough).min(Self::MOST_ENOUGH);
        }
        self.long = if repeats >= Self::MANY { self.long + 1 } else { 0 };
        self.granted = std::mem::take(&mut self.calm) >= Self::CALM || self.long >= self.enough;
        if self.granted {
            self.long = 0;
        }
        self.granted.then(|| now + repeats * cost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Duration = Duration::from_micros(150);

    /// Whether a sled that goes on after so many repeats is given the time to drop them.
    fn grants(backlog: &mut Backlog, repeats: u32) -> bool {
        let dropped = backlog.answered(Instant::ZERO, repeats, COST);
        if let Some(dropped) = dropped {
            assert_eq!(dropped, Instant::ZERO + repeats * COST);
        }
        dropped.is_some()
    }

    #[test]
    fn the_first_repair_after_a_while_is_doubted_and_not_the_next_ones() {
        let mut backlog = Backlog::default();
        assert!(grants(&mut backlog, 50));
        for _ in 0..20 {
            assert!(!grants(&mut backlog, 50));
        }
        for _ in 0..Backlog::CALM {
            assert!(!grants(&mut backlog, 0));
        }
        assert!(grants(&mut backlog, 50));
    }

    #[test]
    fn many_long_repairs_are_doubted_the_less_the_more_often_that_was_wrong() {
        let mut backlog = Backlog::default();
        grants(&mut backlog, 50);
        let granted: Vec<_> =
            (1..=100).filter(|_| grants(&mut backlog, Backlog::MANY)).collect::<Vec<u32>>();
        // The very first was in vain too.
        assert_eq!(granted, [6, 18, 42, 90]);
    }

    #[test]
    fn a_doubt_that_was_right_is_had_as_soon_the_next_time() {
        let mut backlog = Backlog::default();
        for _ in 0..30 {
            grants(&mut backlog, Backlog::MANY);
        }
        while !grants(&mut backlog, Backlog::MANY) {}
        assert!(!grants(&mut backlog, 0));
        let repairs = (1..100).find(|_| grants(&mut backlog, Backlog::MANY));
        assert_eq!(repairs, Some(Backlog::ENOUGH));
    }
}
