//! Scheduling of several threads: parts are hashed in order, jobs are done in any.

use std::collections::VecDeque;

use super::sync::{Condvar, Mutex, MutexGuard};

/// What waits to be done, and the memory that it needs. No thread has a task of its own: with a
/// thread that only hashes and one for each core that inflates, a core would be idle now and then.
pub(super) struct Work<Job, Part, Hash> {
    /// The most parts that wait to be hashed.
    most_parts: usize,
    state: Mutex<State<Job, Part, Hash>>,
    /// There may be work for a waiting thread.
    more: Condvar,
    /// There is room for a part.
    room: Condvar,
}

struct State<Job, Part, Hash> {
    jobs: VecDeque<Job>,
    /// Parts to be hashed, in order.
    parts: VecDeque<Part>,
    /// `None` while a thread hashes.
    hash: Option<Hash>,
    /// Memory of parts; the last one is reused first, since it is most likely in a cache.
    spent: Vec<Vec<u8>>,
    is_over: bool,
}

/// What a thread does next.
pub(super) enum Task<Job, Part, Hash> {
    /// Take in a part, and give the hash back.
    Hash(Hash, Part),
    /// Begin a job, with memory for its output.
    Begin(Job, Vec<u8>),
    /// Continue with what has been begun.
    GoOn,
    Leave,
}

impl<Job, Part, Hash> Work<Job, Part, Hash> {
    /// No work yet, and the `hash` of nothing. At most `most_parts` parts wait.
    pub(super) fn new(most_parts: usize, hash: Hash) -> Self {
        let state = State {
            jobs: VecDeque::new(),
            parts: VecDeque::new(),
            hash: Some(hash),
            spent: Vec::new(),
            is_over: false,
        };
        Self { most_parts, state: Mutex::new(state), more: Condvar::new(), room: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<Job, Part, Hash>> {
        self.state.lock().expect("no thread panics while holding it")
    }

    /// Has a job done.
    pub(super) fn begin(&self, job: Job) {
        self.state().jobs.push_back(job);
        self.more.notify_one();
    }

    /// Drops all jobs that no thread has begun.
    pub(super) fn give_up(&self) {
        self.state().jobs.clear();
    }

    /// Has the next part hashed, once there is room for it.
    pub(super) fn hash(&self, part: Part) {
        let mut state = self.state();
        while state.parts.len() >= self.most_parts {
            state = self.room.wait(state).expect("no thread panics while holding it");
        }
        state.parts.push_back(part);
        drop(state);
        self.more.notify_one();
    }

    /// The hash, unless a thread has it.
    pub(super) fn take_hash(&self) -> Option<Hash> {
        self.state().hash.take()
    }

    /// Gives the hash back, and memory that is not used any more.
    pub(super) fn hashed(&self, hash: Hash, spent: Option<Vec<u8>>) {
        let mut state = self.state();
        state.hash = Some(hash);
        state.spent.extend(spent);
    }

    /// Memory, with whatever is in it.
    pub(super) fn fresh(&self) -> Vec<u8> {
        self.state().spent.pop().unwrap_or_default()
    }

    /// No more will come; what waits is still hashed.
    pub(super) fn end(&self) {
        self.state().is_over = true;
        self.more.notify_all();
    }

    /// What to do next, for a thread that has begun `under_way` jobs. Hashing comes first, since
    /// only one thread can do it at a time.
    pub(super) fn task(&self, under_way: usize) -> Task<Job, Part, Hash> {
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
}
