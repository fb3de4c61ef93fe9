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

/// Does all that there is to do, and returns which jobs that were.
fn help(work: &Listing) -> Vec<u8> {
    let (mut under_way, mut done) = (Vec::new(), Vec::new());
    loop {
        match work.task(under_way.len()) {
            Task::Hash(mut hash, part) => {
                hash.push(part);
                work.hashed(hash, None);
            }
            Task::Begin(job, _) => under_way.push(job),
            Task::GoOn => done.append(&mut under_way),
            Task::Leave => return done,
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
fn every_part_is_hashed_in_its_order_and_nobody_waits_for_ever() {
    model(|| {
        let work = sync::Arc::new(Listing::new(1, Vec::new()));
        let helpers = [(); 2].map(|()| {
            let work = sync::Arc::clone(&work);
            thread::spawn(move || help(&work))
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
        let helpers = [(); 2].map(|()| {
            let work = sync::Arc::clone(&work);
            thread::spawn(move || help(&work))
        });
        work.begin(1);
        work.hash(0);
        work.begin(2);
        work.end();
        let mut done = helpers.map(|helper| helper.join().unwrap()).concat();
        done.sort_unstable();
        // What nobody had begun at the end is left undone.
        assert!([&[][..], &[1], &[2], &[1, 2]].contains(&&done[..]), "{done:?}");
        assert_eq!(work.take_hash(), Some(vec![0]));
    });
}
