//! What is measured: each subject by itself, all of them by turns.

mod images;
mod links;
mod racks;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use boot_benches::cores::process_time;
use serde::{Deserialize, Serialize};

use self::images::Images;
use self::links::Links;
use self::racks::Racks;

/// The figures of one round, by their names. Less is better:
///
/// - `... frame`: CPU time per frame, in nanoseconds;
/// - `..., CPU`: CPU time of all threads, or of a boot's server, in seconds;
/// - `... bytes`: of a payload;
/// - `..., virtual`: seconds of virtual time, exact;
/// - anything else: seconds.
pub(crate) type Round = BTreeMap<String, f64>;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Extent {
    /// Small inputs, in less than a minute.
    Quick,
    /// What the tables need.
    Full,
}

impl Extent {
    /// Rounds, if nobody says how many.
    pub(crate) fn rounds(self) -> usize {
        match self {
            Self::Quick => 5,
            Self::Full => 9,
        }
    }
}

/// Everything that is measured, and what that takes.
#[derive(Debug)]
pub(crate) struct Subjects {
    images: Images,
    racks: Racks,
    links: Option<Links>,
    /// What can't be measured here, and why.
    pub(crate) left_out: Vec<String>,
}

impl Subjects {
    /// Makes all inputs.
    pub(crate) fn new(extent: Extent) -> anyhow::Result<Self> {
        let mut left_out = Vec::new();
        let links = Links::new(extent);
        let links = links.map_err(|reason| left_out.push(format!("links: {reason}"))).ok();
        let images = Images::new(extent, &mut left_out)?;
        Ok(Self { images, racks: Racks::new(extent), links, left_out })
    }

    /// Measures each subject once. Every other round goes backwards, so that none always comes
    /// behind the same other one.
    pub(crate) fn round(&self, number: usize) -> Round {
        let mut round = Round::new();
        let links = |round: &mut Round| self.links.iter().for_each(|links| links.measure(round));
        let images = |round: &mut Round| self.images.measure(round);
        let racks = |round: &mut Round| self.racks.measure(round);
        let mut all: [&dyn Fn(&mut Round); 3] = [&links, &images, &racks];
        if number % 2 == 1 {
            all.reverse();
        }
        for measure in all {
            measure(&mut round);
        }
        round
    }
}

/// Adds the time that `work` takes, and the CPU time, to what `name` has taken in this round.
fn timed<T>(round: &mut Round, name: &str, work: impl FnOnce() -> T) {
    let (start, cpu) = (Instant::now(), process_time());
    work();
    add(round, name, start.elapsed());
    add(round, &format!("{name}, CPU"), process_time().saturating_sub(cpu));
}

fn add(round: &mut Round, name: &str, time: Duration) {
    *round.entry(name.to_owned()).or_default() += time.as_secs_f64();
}
