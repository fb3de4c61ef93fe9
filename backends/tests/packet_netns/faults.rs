//! Faults of links other than going down.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use boot_backends::{LinkError, OpenOptions, Sent, TxPath, open};
use boot_format::{Header, Name};
use boot_image::Contents;
use boot_netboot::batch::Batch;

use crate::netns::{NEAR, SOON, inside, ip, run, sent_by, wait_for};
use crate::tap::Tap;
use crate::{PATHS, SLED, far, image, push, send_all, via};

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
            // Each wait should make room for a few frames.
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
            // Behind a queueing discipline, nothing reports what the driver throws away.
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
            // AF_PACKET hands back a frame that found no space; AF_XDP loses the first such frame.
            assert!(tx == TxPath::Xdp || sent.dropped == 0, "{tx}: {sent:?}");
            assert!(sent.dropped < FRAMES / 4, "{tx}: {sent:?}");
            assert!(link.counters().full > 10, "{tx}: {:?}", link.counters());
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_mapped_image_that_is_cut_short_loses_its_frames_and_nothing_else() {
    for tx in PATHS {
        inside(1, || {
            let mut link = via(tx);
            assert!(link.sends_mapped());
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("an.img");
            write_image(&file);
            let image = Contents::map(&file).unwrap();
            let mut batch = Batch::with_capacity(128);
            let mut taken = 0;
            // Frames from memory may be between those from the file.
            let held = Contents::load(&file).unwrap();
            (0..40).for_each(|block| push(&mut batch, &held, block));
            (0..60).for_each(|block| push(&mut batch, &image, block));
            send_all(&mut link, &mut batch, &mut taken);
            // 64 KiB of the contents are left.
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
    let size = contents.size() as u64;
    let header = Header {
        compressed: false,
        data_size: size,
        image_size: size,
        target_size: size,
        checksum: contents.checksum(),
        dataset: Name::new("rpool").unwrap(),
        image_name: Name::new("").unwrap(),
    };
    fs::write(path, [&header.emit()[..], contents.held().unwrap()].concat()).unwrap();
}

/// Expects that the waits since `start` took `least` in all, as asked: anything less is busy
/// waiting. A few may have ended early, with news of the link.
pub(crate) fn assert_waited(start: Instant, least: Duration) {
    let time = start.elapsed();
    assert!(time >= least * 4 / 5, "{time:?} instead of {least:?}");
}
