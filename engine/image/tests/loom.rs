//! Threads that share work, in every order in which they can come to run.

#[path = "../src/unpack/work.rs"]
#[allow(dead_code, reason = "a part of it is tried")]
mod work;

use loom::model::Builder;
// In the place of std's, for `work`.
use loom::sync;
use loom::thread;

use self::work::{Task, Work};

/// The hash is the list of all parts that it has taken in.
type Listing = Work<u8, u8, Vec<u8>>;

/// Does all that there is to do, and hands each job to `done` when it is.
fn help(work: &Listing, mut done: impl FnMut(u8)) {
    let mut under_way = Vec::new();
    loop {
        match work.task(under_way.len()) {
            Task::Hash(mut hash, part) => {
                hash.push(part);
                work.hashed(hash, None);
            }
            Task::Begin(job, _) => under_way.push(job),
            Task::GoOn => under_way.drain(..).for_each(&mut done),
            Task::Leave => return,
        }
    }
}

/// All orders with up to three switches between threads where none has to wait: more take minutes.
fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut model = Builder::new();
    model.preemption_bound = Some(3);
    model.check(run);
}

#[test]
fn every_part_is_hashed_in_its_order_and_nobody_waits_forever() {
    model(|| {
        let work = sync::Arc::new(Listing::new(1, Vec::new()));
        let helpers = [(); 2].map(|()| {
            let work = sync::Arc::clone(&work);
            thread::spawn(move || help(&work, |_| ()))
        });
        (0..3).for_each(|part| work.hash(part));
        work.end();
        for helper in helpers {
            helper.join().unwrap();
        }
        assert_eq!(work.take_hash(), Some(vec![0, 1, 2]));
    });
}

#[test]
fn every_job_is_done_once_whoever_is_woken() {
    model(|| {
        let work = sync::Arc::new(Listing::new(1, Vec::new()));
        let done = sync::Arc::new((sync::Mutex::new(Vec::new()), sync::Condvar::new()));
        let helpers = [(); 2].map(|()| {
            let (work, done) = (sync::Arc::clone(&work), sync::Arc::clone(&done));
            thread::spawn(move || {
                help(&work, |job| {
                    done.0.lock().unwrap().push(job);
                    done.1.notify_one();
                });
            })
        });
        work.begin(1);
        work.hash(0);
        work.begin(2);
        // Nothing but the work wakes a helper before that: a lost wake-up hangs here.
        let mut jobs = done.0.lock().unwrap();
        while jobs.len() < 2 {
            jobs = done.1.wait(jobs).unwrap();
        }
        jobs.sort_unstable();
        assert_eq!(*jobs, [1, 2]);
        drop(jobs);
        work.end();
        for helper in helpers {
            helper.join().unwrap();
        }
        assert_eq!(work.take_hash(), Some(vec![0]));
    });
}
