//! Whether more batches lose frames than chance explains.

use super::cohort::Outcome;

/// A CUSUM test (Page, Biometrika 41, 1954) of the batches since the rate changed: do as many lose
/// frames as if a queue overflowed, or only as many as chance spoils?
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Overload {
    /// The logarithm of the likelihood ratio, since it was last below zero.
    evidence: f64,
    /// What trials of lower rates left to chance.
    batches: f64,
    lossy: f64,
}

impl Overload {
    /// The share of batches that lose frames if a queue overflows. A choice, as are those below, by boots
    /// behind slow ports (`tests/sim_ports.rs`): to wait for 14 lossy batches of 16 cost them 1% to 7% of
    /// the port, for 28 of 32 up to 18%.
    const OVERFLOW: f64 = 7.0 / 8.0;
    /// The share that chance spoils, as far as is known at first, and how many batches that counts for.
    /// With [`Self::ENOUGH`], seven of eight lossy batches are too many.
    const CHANCE: f64 = 1.0 / 8.0;
    const ASSUMED: f64 = 8.0;
    /// The most that is believed of it: with [`Self::OVERFLOW`] nothing would ever be too much.
    const MOST: f64 = 0.75;
    /// How many batches more must be lossy than whole, while chance spoils one in eight: the odds of
    /// that are 7^-6.
    const ENOUGH: f64 = 6.0;
    /// Batches of trials remembered at full weight: eight trials. No other value was tried.
    const MEMORY: f64 = 64.0;

    /// Batches were answered.
    pub(super) fn add(&mut self, Outcome { batches, lossy }: Outcome) {
        let chance = self.chance();
        let [spoilt, whole] =
            [Self::OVERFLOW / chance, (1.0 - Self::OVERFLOW) / (1.0 - chance)].map(f64::ln);
        let told = f64::from(lossy) * spoilt + f64::from(batches - lossy) * whole;
        self.evidence = (self.evidence + told).max(0.0);
    }

    /// The rate changed.
    pub(super) fn reset(&mut self) {
        self.evidence = 0.0;
    }

    /// A trial of a lower rate showed what chance spoils.
    pub(super) fn add_chance(&mut self, Outcome { batches, lossy }: Outcome) {
        if self.batches >= Self::MEMORY {
            (self.batches, self.lossy) = (self.batches / 2.0, self.lossy / 2.0);
        }
        self.batches += f64::from(batches);
        self.lossy += f64::from(lossy);
    }

    /// Whether a queue overflows.
    pub(super) fn is_likely(&self) -> bool {
        // Sums of logarithms: they may differ from six of them by rounding.
        self.evidence >= Self::ENOUGH * (Self::OVERFLOW / Self::CHANCE).ln() - 1e-9
    }

    fn chance(&self) -> f64 {
        let share = (self.lossy + Self::CHANCE * Self::ASSUMED) / (self.batches + Self::ASSUMED);
        share.clamp(Self::CHANCE, Self::MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(lossy: bool) -> Outcome {
        Outcome { batches: 1, lossy: u32::from(lossy) }
    }

    /// How many lossy batches in a row are too many.
    fn row(mut overload: Overload) -> u32 {
        overload.reset();
        (1..1000)
            .find(|_| {
                overload.add(one(true));
                overload.is_likely()
            })
            .unwrap()
    }

    #[test]
    fn seven_lossy_batches_of_eight_are_too_many_at_first() {
        let mut overload = Overload::default();
        for lossy in [true, true, true, false, true, true, true] {
            overload.add(one(lossy));
            assert!(!overload.is_likely());
        }
        overload.add(one(true));
        assert!(overload.is_likely());
        overload.reset();
        assert!(!overload.is_likely());
    }

    #[test]
    fn what_chance_spoils_must_be_exceeded() {
        let rows = [0, 2, 4, 8].map(|lossy| {
            let mut overload = Overload::default();
            (0..6).for_each(|_| overload.add_chance(Outcome { batches: 8, lossy }));
            row(overload)
        });
        assert_eq!(rows, [6, 9, 18, 76]);
    }

    #[test]
    fn chance_hardly_ever_spoils_too_many_of_which_it_spoils_a_third() {
        let mut random = fastrand::Rng::with_seed(1);
        let mut overload = Overload::default();
        overload.add_chance(Outcome { batches: 40, lossy: 13 });
        let alarms = (0..100_000).filter(|_| {
            overload.add(one(random.u32(..3) == 0));
            let alarm = overload.is_likely();
            if alarm {
                overload.reset();
            }
            alarm
        });
        assert!(alarms.count() <= 3);
    }

    #[test]
    fn a_cohort_counts_as_much_as_its_batches() {
        let [mut each, mut all] = [Overload::default(); 2];
        (0..5).for_each(|_| each.add(one(true)));
        all.add(Outcome { batches: 5, lossy: 5 });
        assert!((each.evidence - all.evidence).abs() < 1e-9);
    }
}
