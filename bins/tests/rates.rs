//! Limits of rates on real links, each with its own.

#![cfg(target_os = "linux")]

mod lab;
#[path = "../../backends/tests/netns/mod.rs"]
mod netns;
mod tool;

use crate::lab::{Running, SOON, image, sledsim};
use crate::netns::{FAR, NEAR, inside, ip, wait_for};
use crate::tool::Desk;

/// Mebibytes of the image.
const SIZE: u32 = 16;

/// What a DATA frame takes of the wire: 34 bytes of head and 1024 of contents, with preamble (8),
/// FCS (4) and gap (12), as IEEE 802.3 has them.
const FRAME_BITS: f64 = 8.0 * (34.0 + 1024.0 + 24.0);

/// Boots a sled on the link beyond `far`, and returns how many bits a second its DATA frames took.
fn rate(desk: &Desk, server: &mut Running, far: &str, sled: &str) -> f64 {
    let rack = sledsim(desk, &format!("{far} --mac {sled} -t 60"));
    assert!(rack.status.success());
    let line = server.line(&[sled, ": booted: "]);
    let (_, rest) = line.split_once(" in ").unwrap();
    let seconds: f64 = rest.split(' ').next().unwrap().parse().unwrap();
    f64::from(SIZE * 1024) * FRAME_BITS / seconds
}

#[test]
#[ignore = "needs root and network namespaces"]
fn each_link_keeps_to_its_own_rate_also_after_a_reload() {
    for tx in ["mmsg", "uring", "xdp"] {
        inside(1, || {
            ip("link add near2 type veth peer name far2");
            for end in ["near2", "far2"] {
                ip(&format!("link set {end} addrgenmode none up"));
            }
            wait_for("near2");
            let mut desk = Desk::new();
            image(&mut desk, "zfs.img", SIZE);
            let configure = |near: &str, near2: &str| {
                let text = format!(
                    "links = [\"{NEAR}\", \"near2\"]\nimages = [\"zfs.img\"]\nrate = \"{near}\"\n\
                     tx = \"{tx}\"\nworkers = 1\n[[link]]\nname = \"near2\"\nrate = \"{near2}\"\n"
                );
                desk.write("rates.toml", text.as_bytes());
            };
            configure("300Mbit", "150Mbit");
            let mut server = Running::start(&desk, "bootserver", "--config rates.toml");
            server.until_said(&["serving every sled"]);
            let keeps = |rate: f64, limit: f64| {
                // As fast as that it is on a machine that has time for it.
                assert!(rate <= 1.02 * limit, "{tx}: {rate:.0} bit/s of {limit}");
                println!("{tx}: {:.1}% of {limit}", 100.0 * rate / limit);
            };
            keeps(rate(&desk, &mut server, FAR, "02:00:00:00:00:01"), 300e6);
            keeps(rate(&desk, &mut server, "far2", "02:00:00:00:00:02"), 150e6);
            configure("150Mbit", "max");
            server.signal("-HUP");
            server.until_said(&["configuration: link near2: rate: now max"]);
            keeps(rate(&desk, &mut server, FAR, "02:00:00:00:00:03"), 150e6);
            server.signal("-TERM");
            let (status, _, log) = server.end(SOON);
            assert_eq!(status, 0, "{log}");
        });
    }
}
