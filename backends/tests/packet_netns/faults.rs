//! What a link can do to those who use it.

use std::fs::{self, File};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use boot_backends::{LinkError, OpenOptions, Sent, TxPath, open};
use boot_format::{Header, Name};
use boot_image::Contents;
use boot_netboot::batch::Batch;
use nix::time::{ClockId, clock_gettime};

use crate::netns::{FAR, NEAR, inside, ip, run, sent_by, wait_for};
use crate::tap::Tap;
use crate::{Link, PATHS, SLED, far, image, push, send_all, via};

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

/// Opens the near end; frames wait for so long while it is down.
fn patient(tx: TxPath, patience: Duration) -> Link {
    open(NEAR, OpenOptions { tx, patience, ..OpenOptions::default() }).unwrap()
}

#[test]
#[ignore = "needs root and network namespaces"]
fn frames_wait_for_a_link_that_is_down_and_go_out_in_order_when_it_is_up() {
    for (tx, end) in PATHS.into_iter().flat_map(|tx| [(tx, NEAR), (tx, FAR)]) {
        inside(1, || {
            let mut link = patient(tx, Duration::from_secs(20));
            let image = image(128);
            let mut batch = Batch::with_capacity(128);
            let mut taken = 0;
            ip(&format!("link set {end} down"));
            (0..128).for_each(|block| push(&mut batch, &image, block));
            let (start, before) = (Instant::now(), cpu());
            assert_eq!(link.send(&mut batch).unwrap(), Sent::default(), "{tx}, {end}");
            assert_eq!(batch.len(), 128, "{tx}, {end}");
            thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(Duration::from_millis(300));
                    ip(&format!("link set {end} up"));
                });
                send_all(&mut link, &mut batch, &mut taken);
            });
            let (time, spent) = (start.elapsed(), cpu().saturating_sub(before));
            assert!(spent < time / 20, "{tx}, {end}: {spent:?} of {time:?}");
            assert_eq!((taken, sent_by(NEAR)), (128, 128), "{tx}, {end}");
            let counters = link.counters();
            assert_eq!((counters.held, counters.dropped), (128, 0), "{tx}, {end}");
            assert_eq!(counters.downs, 1, "{tx}, {end}");
            let down = counters.down_time;
            assert!(down > Duration::from_millis(250) && down <= time, "{tx}, {end}: {down:?}");
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_batch_that_a_link_goes_down_under_is_sent_to_its_end() {
    for tx in PATHS {
        inside(1, || {
            let mut link = patient(tx, Duration::from_secs(20));
            let mut far = far();
            let image = image(1024);
            let mut batch = Batch::with_capacity(128);
            let (mut taken, mut arrived) = (0, Vec::new());
            let mut sink = |frame: &[u8]| arrived.push(frame[26..34].to_vec());
            thread::scope(|scope| {
                let toggle = scope.spawn(|| {
                    for _ in 0..3 {
                        thread::sleep(Duration::from_millis(20));
                        ip(&format!("link set {NEAR} down"));
                        thread::sleep(Duration::from_millis(20));
                        ip(&format!("link set {NEAR} up"));
                    }
                });
                while !toggle.is_finished() || link.counters().downs < 3 {
                    (0..128).for_each(|block| push(&mut batch, &image, block));
                    send_all(&mut link, &mut batch, &mut taken);
                    far.receive(Duration::ZERO, false, &mut sink).unwrap();
                    far.receive(Duration::ZERO, false, &mut sink).unwrap();
                }
            });
            let counters = link.counters();
            let dropped = counters.dropped as usize;
            assert_eq!((taken + dropped) % 128, 0, "{tx}: {counters:?}");
            // AF_XDP gives up a frame that a driver has no room for, as one that stops has.
            assert!(dropped <= if tx == TxPath::Xdp { 3 } else { 0 }, "{tx}: {counters:?}");
            let sent = sent_by(NEAR) as usize;
            while arrived.len() < sent {
                let before = arrived.len();
                let mut sink = |frame: &[u8]| arrived.push(frame[26..34].to_vec());
                far.receive(Duration::from_millis(200), false, &mut sink).unwrap();
                assert!(arrived.len() > before, "{tx}: {before} of {sent} frames arrived");
            }
            // What the driver takes in the moment in which it is stopped, it throws away.
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
            let time = start.elapsed();
            assert!((100..150).contains(&time.as_millis()), "{tx}: {time:?}");
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
            let before = cpu();
            assert_eq!(link.send(&mut batch).unwrap(), Sent { taken: 0, dropped: 1 }, "{tx}");
            for _ in 0..10 {
                link.receive(Duration::from_millis(10), false, &mut |_| {}).unwrap();
            }
            let spent = cpu().saturating_sub(before);
            assert!(spent < Duration::from_millis(30), "{tx}: {spent:?} of 100 ms");
            ip(&format!("link set {NEAR} up"));
            wait_for(NEAR);
            (0..128).for_each(|_| push(&mut batch, &image, 0));
            send_all(&mut link, &mut batch, &mut 0);
            assert_eq!((link.counters().taken, sent_by(NEAR)), (128, 128), "{tx}");
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
fn a_driver_that_is_full_is_waited_for_and_what_it_throws_away_is_not_counted_as_sent() {
    const FRAMES: usize = 2000;
    for tx in PATHS {
        inside(1, || {
            let mut tap = Tap::new("tap0");
            ip("link set tap0 addrgenmode none");
            ip("link set tap0 txqueuelen 50 up");
            // Behind a queueing discipline nobody hears of what the driver throws away.
            run("tc", "qdisc replace dev tap0 root noqueue");
            wait_for("tap0");
            let mut link = open("tap0", OpenOptions { tx, ..OpenOptions::default() }).unwrap();
            let image = image(1);
            let mut batch = Batch::with_capacity(128);
            let (mut sent, mut arrived) = (Sent::default(), 0);
            let until = Instant::now() + Duration::from_secs(10);
            for frame in 0..FRAMES {
                push(&mut batch, &image, 0);
                while batch.room() == 0 || frame + 1 == FRAMES {
                    sent += link.send(&mut batch).unwrap();
                    if batch.is_empty() {
                        break;
                    }
                    assert!(Instant::now() < until, "{tx}: {sent:?}");
                    link.receive(Duration::from_millis(1), true, &mut |_| {}).unwrap();
                    arrived += tap.take(20);
                }
            }
            while Instant::now() < until && sent.taken + sent.dropped < FRAMES {
                link.receive(Duration::from_millis(1), false, &mut |_| {}).unwrap();
                arrived += tap.take(20);
                sent += link.send(&mut batch).unwrap();
            }
            arrived += tap.take(FRAMES);
            assert_eq!(sent.taken + sent.dropped, FRAMES, "{tx}");
            assert_eq!((sent.taken, sent_by("tap0")), (arrived, arrived as u64), "{tx}");
            // AF_PACKET gives a frame back that found no room, AF_XDP gives up the first such.
            assert!(tx == TxPath::Xdp || sent.dropped == 0, "{tx}: {sent:?}");
            assert!(sent.dropped < FRAMES / 4, "{tx}: {sent:?}");
            assert!(link.counters().full > 10, "{tx}: {:?}", link.counters());
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_mapped_image_that_is_cut_short_loses_its_frames_and_nothing_else() {
    for tx in [TxPath::Auto, TxPath::Mmsg, TxPath::Uring, TxPath::Xdp] {
        inside(1, || {
            let mut link =
                open(NEAR, OpenOptions { tx, mapped: true, ..Default::default() }).unwrap();
            let path = link.path().unwrap().to_owned();
            assert!(path.starts_with("AF_PACKET"), "{tx}: {path}");
            let asked_for_more = matches!(tx, TxPath::Auto | TxPath::Xdp);
            assert_eq!(path.contains("it would make this process read"), asked_for_more, "{path}");
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("an.img");
            write_image(&file);
            let image = Contents::map(&file).unwrap();
            let mut batch = Batch::with_capacity(128);
            let mut taken = 0;
            (0..100).for_each(|block| push(&mut batch, &image, block));
            send_all(&mut link, &mut batch, &mut taken);
            // Of the contents 64 KiB are left.
            File::options().write(true).open(&file).unwrap().set_len(4096 + (64 << 10)).unwrap();
            (0..128).for_each(|block| push(&mut batch, &image, block));
            send_all(&mut link, &mut batch, &mut taken);
            assert_eq!(batch.take_unreadable(), [SLED], "{tx}");
            assert_eq!(batch.take_unreadable(), []);
            assert_eq!((taken, sent_by(NEAR)), (164, 164), "{tx}");
            let counters = link.counters();
            assert_eq!((counters.dropped, counters.unreadable), (64, 64), "{tx}");
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
        assert!(text.contains("no such link; the links are: far, lo, near"), "{text}");
        let text = refusal("a-name-that-no-link-can-have");
        assert!(text.contains("no such link"), "{text}");
        let text = refusal("lo");
        assert!(text.contains("not an Ethernet link (hardware type 772"), "{text}");
        ip(&format!("link set {NEAR} mtu 1043"));
        let text = refusal(NEAR);
        assert!(text.contains("the MTU is 1043, but boot frames need at least 1044"), "{text}");
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
            .args(["--ignored", "--exact", "faults::opens_without_the_capability", "--nocapture"])
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

/// Runs `body` in a new namespace, or in the one that a parent has made for this process.
fn inside_or_here<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    if std::env::var_os("EXPECT_NO_CAPABILITY").is_some() { body() } else { inside(1, body) }
}

/// Writes an image of 1 MiB.
fn write_image(path: &Path) {
    let contents = image(1024);
    let size = contents.bytes().len() as u64;
    let header = Header {
        compressed: false,
        data_size: size,
        image_size: size,
        target_size: size,
        checksum: contents.checksum(),
        dataset: Name::new("rpool").unwrap(),
        image_name: Name::new("").unwrap(),
    };
    fs::write(path, [&header.emit()[..], contents.bytes()].concat()).unwrap();
}

/// CPU time that this thread has spent.
fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).unwrap().into()
}
