//! Links that go down, and come up again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use boot_backends::{OpenOptions, Sent, TxPath, open};
use boot_netboot::batch::Batch;

use crate::faults::assert_waited;
use crate::netns::{FAR, NEAR, SOON, inside, ip, sent_by, wait_for};
use crate::{Link, PATHS, far, image, push, send_all, tick, via};

#[test]
#[ignore = "needs root and network namespaces"]
fn a_link_that_goes_down_drops_frames_and_comes_back_by_itself() {
    // With the far end down, ours has no carrier.
    for (tx, end) in PATHS.into_iter().flat_map(|tx| [(tx, NEAR), (tx, FAR)]) {
        inside(1, || {
            let mut link = via(tx);
            let image = image(1);
            let mut batch = Batch::with_capacity(128);
            let mut taken = 0;
            let fill = |batch: &mut Batch, link: &mut Link, taken: &mut usize| {
                (0..128).for_each(|_| push(batch, &image, 0));
                send_all(link, batch, taken);
            };
            fill(&mut batch, &mut link, &mut taken);
            assert_eq!(taken, 128, "{tx}, {end}");
            ip(&format!("link set {end} down"));
            until_down(&mut link);
            let start = Instant::now();
            for _ in 0..20 {
                fill(&mut batch, &mut link, &mut taken);
                link.receive(WAIT, false, &mut |_| {}).unwrap();
            }
            assert_waited(start, 20 * WAIT);
            ip(&format!("link set {end} up"));
            until_up(&mut link);
            let mut up = 0;
            let until = Instant::now() + SOON;
            while up < 5 * 128 {
                assert!(Instant::now() < until, "{tx}, {end}: the link stays down");
                fill(&mut batch, &mut link, &mut up);
                link.receive(Duration::from_millis(10), false, &mut |_| {}).unwrap();
            }
            let counters = link.counters();
            assert_eq!(counters.taken, sent_by(NEAR), "{tx}, {end}");
            assert_eq!(counters.taken, (taken + up) as u64, "{tx}, {end}");
            assert_eq!(counters.downs, 1, "{tx}, {end}");
            assert_eq!((taken, counters.dropped), (128, 20 * 128), "{tx}, {end}: {counters:?}");
        });
    }
}

/// How long a link is asked to wait for frames, of which none come.
const WAIT: Duration = Duration::from_millis(10);

/// Opens the near end; frames wait for `patience` while it is down.
fn patient(tx: TxPath, patience: Duration) -> Link {
    open(NEAR, OpenOptions { tx, patience, ..OpenOptions::default() }).unwrap()
}

#[test]
#[ignore = "needs root and network namespaces"]
fn frames_wait_for_a_link_that_is_down_and_go_out_in_order_when_it_is_up() {
    for (tx, end) in PATHS.into_iter().flat_map(|tx| [(tx, NEAR), (tx, FAR)]) {
        inside(1, || {
            /// How often a link that is down is polled, and how many times here.
            const PAUSE: Duration = Duration::from_millis(5);
            const LOOKS: u32 = 40;
            let mut link = patient(tx, SOON);
            let image = image(128);
            let mut batch = Batch::with_capacity(128);
            let mut taken = 0;
            let start = Instant::now();
            ip(&format!("link set {end} down"));
            (0..128).for_each(|block| push(&mut batch, &image, block));
            until_down(&mut link);
            assert_eq!(link.send(&mut batch).unwrap(), Sent::default(), "{tx}, {end}");
            tick(&mut link);
            let found = Instant::now();
            for _ in 0..LOOKS {
                assert_eq!(batch.len(), 128, "{tx}, {end}");
                link.receive(SOON, true, &mut |_| {}).unwrap();
                tick(&mut link);
                assert_eq!(link.send(&mut batch).unwrap(), Sent::default(), "{tx}, {end}");
            }
            assert_waited(found, LOOKS * PAUSE);
            let least = found.elapsed();
            ip(&format!("link set {end} up"));
            send_all(&mut link, &mut batch, &mut taken);
            tick(&mut link);
            let time = start.elapsed();
            assert_eq!((taken, sent_by(NEAR)), (128, 128), "{tx}, {end}");
            let counters = link.counters();
            assert_eq!((counters.held, counters.dropped), (128, 0), "{tx}, {end}");
            assert_eq!(counters.downs, 1, "{tx}, {end}");
            let down = counters.down_time;
            assert!((least..=time).contains(&down), "{tx}, {end}: {down:?}");
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_batch_that_a_link_goes_down_under_is_sent_to_its_end() {
    for tx in PATHS {
        inside(1, || {
            let mut link = patient(tx, SOON);
            let mut far = far();
            let image = image(1024);
            let mut batch = Batch::with_capacity(128);
            let (mut taken, mut arrived) = (0, Vec::new());
            let mut sink = |frame: &[u8]| arrived.push(frame[26..34].to_vec());
            // How many batches have been sent, and how often the link was found down.
            let (batches, downs) = (AtomicU64::new(0), AtomicU64::new(0));
            let wait_for = |count: &AtomicU64, least: u64| {
                let until = Instant::now() + SOON;
                while count.load(Ordering::Relaxed) < least && Instant::now() < until {
                    thread::sleep(Duration::from_micros(100));
                }
            };
            thread::scope(|scope| {
                let toggle = scope.spawn(|| {
                    for down in 1..=3 {
                        wait_for(&batches, batches.load(Ordering::Relaxed) + 20);
                        ip(&format!("link set {NEAR} down"));
                        wait_for(&downs, down);
                        ip(&format!("link set {NEAR} up"));
                    }
                });
                while !toggle.is_finished() {
                    (0..128).for_each(|block| push(&mut batch, &image, block));
                    let until = Instant::now() + SOON;
                    while !batch.is_empty() {
                        taken += link.send(&mut batch).unwrap().taken;
                        downs.store(link.counters().downs, Ordering::Relaxed);
                        assert!(Instant::now() < until, "{tx}: there is never any room");
                        if !batch.is_empty() {
                            link.receive(WAIT, true, &mut |_| {}).unwrap();
                        }
                    }
                    batches.fetch_add(1, Ordering::Relaxed);
                    far.receive(Duration::ZERO, false, &mut sink).unwrap();
                    far.receive(Duration::ZERO, false, &mut sink).unwrap();
                }
            });
            assert_eq!(link.counters().downs, 3, "{tx}");
            let counters = link.counters();
            let dropped = counters.dropped as usize;
            assert_eq!((taken + dropped) % 128, 0, "{tx}: {counters:?}");
            // AF_XDP loses a frame that a driver has no space for, as while it stops.
            assert!(dropped <= if tx == TxPath::Xdp { 3 } else { 0 }, "{tx}: {counters:?}");
            let sent = sent_by(NEAR) as usize;
            while arrived.len() < sent {
                let before = arrived.len();
                let mut sink = |frame: &[u8]| arrived.push(frame[26..34].to_vec());
                far.receive(SOON, false, &mut sink).unwrap();
                assert!(arrived.len() > before, "{tx}: {before} of {sent} frames arrived");
            }
            // The driver throws away frames that it takes at the moment it is stopped.
            assert!(taken - sent < 3 * 128, "{tx}: {sent} of {taken}");
            let number = |frame: &Vec<u8>| u64::from_be_bytes(frame[..].try_into().unwrap()) / 1024;
            let follows = |pair: &&[Vec<u8>]| (number(&pair[0]) + 1) % 128 == number(&pair[1]);
            let gaps = arrived.windows(2).filter(|pair| !follows(pair)).count();
            assert!(gaps <= 3 + dropped, "{tx}: {gaps} gaps");
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn frames_wait_no_longer_than_they_may() {
    for tx in PATHS {
        inside(1, || {
            let mut link = patient(tx, Duration::from_millis(100));
            let image = image(1);
            let mut batch = Batch::with_capacity(128);
            ip(&format!("link set {NEAR} down"));
            let start = Instant::now();
            // Until the next time that the link is up, nothing waits again.
            for _ in 0..3 {
                (0..64).for_each(|_| push(&mut batch, &image, 0));
                send_all(&mut link, &mut batch, &mut 0);
            }
            assert_waited(start, Duration::from_millis(100));
            let counters = link.counters();
            assert_eq!((counters.held, counters.dropped), (64, 3 * 64), "{tx}");
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_link_that_is_down_at_the_start_is_used_once_it_is_up() {
    for tx in PATHS {
        inside(1, || {
            ip(&format!("link set {NEAR} down"));
            let mut link = via(tx);
            let image = image(1);
            let mut batch = Batch::with_capacity(128);
            push(&mut batch, &image, 0);
            assert_eq!(link.send(&mut batch).unwrap(), Sent { taken: 0, dropped: 1 }, "{tx}");
            let start = Instant::now();
            for _ in 0..10 {
                link.receive(WAIT, false, &mut |_| {}).unwrap();
            }
            assert_waited(start, 10 * WAIT);
            ip(&format!("link set {NEAR} up"));
            wait_for(NEAR);
            (0..128).for_each(|_| push(&mut batch, &image, 0));
            send_all(&mut link, &mut batch, &mut 0);
            assert_eq!((link.counters().taken, sent_by(NEAR)), (128, 128), "{tx}");
        });
    }
}

/// Waits until a link has noticed that it is down.
fn until_down(link: &mut Link) {
    let until = Instant::now() + SOON;
    while !link.counters().is_down {
        assert!(Instant::now() < until, "nobody notices");
        link.receive(WAIT, false, &mut |_| {}).unwrap();
    }
}

/// Waits until a link has noticed that it is up again.
fn until_up(link: &mut Link) {
    let until = Instant::now() + SOON;
    while link.counters().is_down {
        assert!(Instant::now() < until, "the link stays down");
        link.receive(WAIT, false, &mut |_| {}).unwrap();
    }
}
