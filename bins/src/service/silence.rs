//! For how long no sled has been heard from, as `-t` counts it.

use std::time::Duration;

use boot_netboot::time::Instant;

use super::atomic::{AtomicU64, Ordering};

/// What all workers know together of when a sled was last heard from.
#[derive(Debug)]
pub(crate) struct Silence {
    /// When any worker last heard from a sled: nanoseconds of the clock, as all here.
    heard: AtomicU64,
    /// Until when there was no image to offer.
    waited: AtomicU64,
    /// When each worker was last seen to have no frame left to read.
    drained: Vec<AtomicU64>,
}

/// The state of the silence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasts {
    /// A sled was heard from lately, or none could be.
    Short,
    /// Too long, as it seems: but this worker may have frames to read.
    MayBeOver,
    /// Too long for all that this worker can read; others have not looked.
    Here,
    /// Too long, and no frame waits.
    Over,
}

impl Silence {
    pub(crate) fn new(workers: usize) -> Self {
        let drained = (0..workers).map(|_| AtomicU64::new(0)).collect();
        Self { heard: AtomicU64::new(0), waited: AtomicU64::new(0), drained }
    }

    /// A sled was heard from at `at`.
    pub(crate) fn heard(&self, at: Instant) {
        self.heard.fetch_max(at.as_nanos(), Ordering::AcqRel);
    }

    /// At `now` no image could be offered yet: sleds have no reason to speak.
    pub(crate) fn wait(&self, now: Instant) {
        self.waited.fetch_max(now.as_nanos(), Ordering::AcqRel);
    }

    /// After `at`, `worker` found no frame to read.
    pub(crate) fn drained(&self, worker: usize, at: Instant) {
        self.drained[worker].store(at.as_nanos(), Ordering::Release);
    }

    /// `worker` has no link any more, and so no frame to read.
    pub(crate) fn retire(&self, worker: usize) {
        self.drained[worker].store(u64::MAX, Ordering::Release);
    }

    /// Whether at `now` it has lasted for `limit`, as far as `worker` can know.
    pub(crate) fn lasts(&self, now: Instant, limit: Duration, worker: usize) -> Lasts {
        let load = |time: &AtomicU64| Instant::from_nanos(time.load(Ordering::Acquire));
        // Before the others: a worker that has no frame left has said before what it heard.
        let here = load(&self.drained[worker]);
        let all = self.drained.iter().map(load).min().unwrap_or(here);
        let over = load(&self.heard).max(load(&self.waited)) + limit;
        if now < over {
            Lasts::Short
        } else if here < over {
            Lasts::MayBeOver
        } else if all < over {
            Lasts::Here
        } else {
            Lasts::Over
        }
    }
}
