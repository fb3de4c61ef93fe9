//! Baseline loss: how often a batch loses a frame.

/// The share of batches that lost a frame: of one sled, or of a link and kept from boot to boot.
///
/// A batch counts as lost in proportion to the odds that it was: a READ that names sent offsets is
/// proof, an answer without retransmits is proof of no loss, and an answer after retransmits counts
/// for what [`super::Recovery::heard`] makes of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct BaselineLoss {
    lost: f64,
    batches: f64,
}

impl BaselineLoss {
    /// The prior, counted as one batch: with [`super::answers::Answers::TYPICAL`] it puts the first
    /// suspicion 50 ms after a batch, which is how often a sled wakes by itself (netboot protocol,
    /// "What a sled does").
    const PRIOR: f64 = 1e-3;
    /// Batches remembered at full weight: those of a boot of 64 MiB.
    const MEMORY: f64 = 512.0;
    /// The largest assumed loss: 3.5% of frames.
    const MOST: f64 = 0.99;

    /// Adds a batch that had lost a frame with probability `lost`.
    pub(crate) fn add(&mut self, lost: f64) {
        if self.batches >= Self::MEMORY {
            (self.lost, self.batches) = (self.lost / 2.0, self.batches / 2.0);
        }
        self.lost += lost;
        self.batches += 1.0;
    }

    /// The probability that a batch of this link loses a frame.
    pub(crate) fn of_link(&self) -> f64 {
        self.rate(Self::PRIOR).max(Self::PRIOR)
    }

    /// The probability that a batch of this sled loses a frame, on a link where others' do so with
    /// probability `link`.
    pub(super) fn of_sled(&self, link: f64) -> f64 {
        self.rate(link)
    }

    fn rate(&self, prior: f64) -> f64 {
        ((self.lost + prior) / (self.batches + 1.0)).min(Self::MOST)
    }
}

/// The part of a link's loss that exceeds the prior.
pub(super) fn proven(link: f64) -> f64 {
    (link - BaselineLoss::PRIOR).max(0.0)
}

/// The expected number of lost frames in a batch of `frames` that has lost any, if batches are
/// lossy with probability `loss` and frames are lost independently.
pub(super) fn frames_lost(loss: f64, frames: usize) -> f64 {
    let frames = frames.max(1) as f64;
    let each = 1.0 - (1.0 - loss).powf(1.0 / frames);
    frames * each / loss
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_losses_are_believed_and_forgotten_again() {
        let mut loss = BaselineLoss::default();
        assert!((loss.of_link() - 1e-3).abs() < 1e-9);
        (0..8).for_each(|_| loss.add(0.0));
        loss.add(1.0);
        assert!((0.09..0.11).contains(&loss.of_link()));
        (0..1500).for_each(|_| loss.add(0.0));
        assert!(loss.of_link() < 2e-3);
    }

    #[test]
    fn what_is_forgotten_leaves_the_share_of_losses_as_it_was() {
        let mut loss = BaselineLoss::default();
        (0..1000).for_each(|n| loss.add(f64::from(n % 2)));
        assert!((0.49..0.51).contains(&loss.of_link()), "{loss:?}");
    }

    #[test]
    fn a_new_sled_inherits_what_its_link_loses() {
        assert!((BaselineLoss::default().of_sled(0.12) - 0.12).abs() < 1e-9);
    }

    #[test]
    fn lost_frames_follow_from_lost_batches() {
        // 1% of 128 frames: 72.4% of batches lose 1.77 frames each.
        assert!((frames_lost(0.7237, 128) - 1.768).abs() < 0.01);
        assert!((frames_lost(1e-3, 128) - 1.0).abs() < 0.01);
    }
}
