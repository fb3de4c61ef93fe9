//! Which unserved sleds are reported: each one, within limits.

use std::collections::{HashSet, VecDeque};

use boot_format::wire::MacAddr;

use super::limit::Limit;
use crate::time::Instant;

/// The addresses that were reported last.
#[derive(Debug)]
pub(super) struct Unserved {
    told: HashSet<MacAddr>,
    /// The same, the oldest first.
    order: VecDeque<MacAddr>,
    limit: Limit,
}

impl Unserved {
    /// One line each is enough to find one's own sled.
    const MOST: usize = 1024;
    /// Lines per second beyond that, so that the log stays readable in a flood.
    const PER_SECOND: u32 = 1;

    pub(super) fn new() -> Self {
        let limit = Limit::new(Self::PER_SECOND, Self::MOST as u32);
        Self { told: HashSet::new(), order: VecDeque::new(), limit }
    }

    /// Whether to report at `now` that `address` is not served.
    pub(super) fn is_news(&mut self, now: Instant, address: MacAddr) -> bool {
        if self.told.contains(&address) || !self.limit.take(now) {
            return false;
        }
        if self.order.len() == Self::MOST
            && let Some(oldest) = self.order.pop_front()
        {
            self.told.remove(&oldest);
        }
        self.order.push_back(address);
        self.told.insert(address)
    }
}
