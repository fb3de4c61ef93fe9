//! Threads that inflate segments in any order, and hash the output in the stream's.

use std::panic::{AssertUnwindSafe, catch_unwind};

use boot_format::Checksum;
use crossbeam::channel::Sender;
use sha2::{Digest, Sha256};

use super::Part;
use super::segments::{Inflating, Segment};
use super::work::{Task, Work};
use crate::adler::Adler;
use crate::deflate::Inflation;
use crate::holes;

/// The threads, and what they share.
pub(super) struct Crew {
    /// How many threads there are.
    workers: usize,
    work: Work<Job, Part, Sha256>,
}

/// A segment that is to be inflated.
pub(super) struct Job {
    pub(super) index: usize,
    pub(super) segment: Segment,
}

/// A segment that a worker is done with.
pub(super) struct InflatedSegment {
    pub(super) index: usize,
    pub(super) segment: Segment,
    /// Its output and the sum of that, if it gave any.
    pub(super) output: Option<(Part, Adler)>,
}

impl Crew {
    /// The most parts that wait to be hashed.
    const MOST_PARTS: usize = 5;

    /// A crew of `workers`, each of which has to call [`Crew::work`]. Without any, the thread that
    /// emits a part hashes it.
    pub(super) fn new(workers: usize) -> Self {
        Self { workers, work: Work::new(Self::MOST_PARTS, Sha256::new()) }
    }

    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    /// Has a segment inflated.
    pub(super) fn begin(&self, job: Job) {
        self.work.begin(job);
    }

    /// Drops all segments that no worker has begun.
    pub(super) fn give_up(&self) {
        self.work.give_up();
    }

    /// Has the next part hashed, once there is room for it.
    pub(super) fn hash(&self, part: Part) {
        if self.workers > 0 {
            return self.work.hash(part);
        }
        let hash = self.work.take_hash().expect("no other thread hashes");
        self.hashed(hash, part);
    }

    /// Memory, with whatever is in it.
    pub(super) fn fresh(&self) -> Vec<u8> {
        self.work.fresh()
    }

    /// No more work will come; waiting parts are still hashed.
    pub(super) fn end(&self) {
        self.work.end();
    }

    /// The checksum of everything, once all workers have left.
    pub(super) fn checksum(&self) -> Checksum {
        let hash = self.work.take_hash().expect("no thread hashes now");
        Checksum::from_bytes(hash.finalize().into())
    }

    /// Hashes and inflates until there is no more to do; two segments at the same time if there are
    /// two. A segment may have up to `most` bytes of output.
    pub(super) fn work(&self, done: &Sender<InflatedSegment>, most: u64) {
        let mut spare: Vec<Box<Inflation>> = Vec::new();
        let mut under_way: Vec<(usize, Inflating)> = Vec::with_capacity(2);
        loop {
            match self.work.task(under_way.len()) {
                Task::Hash(hash, part) => self.hashed(hash, part),
                Task::Begin(Job { index, segment }, memory) => {
                    let inflation = spare.pop().unwrap_or_else(|| Box::new(Inflation::new()));
                    under_way.push((index, Inflating::new(segment, memory, most, inflation)));
                }
                Task::GoOn => go_on(&mut under_way, |(index, inflating), is_good| {
                    let (segment, bytes, inflation) = inflating.into_parts();
                    spare.push(inflation);
                    let output = is_good.then(|| summed(bytes));
                    let _ = done.send(InflatedSegment { index, segment, output });
                }),
                Task::Leave => return,
            }
        }
    }

    fn hashed(&self, mut hash: Sha256, part: Part) {
        match &part {
            Part::Bytes(bytes) => hash.update(bytes),
            Part::Zeros(length) => holes::zeros(*length).for_each(|zeros| hash.update(zeros)),
        }
        let spent = match part {
            Part::Bytes(bytes) => Some(bytes),
            Part::Zeros(_) => None,
        };
        self.work.hashed(hash, spent);
    }
}

/// Continues with what is `under_way`, and removes what is done.
fn go_on(
    under_way: &mut Vec<(usize, Inflating)>,
    mut at_end: impl FnMut((usize, Inflating), bool),
) {
    let verdicts = match &mut under_way[..] {
        [] => return,
        [(_, one)] => catch(|| [one.go_on(), None]),
        [(_, one), (_, other), ..] => catch(|| one.go_on_both(other)),
    };
    for (place, verdict) in verdicts.into_iter().enumerate().rev() {
        if let Some(is_good) = verdict
            && place < under_way.len()
        {
            at_end(under_way.remove(place), is_good);
        }
    }
}

/// A segment that makes it panic counts as invalid, and its stream is inflated sequentially.
fn catch(work: impl FnOnce() -> [Option<bool>; 2]) -> [Option<bool>; 2] {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or([Some(false); 2])
}

/// The output of a segment, and its sum.
pub(super) fn summed(bytes: Vec<u8>) -> (Part, Adler) {
    let adler = Adler::of(&bytes);
    (Part::Bytes(bytes), adler)
}
