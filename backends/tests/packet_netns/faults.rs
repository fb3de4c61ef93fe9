//! What a link can do to those who use it.

use std::fs::{self, File};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use boot_backends::{LinkError, OpenOptions, Sent, TxPath, open};
use boot_format::{Header, Name};
use boot_image::Contents;
use boot_netboot::batch::Batch;

use crate::netns::{FAR, NEAR, SOON, inside, ip, run, sent_by, wait_for};
use crate::tap::Tap;
use crate::{Link, PATHS, SLED, far, image, push, send_all, tick, via};

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

/// Opens the near end; frames wait for so long while it is down.
fn patient(tx: TxPath, patience: Duration) -> Link {
    open(NEAR, OpenOptions { tx, patience, ..OpenOptions::default() }).unwrap()
}

#[test]
#[ignore = "needs root and network namespaces"]
fn frames_wait_for_a_link_that_is_down_and_go_out_in_order_when_it_is_up() {
    for (tx, end) in PATHS.into_iter().flat_map(|tx| [(tx, NEAR), (tx, FAR)]) {
        inside(1, || {
            /// How often a link that is down is looked at, and how many looks there are here.
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
            // AF_XDP gives up a frame that a driver has no room for, as one that stops has.
            assert!(dropped <= if tx == TxPath::Xdp { 3 } else { 0 }, "{tx}: {counters:?}");
            let sent = sent_by(NEAR) as usize;
            while arrived.len() < sent {
                let before = arrived.len();
                let mut sink = |frame: &[u8]| arrived.push(frame[26..34].to_vec());
                far.receive(SOON, false, &mut sink).unwrap();
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

#[test]
#[ignore = "needs root and network namespaces"]
fn a_full_queue_loses_nothing_and_is_not_asked_without_end() {
    // AF_XDP goes past the queueing discipline.
    for tx in [TxPath::Mmsg, TxPath::Uring] {
        inside(1, || {
            run("tc", &format!("qdisc add dev {NEAR} root tbf rate 100mbit burst 16kb limit 64kb"));
            let mut link = via(tx);
            let mut far = far();
            let image = image(1024);
            let mut batch = Batch::with_capacity(128);
            let mut arrived = Vec::new();
            let start = Instant::now();
            let mut taken = 0;
            // 5,000 frames take 0.42 s at least.
            for block in 0..5000 {
                push(&mut batch, &image, block % 1024);
                if batch.room() == 0 || block == 4999 {
                    send_all(&mut link, &mut batch, &mut taken);
                }
            }
            assert_waited(start, Duration::from_millis(380));
            let until = Instant::now() + SOON;
            while arrived.len() < 5000 {
                assert!(Instant::now() < until, "{tx}: {} frames arrived", arrived.len());
                let mut sink = |frame: &[u8]| arrived.push(frame[26..34].to_vec());
                far.receive(Duration::from_millis(100), false, &mut sink).unwrap();
            }
            assert_eq!((taken, sent_by(NEAR)), (5000, 5000), "{tx}");
            let counters = link.counters();
            // A wait is to make room for a handful of frames.
            assert!((11..5000 / 2).contains(&counters.full), "{tx}: {counters:?}");
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
            let until = Instant::now() + SOON;
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
                let until = Instant::now() + SOON;
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
            .unwrap_or_else(|error| crate::netns::missing("setpriv", &error));
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

/// Waits until a link has noticed that it is down.
fn until_down(link: &mut Link) {
    let until = Instant::now() + SOON;
    while !link.counters().is_down {
        assert!(Instant::now() < until, "nobody notices");
        link.receive(WAIT, false, &mut |_| {}).unwrap();
    }
}

/// Waits until a link knows that it is up again.
fn until_up(link: &mut Link) {
    let until = Instant::now() + SOON;
    while link.counters().is_down {
        assert!(Instant::now() < until, "the link stays down");
        link.receive(WAIT, false, &mut |_| {}).unwrap();
    }
}

/// Expects that some waits since `start` have taken `least` in all, as they were asked to: who does
/// not wait is busy. A few may have ended early, with news of the link.
fn assert_waited(start: Instant, least: Duration) {
    let time = start.elapsed();
    assert!(time >= least * 4 / 5, "{time:?} instead of {least:?}");
}
