//! The packet backend on real links, in namespaces that the tests make.

#![cfg(target_os = "linux")]

mod netns;
mod sandbox;

use std::collections::BTreeMap;
use std::thread;
use std::time::{Duration, Instant};

use boot_backends::{Datalink, LinkError, OpenOptions, TxPath, open, open_workers};
use boot_engine::batch::Batch;
use boot_engine::image::Contents;
use boot_engine::wire::{FrameType, Head, MacAddr};
use nix::time::{ClockId, clock_gettime};

use self::netns::{FAR, NEAR, inside, ip, run, sent_by};

type Link = Box<dyn Datalink + Send>;

const PATHS: [TxPath; 3] = [TxPath::Mmsg, TxPath::Uring, TxPath::Xdp];
const SOURCE: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 2]);
const BLOCK: usize = 1024;

#[test]
#[ignore = "needs root and network namespaces"]
fn every_path_sends_whole_frames_in_order_and_counts_as_the_link_does() {
    for tx in PATHS {
        inside(1, || {
            let mut link = via(tx);
            let mut far = far();
            let image = image(256);
            let mut batch = Batch::with_capacity(128);
            let mut taken = 0;
            for round in 0..20 {
                for block in 0..100 {
                    push(&mut batch, &image, (round * 100 + block) % 256);
                }
                let hello = Head::new(SLED, SOURCE, FrameType::Hello, 3);
                batch.push_body(hello, b"abc");
                send_all(&mut link, &mut batch, &mut taken);
                let frames = frames_at(&mut far, 101);
                for (block, frame) in frames[..100].iter().enumerate() {
                    let start = (round * 100 + block) % 256 * BLOCK;
                    assert_eq!(frame[26..34], (start as u64).to_be_bytes(), "{tx}");
                    assert!(frame[34..] == image.bytes()[start..start + BLOCK], "{tx}: {start}");
                }
                assert_eq!(frames[100][26..], *b"abc");
            }
            assert_eq!((taken, sent_by(NEAR)), (2020, 2020), "{tx}");
            let counters = link.counters();
            assert_eq!((counters.taken, counters.dropped), (2020, 0), "{tx}");
            assert_eq!(far.counters().received, 2020);
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_frame_longer_than_the_mtu_is_dropped_and_the_others_go_out() {
    for tx in PATHS {
        inside(1, || {
            let mut link = via(tx);
            let mut far = far();
            let mut batch = Batch::with_capacity(8);
            for length in [100, 1489, 1488, 4000, 200] {
                let head = Head::new(SLED, SOURCE, FrameType::Hello, length);
                batch.push_body(head, &vec![7; length]);
            }
            let sent = link.send(&mut batch).unwrap();
            assert!(batch.is_empty());
            assert_eq!((sent.taken, sent.dropped), (3, 2), "{tx}");
            let lengths: Vec<_> = frames_at(&mut far, 3).iter().map(Vec::len).collect();
            let mut sorted = lengths.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [126, 226, 1514], "{tx}: {lengths:?}");
        });
    }
}

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
            let before = cpu();
            for _ in 0..20 {
                fill(&mut batch, &mut link, &mut taken);
                link.receive(Duration::from_millis(10), false, &mut |_| {}).unwrap();
            }
            let spent = cpu().saturating_sub(before);
            assert!(spent < Duration::from_millis(60), "{tx}, {end}: {spent:?} of 200 ms");
            ip(&format!("link set {end} up"));
            let mut up = 0;
            let until = Instant::now() + Duration::from_secs(10);
            while up < 5 * 128 {
                assert!(Instant::now() < until, "{tx}, {end}: the link stays down");
                fill(&mut batch, &mut link, &mut up);
                link.receive(Duration::from_millis(10), false, &mut |_| {}).unwrap();
            }
            let counters = link.counters();
            assert_eq!(counters.taken, sent_by(NEAR), "{tx}, {end}");
            assert_eq!(counters.taken, (taken + up) as u64, "{tx}, {end}");
            assert_eq!(counters.downs, 1, "{tx}, {end}");
            assert!(counters.dropped >= 15 * 128, "{tx}, {end}: {counters:?}");
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_full_queue_loses_nothing_and_costs_next_to_nothing() {
    // AF_XDP goes past the queueing discipline.
    for tx in [TxPath::Mmsg, TxPath::Uring] {
        inside(1, || {
            run("tc", &format!("qdisc add dev {NEAR} root tbf rate 100mbit burst 16kb limit 64kb"));
            let mut link = via(tx);
            let mut far = far();
            let image = image(1024);
            let mut batch = Batch::with_capacity(128);
            let mut arrived = Vec::new();
            let (start, before) = (Instant::now(), cpu());
            let mut taken = 0;
            // 5,000 frames take 0.42 s.
            for block in 0..5000 {
                push(&mut batch, &image, block % 1024);
                if batch.room() == 0 || block == 4999 {
                    send_all(&mut link, &mut batch, &mut taken);
                }
            }
            let (time, spent) = (start.elapsed(), cpu().saturating_sub(before));
            let until = Instant::now() + Duration::from_secs(10);
            while arrived.len() < 5000 {
                assert!(Instant::now() < until, "{tx}: {} frames arrived", arrived.len());
                let mut sink = |frame: &[u8]| arrived.push(frame[26..34].to_vec());
                far.receive(Duration::from_millis(100), false, &mut sink).unwrap();
            }
            assert_eq!((taken, sent_by(NEAR)), (5000, 5000), "{tx}");
            let counters = link.counters();
            assert!(counters.full > 10, "{tx}: {counters:?}");
            assert!(time > Duration::from_millis(380), "{tx}: {time:?}");
            assert!(time < Duration::from_millis(650), "{tx}: the queue ran dry: {time:?}");
            assert!(spent < time / 5, "{tx}: {spent:?} of {time:?}");
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_link_that_is_removed_is_gone() {
    for tx in PATHS {
        for sending in [true, false] {
            inside(1, || {
                let mut link = via(tx);
                ip(&format!("link del {NEAR}"));
                let until = Instant::now() + Duration::from_secs(5);
                let image = image(1);
                let error = loop {
                    assert!(Instant::now() < until, "{tx}: nobody noticed");
                    let result = if sending {
                        let mut batch = Batch::with_capacity(1);
                        push(&mut batch, &image, 0);
                        link.send(&mut batch).map(|_| ())
                    } else {
                        link.receive(Duration::from_millis(100), false, &mut |_| {})
                    };
                    if let Err(error) = result {
                        break error;
                    }
                };
                assert!(matches!(error, LinkError::Gone { .. }), "{tx}: {error}");
            });
        }
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn links_that_will_not_do_are_refused_with_the_reason() {
    inside(1, || {
        let refusal = |name| open(name, OpenOptions::default()).err().unwrap().to_string();
        let text = refusal("nowhere");
        assert!(text.contains("no such link; there are: far, lo, near"), "{text}");
        let text = refusal("a-name-that-no-link-can-have");
        assert!(text.contains("no such link"), "{text}");
        let text = refusal("lo");
        assert!(text.contains("not an Ethernet link (hardware type 772"), "{text}");
        ip(&format!("link set {NEAR} mtu 1043"));
        let text = refusal(NEAR);
        assert!(text.contains("its MTU is 1043; boot frames need at least 1044"), "{text}");
        ip(&format!("link set {NEAR} mtu 1044"));
        assert!(open(NEAR, OpenOptions::default()).is_ok());
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn without_the_capability_the_error_names_it() {
    inside(1, || {
        let me = std::env::current_exe().unwrap();
        let child = std::process::Command::new("setpriv")
            .args(["--bounding-set=-net_raw", "--inh-caps=-net_raw", "--"])
            .arg(me)
            .args(["--ignored", "--exact", "opens_without_the_capability", "--nocapture"])
            .env("EXPECT_NO_CAPABILITY", "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
        assert!(said.contains("1 passed"), "{said}");
    });
}

/// The other half of the test above, in a process that has lost the capability.
#[test]
#[ignore = "needs root and network namespaces"]
fn opens_without_the_capability() {
    let refused = inside_or_here(|| open(NEAR, OpenOptions::default()).err());
    if std::env::var_os("EXPECT_NO_CAPABILITY").is_some() {
        let error = refused.unwrap();
        assert!(matches!(error, LinkError::NotPermitted { .. }), "{error}");
        assert!(error.to_string().contains("setcap cap_net_raw+ep"), "{error}");
    } else {
        assert!(refused.is_none());
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn workers_share_the_sleds_and_each_sled_meets_the_same_worker() {
    inside(1, || {
        const SLEDS: u8 = 64;
        let options = OpenOptions { tx: TxPath::Mmsg, ..OpenOptions::default() };
        let mut workers = open_workers(NEAR, options, 4).unwrap();
        let server = workers[0].address();
        let mut far = far();
        let mut worker_of = BTreeMap::new();
        for round in 0..3 {
            for step in [1, 4] {
                let mut batch = Batch::with_capacity(128);
                for sled in 0..SLEDS {
                    let source = MacAddr::new([0xa8, 0x40, 0x25, step, 0, sled * step]);
                    let to = if round == 0 { MacAddr::BROADCAST } else { server };
                    batch.push_body(Head::new(to, source, FrameType::Hello, 0), &[]);
                }
                send_all(&mut far, &mut batch, &mut 0);
                let mut frames = 0;
                let mut most = 0;
                for (index, worker) in workers.iter_mut().enumerate() {
                    let mut own = 0;
                    let mut sink = |frame: &[u8]| {
                        own += 1;
                        let source: [u8; 6] = frame[6..12].try_into().unwrap();
                        assert_eq!(*worker_of.entry(source).or_insert(index), index);
                    };
                    worker.receive(Duration::ZERO, false, &mut sink).unwrap();
                    frames += own;
                    most = most.max(own);
                }
                assert_eq!(frames, SLEDS, "each frame reaches one worker");
                assert!(most <= SLEDS / 2, "a worker has {most} of {SLEDS} sleds");
            }
        }
        // What a worker sends comes back to none.
        let mut batch = Batch::with_capacity(1);
        let head = Head::new(MacAddr::BROADCAST, server, FrameType::Hello, 0);
        batch.push_body(head, &[]);
        send_all(&mut workers[1], &mut batch, &mut 0);
        assert_eq!(frames_at(&mut far, 1).len(), 1);
        for worker in &mut workers {
            worker.receive(Duration::ZERO, false, &mut |_| panic!("an own frame")).unwrap();
        }
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_path_that_can_not_be_had_gives_way_to_the_next_and_says_so() {
    inside(1, || {
        let first = via(TxPath::Xdp);
        assert_eq!(first.path(), Some("AF_XDP in copy mode, queue 0"));
        for tx in [TxPath::Xdp, TxPath::Auto] {
            let mut second = open(NEAR, OpenOptions { tx, ..OpenOptions::default() }).unwrap();
            let said = second.path().unwrap().to_owned();
            assert!(said.starts_with("AF_PACKET"), "{said}");
            assert!(said.contains("AF_XDP, queue 0: another program has it"), "{said}");
            let mut batch = Batch::with_capacity(1);
            push(&mut batch, &image(1), 0);
            send_all(&mut second, &mut batch, &mut 0);
        }
        assert_eq!(sent_by(NEAR), 2);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn in_a_sandbox_frames_still_go_out_and_the_link_says_what_was_denied() {
    inside(1, || {
        sandbox::deny_io_uring_and_af_xdp();
        for (tx, denied) in [
            (TxPath::Uring, "io_uring: not permitted here: Operation not permitted"),
            (TxPath::Xdp, "AF_XDP, queue 0: not permitted here: Operation not permitted"),
            (TxPath::Auto, "AF_XDP, queue 0: not permitted here: Operation not permitted"),
        ] {
            let mut link = open(NEAR, OpenOptions { tx, ..OpenOptions::default() }).unwrap();
            let said = link.path().unwrap().to_owned();
            assert!(said.starts_with("AF_PACKET with sendmmsg ("), "{said}");
            assert!(said.contains(denied), "{said}");
            let mut batch = Batch::with_capacity(1);
            push(&mut batch, &image(1), 0);
            send_all(&mut link, &mut batch, &mut 0);
        }
        assert_eq!(sent_by(NEAR), 3);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_shaped_link_is_not_gone_past_unasked() {
    inside(1, || {
        let auto = || {
            let link = open(NEAR, OpenOptions::default()).unwrap();
            link.path().unwrap().to_owned()
        };
        assert_eq!(auto(), "AF_XDP in copy mode, queue 0");
        run("tc", &format!("qdisc add dev {NEAR} root tbf rate 1gbit burst 64kb limit 64kb"));
        let said = auto();
        assert!(said.starts_with("AF_PACKET with sendmmsg (AF_XDP would go past"), "{said}");
        assert!(said.ends_with("discipline, tbf)"), "{said}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn each_worker_sends_on_a_queue_of_its_own_while_there_are_queues() {
    inside(2, || {
        let mut workers = open_workers(NEAR, OpenOptions::default(), 3).unwrap();
        let image = image(1);
        let mut batch = Batch::with_capacity(128);
        for (queue, worker) in workers.iter_mut().enumerate() {
            let path = worker.path().unwrap().to_owned();
            if queue < 2 {
                assert_eq!(path, format!("AF_XDP in copy mode, queue {queue}"));
            } else {
                assert!(path.starts_with("AF_PACKET with sendmmsg (AF_XDP, queue 2: "), "{path}");
            }
            (0..128).for_each(|_| push(&mut batch, &image, 0));
            send_all(worker, &mut batch, &mut 0);
        }
        assert_eq!(sent_by(NEAR), 3 * 128);
        assert_eq!(workers.iter_mut().map(|worker| worker.counters().taken).sum::<u64>(), 3 * 128);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_link_can_move_to_another_thread() {
    for tx in PATHS {
        inside(1, || {
            let mut link = via(tx);
            let image = image(1);
            for _ in 0..3 {
                thread::scope(|scope| {
                    scope.spawn(|| {
                        let mut batch = Batch::with_capacity(1);
                        push(&mut batch, &image, 0);
                        send_all(&mut link, &mut batch, &mut 0);
                    });
                });
            }
            assert_eq!(sent_by(NEAR), 3, "{tx}");
        });
    }
}

/// Opens the near end, and sees to it that this path was to be had.
fn via(tx: TxPath) -> Link {
    let link = open(NEAR, OpenOptions { tx, ..OpenOptions::default() }).unwrap();
    let path = link.path().unwrap().to_owned();
    let word = match tx {
        TxPath::Uring => "io_uring, ",
        TxPath::Xdp => "AF_XDP in copy mode",
        TxPath::Mmsg | TxPath::Auto => "sendmmsg",
    };
    assert!(path.contains(word), "{tx}: {path}");
    link
}

fn far() -> Link {
    open(FAR, OpenOptions { all_addresses: true, tx: TxPath::Mmsg }).unwrap()
}

/// Runs `body` in a new namespace, or in the one that a parent has made for this process.
fn inside_or_here<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    if std::env::var_os("EXPECT_NO_CAPABILITY").is_some() { body() } else { inside(1, body) }
}

fn image(blocks: usize) -> Contents {
    let fill = |bytes: &mut [u8]| {
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = (index / 3 + index / BLOCK) as u8;
        }
    };
    Contents::build(blocks * BLOCK, (blocks * BLOCK) as u64, "", "rpool", fill).unwrap()
}

fn push(batch: &mut Batch, image: &Contents, block: usize) {
    let start = block * BLOCK;
    let head = Head::data(SLED, SOURCE, start as u64, BLOCK);
    batch.push_contents(head, image, start, BLOCK);
}

/// Sends a batch as the loop does, and counts the frames taken.
fn send_all(link: &mut Link, batch: &mut Batch, taken: &mut usize) {
    let until = Instant::now() + Duration::from_secs(20);
    loop {
        *taken += link.send(batch).unwrap().taken;
        if batch.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "there is never any room");
        link.receive(Duration::from_secs(1), true, &mut |_| {}).unwrap();
    }
}

/// The next `count` frames that arrive; it is an error if they don't.
fn frames_at(link: &mut Link, count: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let until = Instant::now() + Duration::from_secs(5);
    while frames.len() < count {
        assert!(Instant::now() < until, "{} of {count} frames arrived", frames.len());
        let mut sink = |frame: &[u8]| frames.push(frame.to_vec());
        link.receive(Duration::from_millis(100), false, &mut sink).unwrap();
    }
    assert_eq!(frames.len(), count);
    frames
}

/// CPU time that this thread has spent.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}
