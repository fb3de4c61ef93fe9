//! How fast to retransmit: at the pace at which the sled drops what it does not need.

use std::time::Duration;

/// The time between two retransmits to one sled.
///
/// What a dropped frame costs a sled can't be known, but its answers tell. A sled that goes on
/// `took` after the first of `sent` retransmits, and then takes `late` longer than usual for its
/// next answer, has spent that time on dropping them: (took + late) / sent for each, or just the
/// spacing if it kept up. That is the delivery rate of BBR (draft-cardwell-iccrg-bbr-congestion-
/// control, section 4.1), and the spacing follows it as BBR's pacing does: twice as fast with
/// each repair until the sled no longer keeps up, then at what it bears, probing now and then.
#[derive(Clone, Debug)]
pub(super) struct Spacing {
    gap: Duration,
    /// Whether the sled has kept up with every gap so far.
    starting: bool,
    /// The last ratios of what a retransmit took to the gap, since the gap changed.
    ratios: Vec<f64>,
    repair: Option<Repair>,
}

/// A repair whose cost is not known until the next batch is answered.
#[derive(Clone, Copy, Debug)]
struct Repair {
    took: Duration,
    sent: u32,
    gap: Duration,
    /// What is assumed of it if the next batch is repaired too.
    ratio: f64,
}

impl Spacing {
    /// More than a console line usually costs (150 us, and up to 210 us with what a scheduler
    /// adds, measured on a model of a sled over veth).
    const START: Duration = Duration::from_micros(250);
    /// A DATA frame on a wire of 1 Gbit/s.
    const LEAST: Duration = Duration::from_nanos(8656);
    /// Twice the slowest console in the measured table (0 to 1,000 us a line).
    const MOST: Duration = Duration::from_millis(2);
    /// Startup doubles the rate with each repair, as slow start does (RFC 5681, section 3.1).
    const DOUBLE: u32 = 2;
    /// BBR's gain for probing (ProbeBW_UP: 1.25).
    const PROBE: f64 = 1.25;
    /// Half of that gain is not noise.
    const KEEPS_UP: f64 = 1.125;
    /// Repairs by which a gap is judged, so that one late answer does not count: a median of
    /// three.
    const JUDGED_BY: usize = 3;

    /// The time to leave after each retransmit.
    pub(super) fn gap(&self) -> Duration {
        self.gap
    }

    /// Whether a gap is known with which the sled does not keep up.
    pub(super) fn is_known(&self) -> bool {
        !self.starting
    }

    /// The sled went on `took` after the first of `sent` retransmits, where so many had to be
    /// expected.
    pub(super) fn repaired(&mut self, took: Duration, sent: u32, expected: f64) {
        self.settle(None);
        // It has dropped no more than were sent.
        let least = took / sent.max(1);
        let gap = self.gap;
        let ratio = took.as_secs_f64() / (expected.max(1.0) * gap.as_secs_f64());
        self.repair = Some(Repair { took, sent, gap, ratio });
        if least > gap.mul_f64(Self::PROBE) {
            self.set(least);
            self.starting = false;
        }
    }

    /// The next batch was answered: `late` if it was not repaired, by so much later than usual.
    pub(super) fn settle(&mut self, late: Option<Duration>) {
        let Some(Repair { took, sent, gap, ratio }) = self.repair.take() else {
            return;
        };
        let measured = |late| (took + late).as_secs_f64() / (f64::from(sent) * gap.as_secs_f64());
        if gap == self.gap {
            self.judge(late.map_or(ratio, measured));
        }
    }

    fn judge(&mut self, ratio: f64) {
        self.ratios.push(ratio);
        if self.starting && ratio <= Self::KEEPS_UP {
            return self.set(self.gap / Self::DOUBLE);
        }
        if self.ratios.len() < Self::JUDGED_BY {
            return;
        }
        self.ratios.sort_by(f64::total_cmp);
        let median = self.ratios[Self::JUDGED_BY / 2];
        if median > Self::KEEPS_UP {
            self.starting = false;
            self.set(self.gap.mul_f64(median));
        } else if self.starting {
            self.set(self.gap / Self::DOUBLE);
        } else {
            self.set(self.gap.div_f64(Self::PROBE));
        }
    }

    fn set(&mut self, gap: Duration) {
        self.gap = gap.clamp(Self::LEAST, Self::MOST);
        self.ratios.clear();
    }
}

impl Default for Spacing {
    fn default() -> Self {
        Self { gap: Self::START, starting: true, ratios: Vec::new(), repair: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Repairs of a sled to which a frame costs this much; the lost frame is anywhere.
    fn repairs(spacing: &mut Spacing, cost: Duration, count: usize) {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..count {
            let (gap, wanted) = (spacing.gap(), random.u32(1..=128));
            let took = cost.max(gap) * wanted;
            let sent = ((took.as_secs_f64() / gap.as_secs_f64()) as u32).clamp(wanted, 128);
            spacing.repaired(took, sent, 64.0);
            let late = (sent * cost).saturating_sub(took);
            spacing.settle(Some(late));
        }
    }

    #[test]
    fn the_gap_becomes_what_a_frame_costs() {
        for us in [20, 50, 150, 300, 1000] {
            let mut spacing = Spacing::default();
            let cost = Duration::from_micros(us);
            repairs(&mut spacing, cost, 30);
            let gap = spacing.gap();
            assert!((cost.mul_f64(0.7)..cost.mul_f64(1.3)).contains(&gap), "{us}: {gap:?}");
        }
    }

    #[test]
    fn one_late_answer_does_not_count() {
        let mut spacing = Spacing::default();
        repairs(&mut spacing, Duration::from_micros(150), 30);
        let gap = spacing.gap();
        spacing.repaired(64 * gap, 64, 64.0);
        spacing.settle(Some(Duration::from_millis(20)));
        assert_eq!(spacing.gap(), gap);
    }
}
