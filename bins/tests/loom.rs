//! What workers, the keeper of images and each other's links tell by atomic numbers, in every order
//! that the memory model allows.

#[path = "../src/service/silence.rs"]
#[allow(dead_code, reason = "a part of it is tried")]
mod silence;
#[path = "../src/service/store/tickets.rs"]
#[allow(dead_code, reason = "a part of it is tried")]
mod tickets;

use std::time::Duration;

use boot_netboot::time::Instant;
// In the place of std's, for the two.
use loom::sync::Arc;
use loom::sync::atomic;
use loom::thread;

use self::silence::{Lasts, Silence};
use self::tickets::Tickets;

#[test]
fn whoever_asks_for_a_look_is_seen_or_wakes_the_keeper() {
    loom::model(|| {
        let tickets = Arc::new(Tickets::default());
        assert!(tickets.ask().1);
        let workers = [(); 2].map(|()| {
            let tickets = Arc::clone(&tickets);
            thread::spawn(move || tickets.ask())
        });
        // Woken by the first.
        let taken = tickets.take();
        let asked = workers.map(|worker| worker.join().unwrap());
        let woken = asked.iter().any(|(_, wakes)| *wakes);
        for (ticket, _) in asked {
            assert!(ticket <= taken || woken, "{ticket} is never looked for");
        }
    });
}

#[test]
fn nobody_is_woken_twice_for_one_look() {
    loom::model(|| {
        let tickets = Arc::new(Tickets::default());
        let other = Arc::clone(&tickets);
        let worker = thread::spawn(move || other.ask().1);
        let woken = [tickets.ask().1, worker.join().unwrap()];
        assert_eq!(woken.iter().filter(|woken| **woken).count(), 1);
        assert_eq!(tickets.take(), 2);
        tickets.finish(1);
        assert_eq!([1, 2].map(|ticket| tickets.is_done(ticket)), [true, false]);
    });
}

#[test]
fn a_sled_that_another_worker_heard_is_not_overlooked() {
    const LIMIT: Duration = Duration::from_secs(10);
    let at = |seconds| Instant::ZERO + Duration::from_secs(seconds);
    loom::model(move || {
        let silence = Arc::new(Silence::new(2));
        let other = Arc::clone(&silence);
        let worker = thread::spawn(move || {
            // A frame at 6 s was the last that it had to read at 12 s.
            other.heard(at(6));
            other.drained(0, at(12));
        });
        silence.drained(1, at(12));
        let lasts = silence.lasts(at(12), LIMIT, 1);
        assert_ne!(lasts, Lasts::Over, "a sled was heard 6 s ago");
        worker.join().unwrap();
        assert_eq!(silence.lasts(at(12), LIMIT, 1), Lasts::Short);
    });
}
