//! What a needless frame costs a sled.

use std::time::Duration;

use super::Repair;
use crate::time::Instant;

/// What it costs a sled to drop a frame that it did not need: on a real one, the time to print
/// a line. Repeats are sent as fast as it can drop them, or they would pile up before it.
///
/// It is measured, once there have been losses: a few frames that the sled has long had go out
/// before the last one of a batch, and by no more than that its answer is late.
#[derive(Debug)]
pub(super) struct Console {
    pub(super) cost: Duration,
    /// The last measurements. Nothing makes them too small, and much too large.
    measured: [Duration; 4],
    /// The sled has dropped all repeats by then.
    pub(super) busy_until: Instant,
    /// Repairs until it is measured again.
    pub(super) repairs: u32,
    /// Whether the batch that is out now measures it.
    pub(super) measuring: bool,
}

impl Console {
    /// 45 characters at 3 Mbaud.
    const ASSUMED: Duration = Duration::from_micros(150);
    const LEAST: Duration = Duration::from_micros(2);
    const MOST: Duration = Duration::from_micros(300);
    const REPAIRS: u32 = 64;

    pub(super) fn new() -> Self {
        Self {
            cost: Self::ASSUMED,
            measured: [Self::ASSUMED; 4],
            busy_until: Instant::ZERO,
            repairs: 1,
            measuring: false,
        }
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
            self.measured.rotate_left(1);
            self.measured[3] = (late / Repair::PROBES).clamp(Self::LEAST, Self::MOST);
            self.cost = self.measured.into_iter().min().unwrap_or(Self::ASSUMED);
            self.repairs = Self::REPAIRS;
        }
    }
}
