//! The bound on retransmits that no estimate can talk its way around.

/// A token bucket: a token for each retransmit of one boot.
///
/// It starts with what a lossless boot can bear, and only proof of loss fills it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    tokens: f64,
}

impl Budget {
    /// Frames of a batch.
    const BATCH: f64 = boot_format::wire::SLOTS as f64;
    /// Without proof of loss, one frame in a thousand may be retransmitted.
    const SHARE: u64 = 1000;
    /// What one lossy batch explains: a retransmit of all its frames, and a second one for lost
    /// retransmits.
    const EXPLAINED: f64 = 2.0 * Self::BATCH;
    /// The most that a sled that dies in mid-boot can draw.
    const MOST: f64 = 8.0 * Self::BATCH;

    /// For a boot of this many frames.
    pub(super) fn new(frames: u64) -> Self {
        Self { tokens: ((frames / Self::SHARE) as f64).max(Self::BATCH) }
    }

    /// Takes a token, if there is one.
    pub(super) fn take(&mut self) -> bool {
        let left = self.tokens >= 1.0;
        if left {
            self.tokens -= 1.0;
        }
        left
    }

    /// Adds tokens for a batch that has lost a frame with this probability.
    pub(super) fn earn(&mut self, lost: f64) {
        let tokens = (self.tokens + lost * Self::EXPLAINED).min(Self::MOST);
        self.tokens = self.tokens.max(tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drain(budget: &mut Budget) -> u32 {
        (0..10_000).take_while(|_| budget.take()).count() as u32
    }

    #[test]
    fn without_proof_a_batch_or_a_thousandth_of_the_boot_is_all() {
        assert_eq!(drain(&mut Budget::new(65_536)), 128);
        assert_eq!(drain(&mut Budget::new(1_228_800)), 1228);
    }

    #[test]
    fn proof_buys_two_batches_and_does_not_pile_up() {
        let mut budget = Budget::new(1024);
        drain(&mut budget);
        budget.earn(1.0);
        assert_eq!(drain(&mut budget), 256);
        (0..100).for_each(|_| budget.earn(1.0));
        assert_eq!(drain(&mut budget), 1024);
    }
}
