//! How often an answer takes longer than it already has.

use std::time::Duration;

/// The tail of a sled's answer times: from a batch's last frame to the next READ.
///
/// A histogram of what was seen, and one answer more that is spread over a Pareto tail: so what
/// was never seen stays possible, the less the more was seen.
#[derive(Clone, Debug)]
pub(super) struct Answers {
    /// How many fell into each half octave.
    seen: [f32; Self::BUCKETS],
    count: f32,
}

impl Answers {
    /// Half octaves from a microsecond to a second, the sled's own timer.
    const BUCKETS: usize = 40;
    /// The median of measured answers (netboot protocol, "What a sled does": 44 us, 51 us on a
    /// busy machine). An answer takes longer than t with odds of this to t until more is known:
    /// the measured tails fall faster, with exponents of 1.2 and 1.9.
    pub(super) const TYPICAL: Duration = Duration::from_micros(50);
    /// Answers that are remembered in full: those of a boot of 64 MiB.
    const MEMORY: f32 = 512.0;

    /// Takes in an answer that took this long, as so much of one.
    pub(super) fn add(&mut self, time: Duration, weight: f64) {
        if self.count >= Self::MEMORY {
            self.seen.iter_mut().for_each(|seen| *seen /= 2.0);
            self.count /= 2.0;
        }
        self.seen[bucket(time)] += weight as f32;
        self.count += weight as f32;
    }

    /// After how long no more than this share of the answers is still to come.
    pub(super) fn tail(&self, share: f64) -> Duration {
        let typical = Self::TYPICAL.as_secs_f64();
        let wanted = share * f64::from(self.count + 1.0);
        let mut above = f64::from(self.count);
        for (index, &seen) in self.seen.iter().enumerate() {
            // Sums of floats: what is left over may be a little more or less than nothing.
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

    /// Seconds: longer than any wait.
    const NEVER: f64 = 1e3;

    /// What half of the answers take at most.
    pub(super) fn median(&self) -> Duration {
        if self.count < 1.0 { Self::TYPICAL } else { self.tail(0.5) }
    }

    /// What every answer takes at least; nothing while none has come.
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
