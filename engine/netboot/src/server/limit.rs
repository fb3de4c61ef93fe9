//! A token bucket for answers that are rationed.

use crate::time::Instant;

/// A bucket with a rate per second and a size.
#[derive(Debug)]
pub(super) struct Limit {
    per_second: u32,
    most: u32,
    /// Billionths of a token.
    level: u64,
    filled: Instant,
}

impl Limit {
    const TOKEN: u64 = 1_000_000_000;

    pub(super) fn new(per_second: u32, most: u32) -> Self {
        Self { per_second, most, level: u64::from(most) * Self::TOKEN, filled: Instant::ZERO }
    }

    /// Takes a token, if there is one at `now`.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let nanos = u64::try_from(now.since(self.filled).as_nanos()).unwrap_or(u64::MAX);
        self.filled = now;
        let gained = nanos.saturating_mul(u64::from(self.per_second));
        self.level = self.level.saturating_add(gained).min(u64::from(self.most) * Self::TOKEN);
        match self.level.checked_sub(Self::TOKEN) {
            Some(left) => {
                self.level = left;
                true
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_burst_passes_and_then_so_many_per_second() {
        let mut limit = Limit::new(10, 5);
        let mut passed = |at: Duration| {
            std::iter::repeat_with(|| limit.take(Instant::ZERO + at))
                .take(100)
                .filter(|&ok| ok)
                .count()
        };
        assert_eq!(passed(Duration::from_secs(1)), 5);
        assert_eq!(passed(Duration::from_millis(1250)), 2);
        assert_eq!(passed(Duration::from_mins(1)), 5);
    }
}
