//! The distribution of a sled's answer times.

use std::time::Duration;

/// The tail of a sled's answer times: from a batch's last frame to the next READ.
///
/// A histogram of observed answers, plus one more that is spread over a Pareto tail: longer answers
/// than any observed stay possible, the less so the more were observed.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    /// Answers per half octave.
    seen: [f32; Self::BUCKETS],
    count: f32,
}

impl Answers {
    /// Half octaves from a microsecond to a second, the sled's own timer.
    const BUCKETS: usize = 40;
    /// The median of measured answers (netboot protocol, "What a sled does": 44 us, 51 us on a busy
    /// machine). Until more is known, an answer takes longer than t with odds of this to t: the
    /// measured tails fall faster, with exponents of 1.2 and 1.9.
    pub(super) const TYPICAL: Duration = Duration::from_micros(50);
    /// Answers remembered at full weight: those of a boot of 64 MiB.
    const MEMORY: f32 = 512.0;

    /// Adds an answer with a weight of up to 1.
    pub(super) fn add(&mut self, time: Duration, weight: f64) {
        if self.count >= Self::MEMORY {
            self.seen.iter_mut().for_each(|seen| *seen /= 2.0);
            self.count /= 2.0;
        }
        self.seen[bucket(time)] += weight as f32;
        self.count += weight as f32;
    }

    /// The time after which at most this share of the answers is still to come.
    pub(super) fn tail(&self, share: f64) -> Duration {
        let typical = Self::TYPICAL.as_secs_f64();
        let wanted = share * f64::from(self.count + 1.0);
        let mut above = f64::from(self.count);
        for (index, &seen) in self.seen.iter().enumerate() {
            // Float sums: the remainder may differ slightly from zero.
            let spare = wanted - above.max(0.0);
            if spare > 0.0 {
                let time = Duration::from_secs_f64((typical / spare).min(Self::NEVER));
                if time < lower_edge(index + 1) {
                    return time.max(lower_edge(index));
                }
            }
            above -= f64::from(seen);
        }
        Duration::from_secs_f64((typical / wanted.max(1e-9)).min(Self::NEVER))
    }

    /// How likely it is, per second, that an answer takes between `least` and `most`.
    pub(super) fn density(&self, least: Duration, most: Duration, span: Duration) -> f64 {
        // Times are known to half an octave.
        let most = most.max(Self::TYPICAL);
        let least = least.min(most * 2 / 3);
        (self.later(least) - self.later(most)).max(0.0)
            / most.saturating_sub(least).max(span).as_secs_f64()
    }

    /// What share of the answers takes longer.
    pub(super) fn later(&self, time: Duration) -> f64 {
        let index = bucket(time);
        let [from, to] = [index, index + 1].map(|edge| lower_edge(edge).as_secs_f64());
        let part = ((to - time.as_secs_f64()) / (to - from)).clamp(0.0, 1.0);
        let later = self.seen[index + 1..].iter().sum::<f32>() + self.seen[index] * part as f32;
        let pareto = Self::TYPICAL.as_secs_f64() / time.max(Self::TYPICAL).as_secs_f64();
        (f64::from(later) + pareto) / f64::from(self.count + 1.0)
    }

    /// The same as far as answers that follow retransmits are concerned, of which none is a sample:
    /// those that were later than the retransmission timeout are missing from what was seen. The share
    /// of measured answers that took longer than t was at most 5 times 50 us / t on a busy machine,
    /// and half of 50 us / t on a quiet one.
    pub(super) fn beyond(&self, time: Duration) -> f64 {
        let pareto = (5 * Self::TYPICAL).div_duration_f64(time.max(5 * Self::TYPICAL));
        self.later(time).max(pareto)
    }

    /// Seconds: longer than any wait.
    const NEVER: f64 = 1e3;

    /// The median answer time.
    pub(super) fn median(&self) -> Duration {
        if self.count < 1.0 { Self::TYPICAL } else { self.tail(0.5) }
    }

    /// The least answer time; zero before the first answer.
    pub(super) fn least(&self) -> Duration {
        let first = self.seen.iter().position(|&seen| seen > 0.0);
        first.map_or(Duration::ZERO, lower_edge)
    }
}

impl Default for Answers {
    fn default() -> Self {
        Self { seen: [0.0; Self::BUCKETS], count: 0.0 }
    }
}

/// The half octave in which a time lies.
fn bucket(time: Duration) -> usize {
    let us = (time.as_micros() as u64).max(1);
    let octave = us.ilog2() as usize;
    let half = octave > 0 && us >> (octave - 1) & 1 == 1;
    (2 * octave + usize::from(half)).min(Answers::BUCKETS - 1)
}

/// Where a half octave begins.
fn lower_edge(bucket: usize) -> Duration {
    let octave = Duration::from_micros(1 << (bucket / 2));
    if bucket.is_multiple_of(2) { octave } else { octave * 3 / 2 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_time_lies_in_its_bucket() {
        for us in [0, 1, 2, 3, 5, 6, 7, 100, 999, 65_537, 900_000] {
            let time = Duration::from_micros(us);
            let index = bucket(time);
            assert!(lower_edge(index) <= time.max(Duration::from_micros(1)), "{us}");
            assert!(time < lower_edge(index + 1), "{us}");
        }
    }

    #[test]
    fn whatever_takes_longer_than_the_sleds_timer_lies_in_the_last_bucket() {
        let mut answers = Answers::default();
        for seconds in [1, 2, 1000] {
            assert_eq!(bucket(Duration::from_secs(seconds)), Answers::BUCKETS - 1);
            answers.add(Duration::from_secs(seconds), 1.0);
        }
        assert!(answers.later(Duration::from_secs(1)) > 0.0);
    }

    #[test]
    fn before_anything_is_known_an_answer_may_take_long() {
        let tail = Answers::default().tail(1e-3);
        assert!((49 * MS..51 * MS).contains(&tail), "{tail:?}");
    }

    #[test]
    fn an_answer_that_was_seen_stays_possible() {
        let mut answers = Answers::default();
        (0..200).for_each(|_| answers.add(MS / 20, 1.0));
        answers.add(20 * MS, 1.0);
        assert!(answers.tail(1e-3) > 20 * MS);
        assert!(answers.tail(0.1) < MS);
        assert!(answers.median() < MS / 10);
    }

    #[test]
    fn what_is_forgotten_leaves_the_shares_as_they_were_and_makes_room_for_what_is_new() {
        let mut answers = Answers::default();
        (0..2000).for_each(|n| answers.add(if n % 4 == 0 { 20 * MS } else { MS / 20 }, 1.0));
        let later = answers.later(MS);
        assert!((0.24..0.26).contains(&later), "{later}");
        (0..600).for_each(|_| answers.add(20 * MS, 1.0));
        assert!(answers.median() > 10 * MS);
    }

    #[test]
    fn the_median_is_the_typical_one_until_an_answer_was_seen() {
        let mut answers = Answers::default();
        assert_eq!(answers.median(), Answers::TYPICAL);
        answers.add(20 * MS, 1.0);
        assert!(answers.median() > 10 * MS);
    }

    #[test]
    fn more_answers_make_a_shorter_tail() {
        let mut answers = Answers::default();
        let tails: Vec<_> = (0..100)
            .map(|_| {
                answers.add(MS / 20, 1.0);
                answers.tail(0.01)
            })
            .collect();
        assert!(tails.is_sorted_by(|a, b| a >= b));
        assert!(tails[99] < MS / 5);
    }
}
