//! The measured bandwidth of a path.

/// The bottleneck bandwidth in frames per second, as BBR estimates it (draft-ietf-ccwg-bbr, section
/// 5.5): the largest recent delivery rate.
///
/// A sample is taken from a batch that lost no frame: all frames that went out between its first
/// and its last have passed the bottleneck when it is answered. A late answer makes a sample small,
/// which the maximum ignores; and a path that drops even 2% of its frames leaves no batch of 128
/// whole, so no sample is too large by more than that.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bandwidth {
    /// The largest sample of this window and of the one before.
    largest: [f64; 2],
    /// Samples in this window.
    samples: u32,
    /// What was assumed, until there is a sample.
    assumed: f64,
}

impl Bandwidth {
    /// Samples per window: four batches of each of 32 sleds. BBR's windows last ten round trips;
    /// two of these together are a little less.
    const WINDOW: u32 = 128;

    /// Frames per second; zero while nothing has been measured.
    pub(super) fn get(&self) -> f64 {
        self.largest[0].max(self.largest[1]).max(self.assumed)
    }

    /// A batch was delivered at `rate`.
    pub(super) fn add(&mut self, rate: f64) {
        self.largest[0] = self.largest[0].max(rate);
        self.samples += 1;
        self.assumed = 0.0;
        if self.samples == Self::WINDOW {
            self.largest = [0.0, self.largest[0]];
            self.samples = 0;
        }
    }

    /// Whether it is only assumed.
    pub(super) fn is_assumed(&self) -> bool {
        self.assumed > 0.0
    }

    /// Assumes `rate` until there is a sample, whatever was measured before.
    pub(super) fn assume(&mut self, rate: f64) {
        *self = Self { assumed: rate, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_sample_counts_and_is_forgotten_in_time() {
        let mut bandwidth = Bandwidth::default();
        bandwidth.add(100.0);
        (1..Bandwidth::WINDOW).for_each(|_| bandwidth.add(60.0));
        assert!((bandwidth.get() - 100.0).abs() < 1e-9);
        (0..Bandwidth::WINDOW).for_each(|_| bandwidth.add(60.0));
        assert!((bandwidth.get() - 60.0).abs() < 1e-9);
    }

    #[test]
    fn what_is_assumed_holds_until_there_is_a_sample() {
        let mut bandwidth = Bandwidth::default();
        bandwidth.add(500.0);
        bandwidth.assume(100.0);
        assert!(bandwidth.is_assumed() && (bandwidth.get() - 100.0).abs() < 1e-9);
        bandwidth.add(60.0);
        assert!(!bandwidth.is_assumed() && (bandwidth.get() - 60.0).abs() < 1e-9);
    }
}
