//! Faults of links, systems and users, one by one.

use std::env;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use boot_backends::Clock;
use boot_format::Name;
use boot_format::wire::{FrameType, Head, MacAddr};
use boot_image::Contents;
use boot_image::pack::{PackOptions, pack};
use boot_netboot::batch::Batch;

use crate::knobs::{Count, Fault};
use crate::links::{
    Link, NET0, NET1, SLED, ask, count, frames_at, frames_until, name, on_a_cable, open,
    open_for_all_addresses, open_plainly, say, try_open,
};
use crate::netns::{SOON, ip};
use crate::{LinkError, Sent};

#[test]
#[ignore = "needs root and network namespaces"]
fn a_frame_arrives_whole_with_its_header() {
    on_a_cable(|| {
        let (mut near, mut far) = (open(NET0), open_plainly(NET1));
        let server = near.address();
        say(&mut near, SLED, server, b"there");
        say(&mut far, server, SLED, b"back");
        say(&mut far, MacAddr::BROADCAST, SLED, b"all");
        let there = frames_at(&mut far, 1);
        let head = Head::new(SLED, server, FrameType::Hello, 5);
        assert_eq!(there, [[head.as_bytes(), b"there"].concat()]);
        let back = frames_at(&mut near, 2);
        for (frame, (to, body)) in
            back.iter().zip([(server, &b"back"[..]), (MacAddr::BROADCAST, b"all")])
        {
            let head = Head::new(to, SLED, FrameType::Hello, body.len());
            assert_eq!(*frame, [head.as_bytes(), body].concat());
        }
        assert_eq!((near.counters().taken, near.counters().received), (1, 2));
        assert_eq!(near.path(), Some("DLPI, one call per frame"));
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn for_all_addresses_frames_keep_their_source_and_own_ones_do_not_come_back() {
    on_a_cable(|| {
        let (mut near, mut far) = (open(NET0), open_for_all_addresses(NET1));
        let server = near.address();
        for number in 0..4 {
            say(&mut far, MacAddr::BROADCAST, SLED.nth_after(number), b"hello");
        }
        let heard = frames_at(&mut near, 4);
        for (number, frame) in (0..).zip(&heard) {
            assert_eq!(frame[6..12], SLED.nth_after(number).octets());
        }
        assert_eq!(heard.len(), 4);
        for number in 0..4 {
            say(&mut near, SLED.nth_after(number), server, b"offer");
        }
        // Its own frames would have come first.
        let heard = frames_at(&mut far, 4);
        assert_eq!(heard.len(), 4);
        assert!(heard.iter().all(|frame| frame[6..12] == server.octets()));
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn an_answer_that_is_lost_has_the_link_opened_anew() {
    on_a_cable(|| {
        // There are seven control calls in a row, and any two answers may be lost.
        for lost in 0..=2 {
            ask(NET0, Fault::LoseAcks, lost);
            open(NET0);
        }
        ask(NET0, Fault::LoseAcks, 1000);
        let error = try_open(NET0, 1).err().unwrap().to_string();
        assert!(error.contains("net0: open the link: "), "{error}");
        assert!(error.contains("(DLPI_ETIMEDOUT)"), "{error}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_burst_of_reads_survives_until_somebody_looks() {
    const BURST: usize = 256;
    for bufmod in [true, false] {
        on_a_cable(|| {
            ask(NET0, Fault::NoBufmod, u64::from(!bufmod));
            let (mut near, mut far) = (open(NET0), open_plainly(NET1));
            let server = near.address();
            for _ in 0..BURST {
                say(&mut far, server, SLED, &[7; 1032]);
            }
            let heard = frames_until(&mut near, |_, heard| {
                heard + count(NET0, Count::QueueFull) as usize >= BURST
            });
            let (heard, full) = (heard.len(), count(NET0, Count::QueueFull));
            if bufmod {
                assert_eq!((heard, full), (BURST, 0));
            } else {
                assert!((5..BURST).contains(&heard), "{heard}");
                assert_eq!(full, (BURST - heard) as u64);
                let path = near.path().unwrap().to_owned();
                assert!(
                    path.contains("(no bufmod, so the receive queue is short: Invalid argument"),
                    "{path}"
                );
            }
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn frames_that_are_too_long_are_dropped_here_and_counted() {
    on_a_cable(|| {
        let mut near = open(NET0);
        let mut batch = Batch::with_capacity(3);
        let lengths = [1500 - 12, 1500 - 12 + 1, 4000];
        for length in lengths {
            let head = Head::new(SLED, near.address(), FrameType::Hello, length);
            batch.push_body(head, &vec![0; length]);
        }
        assert_eq!(near.mtu(), 1500);
        assert_eq!(near.send(&mut batch).unwrap(), Sent { taken: 1, dropped: 2 });
        assert_eq!((near.counters().taken, near.counters().dropped), (1, 2));
        assert_eq!((count(NET0, Count::Sent), count(NET0, Count::Oversize)), (1, 0));
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_frame_that_is_cut_or_has_no_whole_address_is_none() {
    on_a_cable(|| {
        for link in [NET0, NET1] {
            ip(&format!("link set {} mtu 9000", name(link)));
        }
        let (mut near, mut far) = (open(NET0), open_plainly(NET1));
        let server = near.address();
        for length in [2036, 2037, 8000, 100] {
            say(&mut far, server, SLED, &vec![7; length]);
        }
        let heard = frames_at(&mut near, 4);
        assert_eq!(heard.iter().map(|frame| frame.len() - 26).collect::<Vec<_>>(), [2036, 100]);
        assert_eq!((near.counters().received, near.counters().missed), (2, 2));
        ask(NET0, Fault::ShortAddress, 2);
        for _ in 0..10 {
            say(&mut far, server, SLED, b"hello");
        }
        assert_eq!(frames_at(&mut near, 10).len(), 5);
        assert_eq!(near.counters().missed, 2 + 5);
        ask(NET0, Fault::ShortAddress, 0);
        ask(NET0, Fault::BadMessage, 3);
        ask(NET0, Fault::BadAddress, 4);
        for _ in 0..12 {
            say(&mut far, server, SLED, b"hello");
        }
        // Four broken ones, and of the eight others two with bad addresses.
        assert_eq!(frames_at(&mut near, 12).len(), 6);
        assert_eq!(near.counters().missed, 2 + 5 + 6);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn signals_and_false_alarms_are_no_failures() {
    on_a_cable(|| {
        let (mut near, mut far) = (open(NET0), open_plainly(NET1));
        let server = near.address();
        for (fault, every) in [
            (Fault::InterruptReceive, 2),
            (Fault::EmptyReceive, 3),
            (Fault::Stray, 2),
            (Fault::InterruptSend, 2),
            (Fault::FullSend, 50),
            (Fault::NoMemory, 30),
        ] {
            ask(NET0, fault, every);
        }
        for _ in 0..200 {
            say(&mut near, SLED, server, b"there");
        }
        assert_eq!(frames_at(&mut far, 200).len(), 200);
        for _ in 0..200 {
            say(&mut far, server, SLED, b"back");
        }
        assert_eq!(frames_at(&mut near, 200).len(), 200);
        assert!(near.counters().full >= 4, "{:?}", near.counters());
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn waiting_for_room_ends_when_there_is_room_and_costs_nothing() {
    on_a_cable(|| {
        let mut near = open(NET0);
        ask(NET0, Fault::FullSend, 1);
        let mut batch = Batch::with_capacity(1);
        batch.push_body(Head::new(SLED, near.address(), FrameType::Hello, 1), &[1]);
        assert_eq!(near.send(&mut batch).unwrap(), Sent::default());
        ask(NET0, Fault::FullSend, 0);
        let start = Instant::now();
        let mut rounds = 0;
        while near.send(&mut batch).unwrap().taken == 0 {
            near.receive(SOON, true, &mut |_| {}).unwrap();
            rounds += 1;
        }
        assert!((1..=3).contains(&rounds), "{rounds}");
        assert!(start.elapsed() < SOON);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_link_that_goes_down_drops_frames_and_comes_back_by_itself() {
    on_a_cable(|| {
        let mut near = open(NET0);
        let mut far = open_plainly(NET1);
        let server = near.address();
        let clock = Clock::new();
        let send = |near: &mut Link| {
            let mut batch = Batch::with_capacity(2);
            for _ in 0..2 {
                batch.push_body(Head::new(SLED, server, FrameType::Hello, 1), &[1]);
            }
            near.tick(clock.now());
            near.receive(Duration::from_millis(1), false, &mut |_| {}).unwrap();
            let sent = near.send(&mut batch).unwrap();
            assert!(batch.is_empty());
            sent
        };
        assert_eq!(send(&mut near), Sent { taken: 2, dropped: 0 });
        for downs in 1..=2 {
            ask(NET0, Fault::Down, 1);
            assert_eq!(send(&mut near), Sent { taken: 0, dropped: 2 });
            assert_eq!(send(&mut near), Sent { taken: 0, dropped: 2 });
            assert_eq!(near.counters().downs, downs);
            near.tick(clock.now());
            assert!(near.counters().down_time > Duration::ZERO);
            ask(NET0, Fault::Down, 0);
            assert_eq!(send(&mut near), Sent { taken: 2, dropped: 0 });
        }
        // Down at the start, and up without a notification: a frame that arrives shows it.
        ask(NET0, Fault::Down, 1);
        let mut late = open(NET0);
        assert_eq!(send(&mut late), Sent { taken: 0, dropped: 2 });
        drop(near);
        ask(NET0, Fault::Down, 0);
        say(&mut far, server, SLED, b"hello");
        assert_eq!(frames_at(&mut late, 1).len(), 1);
        assert_eq!(send(&mut late), Sent { taken: 2, dropped: 0 });
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_stream_that_hangs_up_is_a_link_that_is_gone() {
    on_a_cable(|| {
        let mut near = open(NET0);
        ask(NET0, Fault::HangUp, 1);
        let error = near.receive(SOON, false, &mut |_| {}).unwrap_err();
        assert!(matches!(error, LinkError::Gone { .. }), "{error}");
        assert_eq!(error.to_string(), "net0: the link is gone");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn each_frame_is_one_workers_and_all_from_one_address_the_same_ones() {
    on_a_cable(|| {
        let mut workers = try_open(NET0, 3).unwrap();
        let mut far = open_plainly(NET1);
        // Addresses in steps of four, as from a vendor of cards with four ports.
        let sleds: Vec<_> = (0..60).map(|number| SLED.nth_after(4 * number)).collect();
        for sled in sleds.iter().chain(&sleds) {
            say(&mut far, MacAddr::BROADCAST, *sled, b"hello");
        }
        let mut heard = vec![Vec::new(); workers.len()];
        let until = Instant::now() + SOON;
        while heard.iter().map(Vec::len).sum::<usize>() < 120 {
            assert!(Instant::now() < until, "{heard:?}");
            for (worker, heard) in workers.iter_mut().zip(&mut heard) {
                let mut sink = |frame: &[u8]| heard.push(frame[6..12].to_vec());
                worker.receive(Duration::from_millis(1), false, &mut sink).unwrap();
            }
        }
        assert_eq!(heard.iter().map(Vec::len).sum::<usize>(), 120);
        for sled in &sleds {
            let mut whose = heard
                .iter()
                .map(|heard| heard.iter().filter(|source| ***source == sled.octets()).count());
            assert_eq!(whose.clone().sum::<usize>(), 2);
            assert!(whose.any(|count| count == 2));
        }
        assert!(heard.iter().all(|heard| heard.len() > 20), "{heard:?}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn links_that_will_not_do_are_refused_with_the_reason() {
    on_a_cable(|| {
        let refusal = |link| try_open(link, 1).err().unwrap().to_string();
        for nowhere in [c"net7", c"net", c"net0:1", c"a-name-that-no-link-can-ever-have-0"] {
            let text = refusal(nowhere);
            assert!(text.ends_with("no such link; the links are: lo, net0, net1"), "{text}");
        }
        ip("tuntap add dev tun0 mode tun");
        assert!(refusal(c"tun0").contains("tun0: not an Ethernet link (Unknown MAC Type"));
        ip("link set net0 mtu 1043");
        let text = refusal(NET0);
        assert!(text.contains("the MTU is 1043, but boot frames need at least 1044"), "{text}");
        ip("link set net0 mtu 1044");
        assert!(try_open(NET0, 1).is_ok());
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn without_the_privilege_the_error_names_it() {
    on_a_cable(|| {
        let child = Command::new("setpriv")
            .args(["--bounding-set=-net_raw", "--inh-caps=-net_raw", "--"])
            .arg(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "faults::opens_without_the_privilege", "--nocapture"])
            .env("EXPECT_NO_PRIVILEGE", "1")
            .output()
            .unwrap_or_else(|error| crate::netns::missing("setpriv", &error));
        let said = String::from_utf8_lossy(&child.stdout);
        assert!(child.status.success(), "{said}{}", String::from_utf8_lossy(&child.stderr));
        assert!(said.contains("1 passed"), "{said}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_frame_from_a_mapped_image_is_dropped_unread() {
    on_a_cable(|| {
        let mut near = open(NET0);
        assert!(!near.sends_mapped());
        let folder = tempfile::tempdir().unwrap();
        let image = mapped_image(folder.path());
        let mut batch = Batch::with_capacity(2);
        let head = Head::data(SLED, near.address(), 0, 1024);
        batch.push_contents(head, &image, 0, 1024);
        batch.push_body(Head::new(SLED, near.address(), FrameType::Hello, 0), b"");
        assert_eq!(near.send(&mut batch).unwrap(), Sent { taken: 1, dropped: 1 });
        assert_eq!(batch.take_unreadable(), [SLED]);
        assert_eq!(near.counters().unreadable, 1);
    });
}

/// The other half of the test above.
#[test]
#[ignore = "needs root and network namespaces"]
fn opens_without_the_privilege() {
    if env::var_os("EXPECT_NO_PRIVILEGE").is_some() {
        let error = try_open(NET0, 1).err().unwrap();
        assert!(matches!(error, LinkError::NotPermitted { .. }), "{error}");
        assert!(error.to_string().contains("with the privilege net_rawaccess"), "{error}");
    } else {
        on_a_cable(|| assert!(try_open(NET0, 1).is_ok()));
    }
}

/// An image of 1 MiB, mapped from a file in `folder`.
fn mapped_image(folder: &Path) -> Contents {
    let raw = folder.join("raw");
    fs::write(&raw, vec![7; 1 << 20]).unwrap();
    let options = PackOptions {
        image_name: Name::new("").unwrap(),
        dataset: Name::new("rpool").unwrap(),
        target_size: 1 << 20,
        level: None,
        threads: None,
        pad: false,
    };
    let path = folder.join("an.img");
    let (raw, out) = (File::open(&raw).unwrap(), File::create(&path).unwrap());
    pack(&raw, 1 << 20, &out, &options, &mut |_| true).unwrap();
    Contents::map(&path).unwrap()
}
