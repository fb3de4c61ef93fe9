//! Time limits for sleds that boot in step.

use std::time::Duration;

use boot_format::wire::BATCH;
use boot_image::Contents;
use fastrand::Rng;

use super::{Faults, Scenario};
use crate::server::Together;
use crate::sled::AnswerTimes;

/// A scenario, and how long it may take.
#[derive(Clone, Debug)]
pub struct Bound {
    /// Its name in reports.
    pub name: &'static str,
    /// The scenario.
    pub scenario: Scenario,
    /// The reference for its time.
    pub against: Against,
    /// The most that it may take, in times of the reference.
    pub most: f64,
}

/// A reference time.
#[derive(Clone, Copy, Debug)]
pub enum Against {
    /// The same sleds, served one by one.
    OneByOne,
    /// One of them alone, plus the READs of all the others, one after another, for each batch.
    AloneAndReads,
    /// Each batch's time on the wire, plus this much for the slowest answer to it.
    Barrier(Duration),
    /// The same sleds in step, none of them dead, plus this much.
    NoneDead(Duration),
}

impl Against {
    /// A batch at 1 Gbit/s: 128 frames of 1,058 bytes.
    const WIRE: Duration = Duration::from_micros(1080);
    /// A READ at 1 Gbit/s: a frame of 1,058 bytes, 24 more around it.
    const READ: Duration = Duration::from_nanos(8656);

    /// The time.
    pub fn time(self, scenario: &Scenario) -> Duration {
        let apart = Scenario { together: None, ..scenario.clone() };
        match self {
            Self::OneByOne => apart.run().time,
            Self::AloneAndReads => {
                let others = u32::from(scenario.sleds - 1);
                let reads = Self::READ * others * batches(scenario);
                Scenario { sleds: 1, ..apart }.run().time + reads
            }
            Self::Barrier(slowest) => (Self::WIRE + slowest) * batches(scenario),
            Self::NoneDead(longer) => Scenario { dead: 0, ..scenario.clone() }.run().time + longer,
        }
    }
}

fn batches(scenario: &Scenario) -> u32 {
    scenario.image.size().div_ceil(BATCH) as u32
}

/// The mean time at which the last READ has arrived: each leaves at its sled's answer time, and the
/// server's port takes them one after another.
fn last_read(sleds: u16, answers: AnswerTimes) -> Duration {
    const BATCHES: u32 = 2000;
    let mut random = Rng::with_seed(0);
    let mut last = || {
        let mut sent: Vec<_> = (0..sleds).map(|_| answers.draw(&mut random)).collect();
        sent.sort_unstable();
        sent.into_iter().fold(Duration::ZERO, |free, sent| free.max(sent) + Against::READ)
    };
    (0..BATCHES).map(|_| last()).sum::<Duration>() / BATCHES
}

/// Limits for sleds that boot `image` in step, with runs from `seed`.
///
/// The slowest of 32 and of 128 answers take 0.81 and 1.93 ms on average, and of 32 on a busy
/// machine 4.9 ms: `answer_times/quiet.txt` and `busy.txt`. Two rows count the READs too, which
/// share the server's port: those of 32 sleds that answer at the same moment take 0.28 ms, those of
/// 128 sleds 1.1 ms, whatever a server does.
pub fn bounds(image: &Contents, seed: u64) -> Vec<Bound> {
    const GIGABIT: u64 = 1_000_000_000;
    let rack = |sleds: u16, rate: u64| {
        let together = Some(Together { expect: Some(sleds.into()), ..Together::default() });
        Scenario { seed, together, ..Scenario::new(sleds, image.clone(), rate) }
    };
    let lossy =
        |rate, percent: f64| Scenario { faults: Faults::loss(percent / 100.0), ..rack(32, rate) };
    let answering = |answers| Scenario { answers, ..rack(32, GIGABIT) };
    let constant = AnswerTimes::Constant(Duration::from_micros(44));
    let barrier = |micros| Against::Barrier(Duration::from_micros(micros));
    let bound = |name, scenario, against, most| Bound { name, scenario, against, most };
    let patience = Against::NoneDead(Duration::from_millis(250));
    vec![
        bound(
            "32 sleds, constant answers, to one and READs",
            answering(constant),
            Against::AloneAndReads,
            1.1,
        ),
        bound("32 sleds, quiet, to the barrier", rack(32, GIGABIT), barrier(810), 1.1),
        bound("32 sleds, busy, to the barrier", answering(AnswerTimes::Busy), barrier(4900), 1.1),
        bound(
            "128 sleds, quiet, to the barrier and READs",
            rack(128, GIGABIT),
            Against::Barrier(last_read(128, AnswerTimes::Quiet)),
            1.1,
        ),
        bound("32 sleds, 0.01% lost, to one by one", lossy(GIGABIT, 0.01), Against::OneByOne, 0.35),
        bound("32 sleds, 0.1% lost, to one by one", lossy(GIGABIT, 0.1), Against::OneByOne, 0.6),
        bound("32 sleds, 1% lost, to one by one", lossy(GIGABIT, 1.0), Against::OneByOne, 1.1),
        bound(
            "32 sleds, 0.1% lost, 10 Gbit/s, to one by one",
            lossy(10 * GIGABIT, 0.1),
            Against::OneByOne,
            1.1,
        ),
        bound(
            "32 sleds, 1 dead, to 250 ms more",
            Scenario { dead: 1, ..rack(32, GIGABIT) },
            patience,
            1.0,
        ),
    ]
}
