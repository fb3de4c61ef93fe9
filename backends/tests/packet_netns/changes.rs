//! What changes about a link while it is used, which frames are its own, and who else uses it.

use std::io::Read;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use boot_backends::{LinkError, OpenOptions, Sharing, open, open_workers, system_name};
use boot_format::wire::{ETHERTYPE, MAGIC, MacAddr};
use boot_netboot::batch::Batch;

use crate::netns::{FAR, NEAR, SOON, inside, ip, missing, wait_for};
use crate::tap::Tap;
use crate::{Link, PATHS, SLED, far, frames_at, image, push, send_all, via};

const TAP: &str = "tap0";
const SOLE: Sharing = Sharing::Sole { patience: Duration::ZERO };

/// A frame of the boot protocol, with this VLAN tag if there is one.
fn frame(to: MacAddr, from: MacAddr, tag: Option<u16>) -> Vec<u8> {
    let mut frame = [to.octets(), from.octets()].concat();
    if let Some(tag) = tag {
        frame.extend([0x81, 0]);
        frame.extend(tag.to_be_bytes());
    }
    frame.extend(ETHERTYPE.to_be_bytes());
    frame.extend(MAGIC.to_be_bytes());
    frame.resize(64, 0);
    frame
}

/// A link whose far end is this process, and both ends of it.
fn tap(options: OpenOptions) -> (Tap, Link) {
    let tap = Tap::new(TAP);
    ip(&format!("link set {TAP} addrgenmode none"));
    ip(&format!("link set {TAP} up"));
    wait_for(TAP);
    (tap, open(TAP, options).unwrap())
}

/// The frames that have arrived up to now: before one that is put behind them.
fn arrived(tap: &mut Tap, link: &mut Link) -> Vec<Vec<u8>> {
    let last = frame(MacAddr::BROADCAST, SLED.nth_after(999), None);
    tap.put(&last);
    let mut frames: Vec<Vec<u8>> = Vec::new();
    let until = Instant::now() + SOON;
    while frames.last() != Some(&last) {
        assert!(Instant::now() < until, "the last frame does not arrive: {frames:?}");
        let mut sink = |frame: &[u8]| frames.push(frame.to_vec());
        link.receive(Duration::from_millis(20), false, &mut sink).unwrap();
    }
    frames.pop();
    frames
}

/// Has a link look until `is_so`.
fn until(link: &mut Link, is_so: impl Fn(&mut Link) -> bool) {
    let until = Instant::now() + SOON;
    while !is_so(link) {
        assert!(Instant::now() < until, "nobody notices");
        link.receive(Duration::from_millis(20), false, &mut |_| {}).unwrap();
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_frame_in_a_vlan_is_not_ours_and_one_with_a_priority_is() {
    for all_addresses in [false, true] {
        inside(1, || {
            let (mut tap, mut link) = tap(OpenOptions { all_addresses, ..OpenOptions::default() });
            let own = link.address();
            tap.put(&frame(MacAddr::BROADCAST, SLED, Some(7)));
            tap.put(&frame(MacAddr::BROADCAST, SLED, Some(3 << 13 | 0xffe)));
            if !all_addresses {
                tap.put(&frame(own, SLED, Some(7)));
            }
            tap.put(&frame(MacAddr::BROADCAST, SLED, Some(5 << 13)));
            tap.put(&frame(own, SLED, Some(5 << 13)));
            tap.put(&frame(own, SLED, None));
            let frames = arrived(&mut tap, &mut link);
            assert_eq!(frames.len(), 3, "{all_addresses}: {frames:?}");
            for (frame, to) in frames.iter().zip([MacAddr::BROADCAST, own, own]) {
                assert_eq!(frame[..6], to.octets());
                assert_eq!(frame[12..14], ETHERTYPE.to_be_bytes());
            }
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn frames_of_somebody_who_sends_as_us_are_counted_and_our_own_are_not() {
    inside(1, || {
        let (mut tap, mut link) = tap(OpenOptions::default());
        let own = link.address();
        tap.put(&frame(SLED, own, None));
        tap.put(&frame(MacAddr::BROADCAST, own, None));
        // For another host, as a hub or a switch that is still learning would deliver it.
        tap.put(&frame(SLED, SLED.nth_after(1), None));
        let mut batch = Batch::with_capacity(1);
        push(&mut batch, &image(1), 0);
        send_all(&mut link, &mut batch, &mut 0);
        assert!(arrived(&mut tap, &mut link).is_empty());
        let counters = link.counters();
        assert_eq!((counters.as_us, counters.received), (2, 3));
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_link_is_served_on_when_it_is_renamed_and_another_takes_its_name() {
    for tx in PATHS {
        inside(1, || {
            let mut link = via(tx);
            ip(&format!("link set {NEAR} down"));
            ip(&format!("link set {NEAR} name other"));
            ip(&format!("link add {NEAR} type bridge"));
            ip("link set other up");
            wait_for("other");
            let mut taken = 0;
            let mut batch = Batch::with_capacity(1);
            let mut listener = far();
            push(&mut batch, &image(1), 0);
            // It is the other link that is down.
            send_all(&mut link, &mut batch, &mut taken);
            assert_eq!(taken, 1, "{tx}");
            frames_at(&mut listener, 1);
            assert_eq!((link.name(), link.current_name()), (NEAR, "other"), "{tx}");
            assert!(!link.counters().is_down, "{tx}");
            ip(&format!("link del {NEAR}"));
            // Removing this one does not affect it.
            push(&mut batch, &image(1), 0);
            send_all(&mut link, &mut batch, &mut taken);
            link.receive(Duration::ZERO, false, &mut |_| {}).unwrap();
            assert_eq!(frames_at(&mut listener, 1).len(), 1, "{tx}");
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_links_own_address_and_mtu_are_followed() {
    inside(1, || {
        let (mut tap, mut link) = tap(OpenOptions::default());
        let (before, after) = (link.address(), MacAddr::new([2, 0, 0, 0, 0, 9]));
        ip(&format!("link set {TAP} address {after}"));
        ip(&format!("link set {TAP} mtu 1040"));
        link.counters();
        assert_eq!((link.address(), link.mtu()), (after, 1040));
        // It belongs to another host now.
        tap.put(&frame(SLED, before, None));
        tap.put(&frame(after, SLED, None));
        tap.put(&frame(SLED, after, None));
        assert_eq!(arrived(&mut tap, &mut link).len(), 1);
        assert_eq!(link.counters().as_us, 1);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn frames_for_an_address_that_the_link_had_are_heard_for_as_long_as_they_are_wanted() {
    inside(1, || {
        let (mut tap, mut link) = tap(OpenOptions::default());
        let before = link.address();
        ip(&format!("link set {TAP} address 02:00:00:00:00:09"));
        link.counters();
        let mut heard = |link: &mut Link| {
            tap.put(&frame(before, SLED, None));
            tap.put(&frame(SLED.nth_after(1), SLED, None));
            arrived(&mut tap, link).len()
        };
        assert_eq!(heard(&mut link), 0);
        link.hear_also(&[SLED.nth_after(7), before]);
        assert_eq!(heard(&mut link), 1);
        link.hear_also(&[]);
        assert_eq!(heard(&mut link), 0);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn what_is_longer_than_the_mtu_goes_out_on_no_path() {
    for tx in PATHS {
        inside(1, || {
            let mut link = via(tx);
            let mut batch = Batch::with_capacity(1);
            for (mtu, goes) in [(1040, 0), (1044, 1), (1500, 1)] {
                ip(&format!("link set {NEAR} mtu {mtu}"));
                push(&mut batch, &image(1), 0);
                let mut taken = 0;
                send_all(&mut link, &mut batch, &mut taken);
                assert_eq!(taken, goes, "{tx}, {mtu}");
            }
            assert_eq!(link.counters().dropped, 1, "{tx}");
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_link_is_found_by_its_other_names_and_is_one_link() {
    inside(1, || {
        // Longer than any first name, the longest there is, and a short one.
        let long = "x".repeat(127);
        let names = ["rack-left-uplink-port-0", &long, "uplink0", "rack1-left,0"];
        for name in names {
            let line = ["link", "property", "add", "dev", NEAR, "altname", name];
            let status = Command::new("ip").args(line).status();
            assert!(status.unwrap_or_else(|error| missing("ip", &error)).success());
            let link = open(name, OpenOptions::default()).unwrap();
            assert_eq!((link.name(), link.current_name()), (name, NEAR));
            assert_eq!(system_name(name).unwrap(), NEAR);
        }
        assert_eq!(system_name(FAR).unwrap(), FAR);
        assert!(open(&"x".repeat(128), OpenOptions::default()).is_err());
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_link_is_held_by_one_process_for_as_long_as_it_is_open() {
    let holding = OpenOptions { sharing: SOLE, ..OpenOptions::default() };
    inside(1, || {
        let mut workers = open_workers(NEAR, holding, 2).unwrap();
        let refused = || match open(NEAR, holding) {
            Err(LinkError::Held { holder, .. }) => holder,
            other => panic!("{:?}", other.map(|link| link.name().to_owned())),
        };
        let pid = format!("process {} (", std::process::id());
        // More messages than can wait in the socket.
        for _ in 0..300 {
            assert!(refused().starts_with(&pid));
            workers[1].counters();
        }
        open(NEAR, OpenOptions::default()).unwrap();
        open(FAR, holding).unwrap();
        inside(1, || drop(open(NEAR, holding).unwrap()));
        workers.pop();
        assert!(refused().starts_with(&pid));
        workers.pop();
        // A process that another test starts holds what this one does until it runs its program.
        let patience = Duration::from_mins(1);
        let patient = OpenOptions { sharing: Sharing::Sole { patience }, ..holding };
        open(NEAR, patient).unwrap();
        // A holder that is about to exit is waited for.
        let ending = open(NEAR, patient).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(200));
                drop(ending);
            });
            open(NEAR, patient).unwrap();
        });
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_user_who_takes_the_name_of_a_hold_keeps_no_server_out() {
    let nobody = r#"
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
taken, knocks = socket.socket(socket.AF_UNIX), []
taken.bind("\0bootserver-link-" + sys.argv[1])
if sys.argv[2] == "full":
    taken.listen(0)
    for _ in range(3):
        knocks.append(socket.socket(socket.AF_UNIX))
        knocks[-1].setblocking(False)
        knocks[-1].connect_ex("\0bootserver-link-" + sys.argv[1])
elif sys.argv[2] == "listening":
    taken.listen()
print("taken", flush=True)
sys.stdin.read()
"#;
    for state in ["bound", "listening", "full"] {
        inside(1, || {
            let index = nix::net::if_::if_nametoindex(NEAR).unwrap().to_string();
            let mut child = Command::new("python3")
                .args(["-c", nobody, &index, state])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .expect("this test needs python3: install the package python3");
            child.stdout.as_mut().unwrap().read_exact(&mut [0; 6]).unwrap();
            let holding = OpenOptions { sharing: SOLE, ..OpenOptions::default() };
            let path = open(NEAR, holding).unwrap().path().unwrap().to_owned();
            assert!(path.contains("a second server would not be refused"), "{state}: {path}");
            drop(child.stdin.take());
            assert!(child.wait().unwrap().success());
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_link_that_is_removed_while_it_is_down_is_gone() {
    inside(1, || {
        let mut link = via(PATHS[0]);
        ip(&format!("link set {NEAR} down"));
        until(&mut link, |link| link.counters().is_down);
        ip(&format!("link del {NEAR}"));
        let until = Instant::now() + SOON;
        loop {
            assert!(Instant::now() < until, "nobody notices");
            link.counters();
            match link.receive(Duration::from_millis(20), false, &mut |_| {}) {
                Ok(()) => {}
                Err(LinkError::Gone { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_link_without_carrier_is_noticed_though_nothing_is_sent() {
    inside(1, || {
        ip(&format!("link set {FAR} down"));
        let mut link = via(PATHS[0]);
        assert_eq!((link.counters().is_down, link.counters().downs), (true, 1));
        ip(&format!("link set {FAR} up"));
        until(&mut link, |link| !link.counters().is_down);
    });
}
