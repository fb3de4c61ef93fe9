//! Servers whose links change, go away, or are shared with another.

#![cfg(target_os = "linux")]

mod lab;
#[path = "../../backends/tests/netns/mod.rs"]
mod netns;
mod tool;

use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::lab::{Running, SOON, image, sledsim};
use crate::netns::{FAR, NEAR, inside, ip, run, wait_for, wait_for_frames};
use crate::tool::Desk;

/// Waits for something that the server does when it next looks at its links.
fn until(what: &str, mut happened: impl FnMut() -> bool) {
    let end = Instant::now() + SOON;
    while !happened() {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(50));
    }
}

/// A desk with an image, in a namespace with a second cable.
fn with_two_cables(body: impl FnOnce(Desk) + Send) {
    inside(1, || {
        ip("link add near2 type veth peer name far2");
        for end in ["near2", "far2"] {
            ip(&format!("link set {end} addrgenmode none"));
            ip(&format!("link set {end} up"));
        }
        wait_for("near2");
        wait_for("far2");
        body(desk());
    });
}

fn desk() -> Desk {
    let mut desk = Desk::new();
    image(&mut desk, "zfs.img", 8);
    desk
}

/// Asserts that the log has these lines about `link`, each once and in this order.
fn assert_said(log: &str, link: &str, lines: &[&str]) {
    let mut rest = log;
    for line in lines {
        let line = format!("bootserver: {link}: {line}");
        assert_eq!(log.matches(&line).count(), 1, "{line}: {log}");
        rest = &rest[rest.find(&line).unwrap_or_else(|| panic!("{line}: too early: {log}"))..];
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_link_that_goes_away_ends_its_own_boots_and_the_last_one_ends_the_server() {
    with_two_cables(|desk| {
        let line = format!("--workers 2 {NEAR},near2 zfs.img all");
        let mut server = Running::start(&desk, "bootserver", &line);
        server.until_said(&["serving every sled"]);
        ip("link del near2");
        server.until_said(&["near2: the link is gone; its boots have ended"]);
        assert!(server.is_running());
        assert!(sledsim(&desk, &format!("{FAR} --sleds 4 -t 20")).status.success());
        ip(&format!("link del {NEAR}"));
        let (status, _, log) = server.end(SOON);
        assert_eq!(status, 1, "{log}");
        assert_said(&log, "near2", &["the link is gone; its boots have ended"]);
        assert!(log.contains(&format!("bootserver: {NEAR}: the link is gone\n")), "{log}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn with_any_the_link_of_the_one_sled_ends_the_server() {
    with_two_cables(|desk| {
        let server = Running::start(&desk, "bootserver", &format!("{NEAR},near2 zfs.img any"));
        assert!(sledsim(&desk, "far2 -t 20").status.success());
        ip("link del near2");
        let (status, _, log) = server.end(SOON);
        assert_eq!(status, 1, "{log}");
        assert!(log.contains("bootserver: near2: the link is gone\n"), "{log}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn with_s_a_link_that_goes_away_in_a_boot_leaves_the_others_to_end() {
    with_two_cables(|desk| {
        let line = format!("-s -t 30 --rate 20Mbit {NEAR},near2 zfs.img all");
        let mut server = Running::start(&desk, "bootserver", &line);
        // A HELLO that comes before is said again after 4 s only.
        server.until_said(&["serving every sled"]);
        let lost = Running::start(&desk, "sledsim", "far2 -t 3");
        let rack = Running::start(&desk, "sledsim", &format!("{FAR} -t 30"));
        server.until_said(&["near2 ", ": reading: "]);
        ip("link del near2");
        drop(lost);
        assert_eq!(rack.end(SOON).0, 0);
        let (status, _, log) = server.end(SOON);
        assert_eq!(status, 0, "{log}");
        assert_said(&log, "near2", &["the link is gone; its boots have ended"]);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_second_server_on_a_link_is_refused_unless_it_is_wanted() {
    with_two_cables(|mut desk| {
        let first = Running::start(&desk, "bootserver", &format!("--workers 2 {NEAR} zfs.img all"));
        for links in [NEAR.to_owned(), format!("near2,{NEAR}")] {
            let second = desk.run(&format!("bootserver {links} zfs.img all"));
            let said = String::from_utf8(second.stderr).unwrap();
            assert_eq!(second.status.code(), Some(1), "{said}");
            let holder = format!("{NEAR}: already served by process {} (", first.id());
            assert!(said.contains(&holder) && said.contains("--share-link"), "{said}");
            let line = format!("--workers 2 {NEAR} zfs.img all); two servers");
            assert!(said.contains(&line), "{said}");
        }
        let line = format!("--share-link -t 0.3 {NEAR} zfs.img all");
        let shared = desk.run(&format!("bootserver {line}"));
        let said = String::from_utf8(shared.stderr).unwrap();
        assert!(said.contains("serving every sled"), "{said}");
        let line = format!("--share-link {NEAR} zfs.img all");
        let mut sharing = Running::start(&desk, "bootserver", &line);
        sharing.until_said(&["serving every sled"]);
        let other = desk.run("bootserver -t 0.3 near2 zfs.img all");
        assert!(String::from_utf8(other.stderr).unwrap().contains("serving every sled"));
        // Nothing is left of a server that was killed, but the one that shared its link is still
        // there.
        first.signal("-KILL");
        first.end(SOON);
        let holder = format!("{NEAR}: already served by process {} (", sharing.id());
        until("who shared the link holds it now", || {
            let second = desk.run(&format!("bootserver -t 0.1 {NEAR} zfs.img all"));
            String::from_utf8(second.stderr).unwrap().contains(&holder)
        });
        // It is not waited for, but takes a moment to end.
        sharing.signal("-TERM");
        let after = desk.run(&format!("bootserver -t 0.3 {NEAR} zfs.img all"));
        assert!(String::from_utf8(after.stderr).unwrap().contains("serving every sled"));
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn one_link_under_two_names_is_refused() {
    inside(1, || {
        ip(&format!("link property add dev {NEAR} altname uplink0"));
        for flag in ["", "--share-link "] {
            let second = desk().run(&format!("bootserver {flag}{NEAR},uplink0 zfs.img all"));
            let said = String::from_utf8(second.stderr).unwrap();
            assert_eq!(second.status.code(), Some(1), "{said}");
            assert!(said.contains(&format!("{NEAR} and uplink0 are the same link")), "{said}");
        }
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn what_changes_about_a_link_is_said_and_sleds_boot_all_the_same() {
    for tx in ["mmsg", "uring", "xdp"] {
        inside(1, || {
            let desk = desk();
            ip(&format!("link set {FAR} down"));
            let mut server =
                Running::start(&desk, "bootserver", &format!("--tx {tx} {NEAR} zfs.img all"));
            server.until_said(&["the link is down"]);
            ip(&format!("link set {FAR} up"));
            server.until_said(&["the link is up again"]);
            for (change, said) in [
                ("set near mtu 1040", "MTU is now 1040"),
                ("set near mtu 1500", "MTU is now 1500"),
                ("set near address 02:00:00:00:00:99", "address was"),
                ("set near name other", "is now called other"),
            ] {
                ip(&format!("link {change}"));
                server.until_said(&[said]);
            }
            ip("link add near type bridge");
            // Whatever it logs about that comes before the counts.
            server.signal("-USR1");
            server.until_said(&[" frames sent"]);
            let rack = sledsim(&desk, &format!("{FAR} --sleds 4 -t 20"));
            assert!(rack.status.success(), "{tx}");
            server.signal("-TERM");
            let (status, _, log) = server.end(SOON);
            assert_eq!(status, 0, "{tx}: {log}");
            let lines = [
                "the link is down or has no carrier",
                "the link is up again, after ",
                "the link's MTU is now 1040: boots need at least 1044",
                "the link's MTU is now 1500: boots can continue",
                "the link's address was ",
                "the link is now called other; it stays in service",
            ];
            assert_said(&log, NEAR, &lines);
        });
    }
}

/// A bridge that the server is on, with one port to the sleds and one to nothing, whose address it
/// has: the lowest, unless it is given another.
fn bridge_with_two_ports() {
    ip("link add bridge0 type bridge stp_state 0 forward_delay 0");
    ip("link add lone type veth peer name nobody");
    ip("link set lone address 02:00:00:00:00:05");
    ip(&format!("link set {NEAR} address 02:00:00:00:00:77"));
    for port in ["lone", NEAR] {
        ip(&format!("link set {port} master bridge0"));
    }
    for link in ["lone", "bridge0"] {
        ip(&format!("link set {link} addrgenmode none"));
        ip(&format!("link set {link} up"));
    }
    wait_for("bridge0");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn boots_under_way_go_on_when_the_links_address_changes() {
    let line = |link: &str| format!("--rate 60Mbit {link} zfs.img all");
    for change in [
        // The bridge has its address from the port that goes.
        "set lone nomaster",
        // From the one that comes.
        "set lone address 02:00:00:00:00:03",
        // To a card that keeps frames for others to itself, this is the same.
        "set bridge0 address 02:00:00:00:00:99",
    ] {
        inside(1, || {
            bridge_with_two_ports();
            let desk = desk();
            let server = Running::start(&desk, "bootserver", &line("bridge0"));
            let rack = Running::start(&desk, "sledsim", &format!("{FAR} --sleds 2 -t 30"));
            wait_for_frames("bridge0", 2000);
            ip(&format!("link {change}"));
            let (status, table, said) = rack.end(SOON);
            assert_eq!(status, 0, "{change}: {table}{said}");
            assert!(!said.contains("start over"), "{change}: {said}");
            until(&format!("{change}: nobody needs the old address any more"), || {
                !is_promiscuous("bridge0")
            });
            server.signal("-TERM");
            let (status, _, log) = server.end(SOON);
            assert_eq!(status, 0, "{change}: {log}");
            assert_said(&log, "bridge0", &["the link's address was 02:00:00:00:00:05 and is "]);
            assert_eq!(log.matches(": booted: ").count(), 2, "{change}: {log}");
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn sleds_that_can_not_reach_the_old_address_start_over() {
    inside(1, || {
        let desk = desk();
        let own = "02:00:00:00:00:77";
        ip(&format!("link set {NEAR} address {own}"));
        let server =
            Running::start(&desk, "bootserver", &format!("--rate 30Mbit {NEAR} zfs.img all"));
        let rack = Running::start(&desk, "sledsim", &format!("{FAR} -t 30"));
        wait_for_frames(NEAR, 1000);
        // Like a switch that has forgotten the address, and does not flood.
        let rules = format!(
            "table netdev lost {{\n chain from_sleds {{\n  type filter hook ingress device {NEAR} \
             priority 0;\n  ether daddr {own} drop\n }}\n}}\n"
        );
        desk.write("rules", rules.as_bytes());
        run("nft", &format!("-f {}", desk.path("rules").display()));
        ip(&format!("link set {NEAR} address 02:00:00:00:00:99"));
        let (status, table, said) = rack.end(SOON);
        assert_eq!(status, 0, "{table}{said}");
        assert!(said.contains("told it to start over"), "{said}");
        server.signal("-TERM");
        let (status, _, log) = server.end(SOON);
        assert_eq!(status, 0, "{log}");
        let line = "not heard from since the link's address changed: told to start over";
        assert_eq!(log.matches(line).count(), 1, "{log}");
    });
}

/// Whether a link of this namespace accepts frames for every address.
fn is_promiscuous(link: &str) -> bool {
    let shown = Command::new("ip").args(["-d", "link", "show", link]).output();
    let shown = shown.unwrap_or_else(|error| netns::missing("ip", &error));
    !String::from_utf8_lossy(&shown.stdout).contains(" promiscuity 0 ")
}
