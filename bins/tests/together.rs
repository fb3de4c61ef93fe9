//! Sleds that boot in step on a real segment: a bridge with a port for each of them, and a server
//! behind a link of 400 Mbit/s. Making it takes root.

#![cfg(target_os = "linux")]

mod lab;
#[path = "../../backends/tests/netns/mod.rs"]
mod netns;
mod tool;

use std::time::{Duration, Instant};

use netns::{FAR, NEAR, inside, ip, run, sent_by, wait_for};

use crate::lab::{Running, SOON, image};
use crate::tool::Desk;

const SLEDS: u32 = 8;
const MEBIBYTES: u32 = 32;
/// DATA frames of one boot.
const FRAMES: u64 = MEBIBYTES as u64 * 1024;

/// Joins a port for each sled and the server's far end, as a switch does.
fn bridge() {
    ip("link add segment type bridge forward_delay 0 mcast_snooping 0");
    for sled in 0..SLEDS {
        ip(&format!("link add sled{sled} type veth peer name port{sled}"));
    }
    let ports = (0..SLEDS).map(|sled| format!("port{sled}")).chain([FAR.to_owned()]);
    for port in ports {
        ip(&format!("link set {port} addrgenmode none master segment up"));
    }
    for sled in 0..SLEDS {
        ip(&format!("link set sled{sled} addrgenmode none up"));
    }
    ip("link set segment addrgenmode none up");
    (0..SLEDS).for_each(|sled| wait_for(&format!("sled{sled}")));
    run("tc", &format!("qdisc add dev {NEAR} root tbf rate 400mbit burst 32k limit 512k"));
}

/// A boot of all: its log, how long it took, and how many frames went over the server's link.
fn boot(desk: &Desk, options: &str) -> (String, Duration, u64) {
    let before = sent_by(NEAR);
    let line = format!("-s -t 30 {options} {NEAR} zfs.img all");
    let server = Running::start(desk, "bootserver", &line);
    let sled = |number: u32| {
        let line = format!("sled{number} -t 50 --csum zfs.img.csum --mac 02:00:00:00:00:0{number}");
        Running::start(desk, "sledsim", &line)
    };
    let began = Instant::now();
    let sleds: Vec<_> = (0..SLEDS).map(sled).collect();
    for sled in sleds {
        let (status, table, log) = sled.end(SOON);
        assert_eq!(status, 0, "{table}{log}");
    }
    let took = began.elapsed();
    let (status, _, log) = server.end(SOON);
    assert_eq!(status, 0, "{log}");
    println!("{options}: {took:?}, {} frames\n{log}", sent_by(NEAR) - before);
    (log, took, sent_by(NEAR) - before)
}

#[test]
#[ignore = "needs root and network namespaces"]
fn eight_sleds_take_a_link_the_frames_of_one() {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", MEBIBYTES);
        bridge();
        // AF_XDP goes past the shaper, so the server has to keep the rate itself.
        for path in ["mmsg", "uring", "xdp --rate 400Mbit"] {
            let together = format!("--together --expect {SLEDS} --tx {path}");
            let (log, _, frames) = boot(&desk, &together);
            assert!(log.contains("8 sleds boot in step"), "{log}");
            assert!(frames <= FRAMES + FRAMES * 3 / 100, "{frames}: {log}");
        }
        let (log, _, frames) = boot(&desk, "-q --tx mmsg");
        assert!(!log.contains("in step"), "{log}");
        assert!(frames >= u64::from(SLEDS) * FRAMES, "{frames}: {log}");
    });
}
