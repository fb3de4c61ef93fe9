//! The time that a sled takes from a batch's last frame to its next READ.

use std::fmt;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use fastrand::Rng;

/// A distribution of answer times.
///
/// The measured ones are 1,500 answers each of the real sled code over veth, nothing lost and
/// nothing sent twice: `answer_times/quiet.txt` on an idle machine, `answer_times/busy.txt` beside
/// another program that takes the cores for a second at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AnswerTimes {
    /// Always the same time.
    Constant(Duration),
    /// As on a quiet machine: median 44 us, 99th percentile 440 us, longest 4.2 ms.
    #[default]
    Quiet,
    /// As on a busy machine: median 51 us, 99th percentile 4.6 ms, longest 20 ms.
    Busy,
    /// Twice as long as on a busy machine.
    TwiceBusy,
}

static QUIET: LazyLock<Vec<Duration>> =
    LazyLock::new(|| parse(include_str!("answer_times/quiet.txt")));
static BUSY: LazyLock<Vec<Duration>> =
    LazyLock::new(|| parse(include_str!("answer_times/busy.txt")));

fn parse(text: &str) -> Vec<Duration> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| Duration::from_micros(line.trim().parse().expect("a time in us"))).collect()
}

impl AnswerTimes {
    /// Draws one.
    pub(crate) fn draw(self, random: &mut Rng) -> Duration {
        match self {
            Self::Constant(time) => time,
            Self::Quiet => random.choice(QUIET.iter()).copied().unwrap_or_default(),
            Self::Busy => random.choice(BUSY.iter()).copied().unwrap_or_default(),
            Self::TwiceBusy => 2 * Self::Busy.draw(random),
        }
    }
}

impl FromStr for AnswerTimes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "quiet" => Ok(Self::Quiet),
            "busy" => Ok(Self::Busy),
            "twice-busy" => Ok(Self::TwiceBusy),
            number => {
                number.parse().map(|us| Self::Constant(Duration::from_micros(us))).map_err(|_| {
                    format!(
                        "{text:?}: expected quiet, busy, twice-busy, or a number of microseconds"
                    )
                })
            }
        }
    }
}

impl fmt::Display for AnswerTimes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(time) => write!(f, "{}", time.as_micros()),
            Self::Quiet => f.write_str("quiet"),
            Self::Busy => f.write_str("busy"),
            Self::TwiceBusy => f.write_str("twice-busy"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_measured_times_have_the_percentiles_that_are_documented() {
        for (times, median, percentile, longest) in
            [(&*QUIET, 44, 440, 4_238), (&*BUSY, 51, 4_595, 19_880)]
        {
            let us = |index: usize| times[index].as_micros();
            assert!(times.is_sorted());
            assert_eq!(us(times.len() / 2), median);
            assert_eq!(us(times.len() * 99 / 100), percentile);
            assert_eq!(us(times.len() - 1), longest);
        }
    }

    #[test]
    fn a_distribution_is_read_as_it_is_written() {
        for text in ["quiet", "busy", "twice-busy", "70"] {
            assert_eq!(text.parse::<AnswerTimes>().unwrap().to_string(), text);
        }
        assert!("fast".parse::<AnswerTimes>().unwrap_err().contains("\"fast\""));
    }
}
