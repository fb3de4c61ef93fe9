//! Threads that inflate segments in any order, and hash the output in the stream's.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Condvar, Mutex, MutexGuard};

use boot_format::Checksum;
use crossbeam::channel::Sender;
use sha2::{Digest, Sha256};

use super::Part;
use super::segments::{Inflating, Segment};
use crate::adler::Adler;
use crate::deflate::Inflation;
use crate::holes;

/// The work, and the memory that it needs. No thread has a task of its own: with a thread that only
/// hashes and one for each core that inflates, a core would be idle now and then.
pub(super) struct Crew {
    /// How many threads there are.
    workers: usize,
    state: Mutex<State>,
    /// There may be work for a waiting thread.
    more: Condvar,
    /// There is room for a part.
    room: Condvar,
}

struct State {
    jobs: VecDeque<Job>,
    /// Parts to be hashed, in order.
    parts: VecDeque<Part>,
    /// `None` while a thread hashes.
    hash: Option<Sha256>,
    /// Memory of parts; the last one is reused first, since it is most likely in a cache.
    spent: Vec<Vec<u8>>,
    is_over: bool,
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

/// What a worker does next.
enum Task {
    Hash(Sha256, Part),
    /// Begin a segment, with memory for its output.
    Begin(Job, Vec<u8>),
    /// Continue with what has been begun.
    GoOn,
    Leave,
}

impl Crew {
    /// The most parts that wait to be hashed.
    const MOST_PARTS: usize = 5;

    /// A crew of `workers`, each of which has to call [`Crew::work`]. Without any, the thread that
    /// emits a part hashes it.
    pub(super) fn new(workers: usize) -> Self {
        let state = State {
            jobs: VecDeque::new(),
            parts: VecDeque::new(),
            hash: Some(Sha256::new()),
            spent: Vec::new(),
            is_over: false,
        };
        let state = Mutex::new(state);
        Self { workers, state, more: Condvar::new(), room: Condvar::new() }
    }

    pub(super) fn workers(&self) -> usize {
        self.workers
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no thread panics while holding it")
    }

    /// Has a segment inflated.
    pub(super) fn begin(&self, job: Job) {
        self.state().jobs.push_back(job);
        self.more.notify_one();
    }

    /// Drops all segments that no worker has begun.
    pub(super) fn give_up(&self) {
        self.state().jobs.clear();
    }

    /// Has the next part hashed, once there is room for it.
    pub(super) fn hash(&self, part: Part) {
        if self.workers == 0 {
            let hash = self.state().hash.take().expect("no other thread hashes");
            return self.hashed(hash, part);
        }
        let mut state = self.state();
        while state.parts.len() >= Self::MOST_PARTS {
            state = self.room.wait(state).expect("no thread panics while holding it");
        }
        state.parts.push_back(part);
        drop(state);
        self.more.notify_one();
    }

    /// Memory, with whatever is in it.
    pub(super) fn fresh(&self) -> Vec<u8> {
        self.state().spent.pop().unwrap_or_default()
    }

    /// No more work will come; waiting parts are still hashed.
    pub(super) fn end(&self) {
        self.state().is_over = true;
        self.more.notify_all();
    }

    /// The checksum of everything, once all workers have left.
    pub(super) fn checksum(&self) -> Checksum {
        let hash = self.state().hash.take().expect("no thread hashes now");
        Checksum::from_bytes(hash.finalize().into())
    }

    /// Hashes and inflates until there is no more to do; two segments at the same time if there are
    /// two. A segment may have up to `most` bytes of output.
    pub(super) fn work(&self, done: &Sender<InflatedSegment>, most: u64) {
        let mut spare: Vec<Box<Inflation>> = Vec::new();
        let mut under_way: Vec<(usize, Inflating)> = Vec::with_capacity(2);
        loop {
            match self.task(under_way.len()) {
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

    /// What to do next, for a worker that has begun `under_way` segments. Hashing comes first,
    /// since only one thread can do it at a time.
    fn task(&self, under_way: usize) -> Task {
        let mut state = self.state();
        loop {
            if let Some(hash) = state.hash.take() {
                if let Some(part) = state.parts.pop_front() {
                    self.room.notify_one();
                    return Task::Hash(hash, part);
                }
                state.hash = Some(hash);
            }
            if state.is_over {
                return Task::Leave;
            }
            if under_way < 2
                && let Some(job) = state.jobs.pop_front()
            {
                return Task::Begin(job, state.spent.pop().unwrap_or_default());
            }
            if under_way > 0 {
                return Task::GoOn;
            }
            state = self.more.wait(state).expect("no thread panics while holding it");
        }
    }

    fn hashed(&self, mut hash: Sha256, part: Part) {
        match &part {
            Part::Bytes(bytes) => hash.update(bytes),
            Part::Zeros(length) => holes::zeros(*length).for_each(|zeros| hash.update(zeros)),
        }
        let mut state = self.state();
        state.hash = Some(hash);
        if let Part::Bytes(bytes) = part {
            state.spent.push(bytes);
        }
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
