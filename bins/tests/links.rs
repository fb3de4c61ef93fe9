//! Faults of links, and of the memory behind frames, during a boot; and several links at once.

#![cfg(target_os = "linux")]

mod lab;
#[path = "../../backends/tests/netns/mod.rs"]
mod netns;
mod tool;

use std::fs::File;
use std::thread::sleep;
use std::time::Duration;

use crate::lab::{Running, SOON, image, sledsim};
use crate::netns::{FAR, NEAR, inside, ip, run, sent_by, wait_for, wait_for_frames};
use crate::tool::Desk;

/// The number before `what` in the line about `link`.
fn counted(log: &str, link: &str, what: &str) -> u64 {
    let start = format!(" bootserver: {link}: ");
    let mut lines = log.lines().filter_map(|line| Some(line.split_once(&start)?.1));
    let line = lines.rfind(|line| line.contains(" sent"));
    let line = line.unwrap_or_else(|| panic!("nothing is said of {link}: {log}"));
    let (before, _) = line.split_once(what).unwrap_or_else(|| panic!("{what}: {line}"));
    before.rsplit(' ').find_map(|word| word.parse().ok()).expect("a number")
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_boot_outlives_a_link_that_goes_down_at_either_end() {
    for (tx, end) in ["mmsg", "uring", "xdp"].into_iter().flat_map(|tx| [(tx, NEAR), (tx, FAR)]) {
        inside(1, || {
            let mut desk = Desk::new();
            image(&mut desk, "zfs.img", 64);
            let line = format!("-s -t 20 --tx {tx} {NEAR} zfs.img all");
            let mut server = Running::start(&desk, "bootserver", &line);
            let rack = Running::start(&desk, "sledsim", &format!("{FAR} --sleds 4 -t 40"));
            wait_for_frames(NEAR, 3000);
            ip(&format!("link set {end} down"));
            server.until_said(&["the link is down"]);
            ip(&format!("link set {end} up"));
            let (status, table, said) = rack.end(SOON);
            assert_eq!(status, 0, "{tx}, {end}: {table}{said}");
            assert!(table.contains("4 of 4 booted"), "{tx}, {end}: {table}");
            let (status, _, log) = server.end(SOON);
            assert_eq!(status, 0, "{tx}, {end}: {log}");
            assert!(log.contains("; the link was down once, "), "{tx}, {end}: {log}");
            let lines = ["the link is down", "the link is up again, after "];
            let told = lines.map(|line| log.find(&format!("bootserver: {NEAR}: {line}")));
            assert!(told[0].is_some() && told[0] < told[1], "{tx}, {end}: {log}");
        });
    }
}

/// How often the sleds of a table had to ask again.
fn timeouts(table: &str) -> u64 {
    let all = table.lines().find(|line| line.contains(" booted ")).expect("a line for all sleds");
    all.split_whitespace().nth(6).and_then(|count| count.parse().ok()).expect("a count")
}

#[test]
#[ignore = "needs root and network namespaces"]
fn after_a_short_outage_a_boot_goes_on_before_the_sled_asks_again() {
    for tx in ["mmsg", "uring"] {
        inside(1, || {
            let mut desk = Desk::new();
            image(&mut desk, "zfs.img", 32);
            // Slow enough that frames are always in flight.
            run("tc", &format!("qdisc add dev {NEAR} root tbf rate 400mbit burst 32k limit 64k"));
            // A READ that is lost in the outage only the sled can retransmit. That happens in a few
            // tries in ten, and more often on a busy machine, where an outage may be longer.
            let mut asked_again = (0..50).map(|_| {
                let line = format!("-s -t 20 --tx {tx} {NEAR} zfs.img all");
                let server = Running::start(&desk, "bootserver", &line);
                let rack = Running::start(&desk, "sledsim", &format!("{FAR} -t 40 --answers 0"));
                wait_for_frames(NEAR, sent_by(NEAR) + 5000);
                ip(&format!("link set {NEAR} down"));
                sleep(Duration::from_millis(300));
                ip(&format!("link set {NEAR} up"));
                let (status, table, said) = rack.end(SOON);
                assert_eq!(status, 0, "{tx}: {table}{said}");
                let (status, _, log) = server.end(SOON);
                assert_eq!(status, 0, "{tx}: {log}");
                assert_eq!(counted(&log, NEAR, " dropped"), 0, "{tx}: {log}");
                assert!(counted(&log, NEAR, " held while the link was down") > 0, "{tx}: {log}");
                timeouts(&table)
            });
            assert!(asked_again.any(|count| count == 0), "{tx}");
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn what_the_server_counts_is_what_the_link_counts() {
    for tx in ["mmsg", "uring", "xdp"] {
        inside(2, || {
            let mut desk = Desk::new();
            image(&mut desk, "zfs.img", 8);
            let line = format!("--tx {tx} --workers 2 {NEAR} zfs.img all");
            let mut server = Running::start(&desk, "bootserver", &line);
            // Frames are not received before all workers are there.
            server.until_said(&["serving every sled"]);
            let rack = sledsim(&desk, &format!("{FAR} --sleds 8 --mac 02:00:00:00:00:01 -t 40"));
            assert!(rack.status.success());
            for sled in 1..=8 {
                server.until_said(&[&format!("02:00:00:00:00:0{sled}: booted: ")]);
            }
            server.signal("-USR1");
            server.until_said(&[" frames sent"]);
            server.signal("-TERM");
            let (_, _, log) = server.end(SOON);
            let (frames, received) = (sent_by(NEAR), sent_by(FAR));
            assert_eq!(log.matches(" frames sent").count(), 2, "{log}");
            assert!(frames >= 8 * 8 * 1024, "{tx}: {frames}");
            assert_eq!(counted(&log, NEAR, " frames sent"), frames, "{tx}: {log}");
            assert_eq!(counted(&log, NEAR, " dropped"), 0, "{tx}: {log}");
            assert_eq!(counted(&log, NEAR, " received"), received, "{tx}: {log}");
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_slow_link_is_waited_for_and_not_asked_without_end() {
    for tx in ["mmsg", "uring"] {
        inside(1, || {
            let mut desk = Desk::new();
            image(&mut desk, "zfs.img", 16);
            let shape = format!("qdisc add dev {NEAR} root tbf rate 100mbit burst 16k limit 64k");
            run("tc", &shape);
            let line = format!("--tx {tx} {NEAR} zfs.img all");
            let server = Running::start(&desk, "bootserver", &line);
            let rack = sledsim(&desk, &format!("{FAR} --sleds 4 -t 50"));
            assert!(rack.status.success());
            server.signal("-TERM");
            let (_, _, log) = server.end(SOON);
            let frames = counted(&log, NEAR, " frames sent");
            assert_eq!(frames, sent_by(NEAR), "{tx}: {log}");
            // Each wait should make room for a few frames.
            let waits = counted(&log, NEAR, " times for room");
            assert!((1..frames / 2).contains(&waits), "{tx}: {log}");
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_mapped_image_that_is_cut_short_ends_the_boots_from_it_and_not_the_server() {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "good.img", 64);
        image(&mut desk, "zfs.img", 64);
        let mut server = Running::start(&desk, "bootserver", &format!("--map {NEAR} zfs.img all"));
        let rack = Running::start(&desk, "sledsim", &format!("{FAR} --sleds 2 -t 30"));
        wait_for_frames(NEAR, 5000);
        let file = File::options().write(true).open(desk.path("zfs.img")).unwrap();
        file.set_len(1 << 20).unwrap();
        server.until_said(&["it was mapped, so the old one is lost"]);
        std::fs::rename(desk.path("good.img"), desk.path("zfs.img")).unwrap();
        let (status, table, said) = rack.end(SOON);
        assert_eq!(status, 0, "{table}{said}");
        assert!(said.contains("told it to start over"), "{said}");
        server.signal("-TERM");
        let (status, _, log) = server.end(SOON);
        assert_eq!(status, 0, "{log}");
        assert!(log.contains(", mapped"), "{log}");
        assert!(log.contains("sendmmsg (not AF_XDP: it can't send from mapped files)"), "{log}");
        assert!(log.contains("its image can no longer be read"), "{log}");
        assert!(log.contains("it was mapped, so the old one is lost"), "{log}");
        assert!(counted(&log, NEAR, " dropped because a mapped image") > 0, "{log}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn with_one_sled_a_mapped_image_that_is_cut_short_is_the_end() {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", 64);
        let line = format!("-s --map --tx uring {NEAR} zfs.img any");
        let mut server = Running::start(&desk, "bootserver", &line);
        // A HELLO that comes before is said again after 4 s only.
        server.until_said(&["serving "]);
        let rack = Running::start(&desk, "sledsim", &format!("{FAR} -t 3"));
        wait_for_frames(NEAR, 5000);
        let file = File::options().write(true).open(desk.path("zfs.img")).unwrap();
        file.set_len(1 << 20).unwrap();
        let (status, _, log) = server.end(SOON);
        assert_eq!(status, 1, "{log}");
        assert!(log.contains("its image can no longer be read"), "{log}");
        let (_, _, said) = rack.end(SOON);
        assert!(said.contains("told it to start over"), "{said}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn loading_and_sixty_four_sleds_take_less_than_9_mib_beyond_the_contents() {
    const CONTENTS: u64 = 8;
    /// A build without optimisation took 2.8 to 5.6 MiB, of which 1 KiB a sled is for what a full ring
    /// may cost. Besides, a release build has a good 3 MiB of its program in memory.
    const BEYOND: u64 = 6 << 10;
    let kinds = [("mmsg", 1, ""), ("mmsg", 2, " -z"), ("xdp", 1, " -z"), ("xdp", 2, "")];
    for (tx, workers, packed) in kinds {
        inside(2, || {
            let mut desk = Desk::new();
            image(&mut desk, "zfs.img", CONTENTS as u32);
            let made = desk.run(&format!("mkimage -q{packed} -i contents -o zfs.img"));
            assert!(made.status.success());
            let line = format!("--tx {tx} --workers {workers} {NEAR} zfs.img all");
            let server = Running::start(&desk, "bootserver", &line);
            let rack = sledsim(&desk, &format!("{FAR} --sleds 64 -t 50"));
            assert!(rack.status.success());
            let beyond = server.memory() - (CONTENTS << 10);
            assert!(beyond < BEYOND, "{tx}, {workers} workers, mkimage{packed}: {beyond} KiB");
        });
    }
}

/// Runs `body` where two cables are: a second one joins `near2` and `far2`.
fn inside_with_two_cables(body: impl FnOnce() + Send) {
    inside(1, || {
        ip("link add near2 type veth peer name far2");
        for end in ["near2", "far2"] {
            ip(&format!("link set {end} addrgenmode none"));
            ip(&format!("link set {end} up"));
        }
        wait_for("near2");
        wait_for("far2");
        body();
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn sleds_with_one_address_on_two_links_are_two_sleds() {
    inside_with_two_cables(|| {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", 16);
        let mut server =
            Running::start(&desk, "bootserver", &format!("-t 20 {NEAR},near2 zfs.img all"));
        let line = |link: &str| format!("{link} --mac 02:00:00:00:00:01 -t 40");
        let racks = [FAR, "far2"].map(|link| Running::start(&desk, "sledsim", &line(link)));
        for rack in racks {
            let (status, table, said) = rack.end(SOON);
            assert_eq!(status, 0, "{table}{said}");
        }
        for link in [NEAR, "near2"] {
            server.until_said(&[&format!("{link} 02:00:00:00:00:01: booted: ")]);
        }
        server.signal("-TERM");
        let (_, _, log) = server.end(SOON);
        for link in [NEAR, "near2"] {
            let booted = format!("{link} 02:00:00:00:00:01: booted: 16 MiB");
            assert_eq!(log.matches(&booted).count(), 1, "{log}");
            assert_eq!(counted(&log, link, " frames sent"), sent_by(link), "{log}");
        }
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn what_is_assigned_and_what_is_learnt_is_a_sleds_on_its_link() {
    inside_with_two_cables(|| {
        let mut desk = Desk::new();
        for (name, mebibytes) in [("a.img", 1), ("b.img", 2), ("c.img", 3)] {
            image(&mut desk, name, mebibytes);
        }
        let (one, two) = ("02:00:00:00:00:01", "02:00:00:00:00:02");
        // An old line: without a link.
        let c = tool::hex(&desk.read("c.img.csum"));
        desk.write("learnt", format!("{two} {c}\n").as_bytes());
        let images = "--image a.img --image b.img --image c.img";
        let assigned = format!("--assign {one}=a.img --assign near2/{one}=b.img");
        let line = format!("{NEAR},near2 {images} {assigned} --state learnt all");
        let server = Running::start(&desk, "bootserver", &line);
        for (link, mac, csum) in [
            (FAR, one, "a.img.csum"),
            ("far2", one, "b.img.csum"),
            // Offered at once the image in its old line.
            (FAR, two, "c.img.csum"),
        ] {
            let boot = sledsim(&desk, &format!("{link} -t 20 --mac {mac} --csum {csum}"));
            assert!(boot.status.success(), "{link}: {}", String::from_utf8_lossy(&boot.stderr));
        }
        server.signal("-TERM");
        let (_, _, log) = server.end(SOON);
        let learnt = String::from_utf8(desk.read("learnt")).unwrap();
        let [a, b] = ["a.img.csum", "b.img.csum"].map(|name| tool::hex(&desk.read(name)));
        let learnt_now =
            format!("{two} {c}\n{NEAR}/{one} {a}\nnear2/{one} {b}\n{NEAR}/{two} {c}\n");
        assert_eq!(learnt, learnt_now, "{log}");
        assert_eq!(log.matches(&format!("{NEAR} {two}: offered ")).count(), 1, "{log}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn what_is_said_of_a_link_by_any_of_its_names_is_said_of_the_link() {
    inside_with_two_cables(|| {
        let mut desk = Desk::new();
        for (name, mebibytes) in [("a.img", 1), ("b.img", 2)] {
            image(&mut desk, name, mebibytes);
        }
        for name in ["rack1-left,0", "uplink0"] {
            ip(&format!("link property add dev {NEAR} altname {name}"));
        }
        let (one, two) = ("02:00:00:00:00:01", "02:00:00:00:00:02");
        let b = tool::hex(&desk.read("b.img.csum"));
        // The name that an earlier run of the server used.
        desk.write("learnt", format!("uplink0/{two} {b}\n").as_bytes());
        let images = "--image a.img --image b.img --state learnt";
        let assigned = format!("--assign uplink0/{one}=b.img --assign near2/{one}=a.img");
        let line = format!("near2,rack1-left,0 {images} {assigned} all");
        let server = Running::start(&desk, "bootserver", &line);
        for (link, mac, csum) in
            [(FAR, one, "b.img.csum"), (FAR, two, "b.img.csum"), ("far2", one, "a.img.csum")]
        {
            let boot = sledsim(&desk, &format!("{link} -t 20 --mac {mac} --csum {csum}"));
            assert!(boot.status.success(), "{link}: {}", String::from_utf8_lossy(&boot.stderr));
        }
        server.signal("-TERM");
        let (_, _, log) = server.end(SOON);
        let learnt = String::from_utf8(desk.read("learnt")).unwrap();
        let a = tool::hex(&desk.read("a.img.csum"));
        let wanted = format!("{NEAR}/{one} {b}\n{NEAR}/{two} {b}\nnear2/{one} {a}\n");
        assert_eq!(learnt, wanted, "{log}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn of_two_links_any_serves_one_sled_in_all() {
    inside_with_two_cables(|| {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", 1);
        let server = Running::start(&desk, "bootserver", &format!("{NEAR},near2 zfs.img any"));
        let line = |link: &str| format!("{link} --mac 02:00:00:00:00:01 -t 10");
        assert!(sledsim(&desk, &line(FAR)).status.success());
        // A sled with the same address on another link is another sled.
        for mac in ["02:00:00:00:00:01", "02:00:00:00:00:02"] {
            let other = sledsim(&desk, &format!("far2 --mac {mac} -t 1"));
            assert_eq!(other.status.code(), Some(1), "{mac}");
        }
        server.signal("-TERM");
        let (_, _, log) = server.end(SOON);
        assert_eq!(log.matches("is the first").count(), 1, "{log}");
        let mut others = log.lines().filter(|line| line.contains(" near2 02:"));
        assert!(others.all(|line| line.contains(": says hello, but is not")), "{log}");
    });
}
