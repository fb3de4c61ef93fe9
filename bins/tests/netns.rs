//! The tools as a user runs them, on a real link: a veth pair in a namespace of its own. Each
//! test makes its own and needs root for that.

#![cfg(target_os = "linux")]

mod lab;
#[path = "../../backends/tests/netns/mod.rs"]
mod netns;
mod tool;

use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use netns::{FAR, NEAR, inside, ip};

use crate::lab::{Running, SOON, image, sledsim};
use crate::tool::Desk;

/// Loses this many of ten thousand frames from the server to the sleds.
fn lose(of_ten_thousand: u32) {
    let rules = format!(
        "table netdev loss {{\n chain to_sleds {{\n  type filter hook ingress device {FAR} \
         priority 0;\n  numgen random mod 10000 < {of_ten_thousand} drop\n }}\n}}\n"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rules");
    fs::write(&path, rules).unwrap();
    netns::run("nft", &format!("-f {}", path.display()));
}

fn boot(sleds: u32, mebibytes: u32, loss: u32) {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", mebibytes);
        if loss > 0 {
            lose(loss);
        }
        let server = Running::start(&desk, "bootserver", &format!("-s -t 20 {NEAR} zfs.img all"));
        let rack = sledsim(&desk, &format!("{FAR} --sleds {sleds} --csum zfs.img.csum -t 50"));
        let table = String::from_utf8(rack.stdout).unwrap();
        assert!(table.contains(&format!("{sleds} of {sleds} booted")), "{table}");
        assert_eq!(table.matches(" ok\n").count(), sleds as usize, "{table}");
        let (status, _, log) = server.end(SOON);
        assert_eq!(status, 0, "{log}");
        assert_eq!(log.matches(": booted: ").count(), sleds as usize, "{log}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn one_sled_boots() {
    boot(1, 64, 0);
}

#[test]
#[ignore = "needs root and network namespaces"]
fn eight_sleds_boot_at_once() {
    boot(8, 32, 0);
}

#[test]
#[ignore = "needs root and network namespaces"]
fn one_sled_boots_although_one_frame_in_a_hundred_is_lost() {
    boot(1, 16, 100);
}

#[test]
#[ignore = "needs root and network namespaces"]
fn eight_sleds_boot_although_one_frame_in_a_thousand_is_lost() {
    boot(8, 16, 10);
}

#[test]
#[ignore = "needs root and network namespaces"]
fn any_serves_the_first_sled_and_no_other() {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", 1);
        let server = Running::start(&desk, "bootserver", &format!("{NEAR} zfs.img any"));
        let first = sledsim(&desk, &format!("{FAR} -t 20 --mac 02:00:00:00:00:01"));
        assert!(first.status.success());
        let second = sledsim(&desk, &format!("{FAR} -t 1 --mac 02:00:00:00:00:02"));
        assert_eq!(second.status.code(), Some(1));
        let again = sledsim(&desk, &format!("{FAR} -t 20 --mac 02:00:00:00:00:01"));
        assert!(again.status.success());
        server.signal("-TERM");
        assert_eq!(server.end(SOON).0, 0);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn with_several_addresses_it_stops_when_each_has_booted() {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", 1);
        let sleds = "02:00:00:00:00:01 02:00:00:00:00:02";
        let mut server = Running::start(&desk, "bootserver", &format!("-s {NEAR} zfs.img {sleds}"));
        assert!(sledsim(&desk, &format!("{FAR} -t 20 --mac 02:00:00:00:00:01")).status.success());
        server.until_said(&["02:00:00:00:00:01: booted: "]);
        assert!(server.is_running());
        assert!(sledsim(&desk, &format!("{FAR} -t 20 --mac 02:00:00:00:00:02")).status.success());
        assert_eq!(server.end(SOON).0, 0);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn without_a_sled_it_fails_in_time_and_a_boot_is_never_cut_short() {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", 8);
        let started = Instant::now();
        let server = Running::start(&desk, "bootserver", &format!("-s -t 1 {NEAR} zfs.img any"));
        let (status, _, log) = server.end(SOON);
        assert_eq!(status, 1);
        assert!(log.contains("no sled has been heard from for 1 s"), "{log}");
        assert!(started.elapsed() >= Duration::from_secs(1));
        // At 20 Mbit/s the boot takes some seconds, and the sled is heard throughout.
        let shape = format!("qdisc add dev {NEAR} root tbf rate 20mbit burst 16k limit 64k");
        netns::run("tc", &shape);
        let server =
            Running::start(&desk, "bootserver", &format!("-s -t 2 --tx mmsg {NEAR} zfs.img any"));
        assert!(sledsim(&desk, &format!("{FAR} -t 40")).status.success());
        assert_eq!(server.end(SOON).0, 0);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_sled_that_dies_does_not_hang_a_script() {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", 64);
        let shape = format!("qdisc add dev {NEAR} root tbf rate 100mbit burst 16k limit 64k");
        netns::run("tc", &shape);
        let server =
            Running::start(&desk, "bootserver", &format!("-s -t 2 --tx mmsg {NEAR} zfs.img any"));
        assert_eq!(sledsim(&desk, &format!("{FAR} -t 1")).status.code(), Some(1));
        let (status, _, log) = server.end(SOON);
        assert_eq!(status, 1, "{log}");
        assert!(log.contains("no sled has been heard from"), "{log}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_replaced_image_is_for_the_next_boot_and_a_bad_one_for_none() {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", 1);
        image(&mut desk, "new.img", 2);
        let server = Running::start(&desk, "bootserver", &format!("{NEAR} zfs.img all"));
        let boots =
            |csum: &str| sledsim(&desk, &format!("{FAR} -t 15 --csum {csum}")).status.success();
        assert!(boots("zfs.img.csum"));
        fs::rename(desk.path("new.img"), desk.path("zfs.img")).unwrap();
        assert!(boots("new.img.csum"));
        let mut bad = desk.read("zfs.img");
        bad[9999] ^= 1;
        desk.write("zfs.img", &bad);
        assert!(boots("new.img.csum"));
        fs::remove_file(desk.path("zfs.img")).unwrap();
        assert!(!sledsim(&desk, &format!("{FAR} -t 2")).status.success());
        server.signal("-TERM");
        let (_, _, log) = server.end(SOON);
        assert!(log.contains("the contents' SHA-256 is"), "{log}");
        assert!(log.contains("the old one stays in service"), "{log}");
        assert!(log.contains("no longer offered"), "{log}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn of_many_images_each_sled_gets_the_one_that_it_wants() {
    inside(1, || {
        let mut desk = Desk::new();
        fs::create_dir(desk.path("images")).unwrap();
        image(&mut desk, "a.img", 1);
        image(&mut desk, "b.img", 2);
        for name in ["a.img", "b.img"] {
            fs::rename(desk.path(name), desk.path("images").join(name)).unwrap();
        }
        desk.write("images/notes.txt", b"no image");
        let line = format!("{NEAR} --image images --state learnt all");
        let server = Running::start(&desk, "bootserver", &line);
        for (mac, csum) in
            [("02:00:00:00:00:0a", "a.img.csum"), ("02:00:00:00:00:0b", "b.img.csum")]
        {
            let boot = sledsim(&desk, &format!("{FAR} -t 20 --mac {mac} --csum {csum}"));
            assert!(boot.status.success(), "{}", String::from_utf8_lossy(&boot.stderr));
        }
        server.signal("-TERM");
        server.end(SOON);
        let learnt = String::from_utf8(desk.read("learnt")).unwrap();
        let expected = format!(
            "{NEAR}/02:00:00:00:00:0a {}\n{NEAR}/02:00:00:00:00:0b {}\n",
            tool::hex(&desk.read("a.img.csum")),
            tool::hex(&desk.read("b.img.csum"))
        );
        assert_eq!(learnt, expected);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_server_that_is_started_anew_has_the_sled_start_over() {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", 16);
        let shape = format!("qdisc add dev {NEAR} root tbf rate 100mbit burst 16k limit 64k");
        netns::run("tc", &shape);
        let line = format!("--tx mmsg {NEAR} zfs.img all");
        let mut server = Running::start(&desk, "bootserver", &line);
        let rack = Running::start(&desk, "sledsim", &format!("{FAR} -t 50"));
        server.until_said(&[": reading: "]);
        server.signal("-KILL");
        server.end(SOON);
        let server = Running::start(&desk, "bootserver", &line);
        let (status, table, log) = rack.end(SOON);
        assert_eq!(status, 0, "{table}{log}");
        assert!(log.contains("told it to start over"), "{log}");
        server.signal("-TERM");
        server.end(SOON);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn links_that_will_not_do_are_refused_with_the_reason() {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", 1);
        let refusal = |link: &str| {
            let (status, _, log) =
                Running::start(&desk, "bootserver", &format!("-t 5 {link} zfs.img all")).end(SOON);
            assert_eq!(status, 1, "{log}");
            log
        };
        assert!(refusal("net7").contains("the links are: far, lo, near"));
        assert!(refusal("lo").contains("not an Ethernet link"));
        ip(&format!("link set {NEAR} mtu 1000"));
        assert!(refusal(NEAR).contains("the MTU is 1000"));
        ip(&format!("link set {NEAR} mtu 1500"));
        let mut server = Running::start(&desk, "bootserver", &format!("{NEAR} zfs.img all"));
        server.until_said(&["serving every sled"]);
        ip(&format!("link del {NEAR}"));
        let (status, _, log) = server.end(SOON);
        assert_eq!(status, 1, "{log}");
        assert!(log.contains("near: the link is gone"), "{log}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_log_that_nobody_reads_stops_neither_boots_nor_the_end() {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", 4);
        let server = Running::start(&desk, "bootserver", &format!("{NEAR} zfs.img all"));
        // A few lines for each of these sleds: more than a pipe takes.
        let rack = sledsim(&desk, &format!("{FAR} --sleds 128 -t 50"));
        assert!(rack.status.success());
        for round in 0..3 {
            let mac = format!("06:00:00:0{round}:00:01");
            let rack = sledsim(&desk, &format!("{FAR} --sleds 128 --mac {mac} -t 50"));
            assert!(rack.status.success(), "round {round}");
        }
        server.signal("-TERM");
        let (status, _, log) = server.end(SOON);
        assert_eq!(status, 0);
        assert!(!log.contains(" frames sent"), "the pipe was never full: {} bytes", log.len());
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn the_end_of_a_run_has_a_table_and_one_cut_short_is_no_success() {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", 4);
        let server = Running::start(&desk, "bootserver", &format!("-s -t 20 {NEAR} zfs.img all"));
        assert!(sledsim(&desk, &format!("{FAR} --sleds 3 -t 20")).status.success());
        let (status, _, log) = server.end(SOON);
        assert_eq!(status, 0, "{log}");
        assert!(log.contains("bootserver: 3 of 3 booted, 12 MiB in "), "{log}");
        assert_eq!(log.matches("  ok\n").count(), 3, "{log}");
        let server = Running::start(&desk, "bootserver", &format!("-s {NEAR} zfs.img any"));
        server.signal("-TERM");
        let (status, _, log) = server.end(SOON);
        assert_eq!(status, 143, "{log}");
        assert!(log.contains("0 of 0 booted"), "{log}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn of_a_folder_it_is_said_what_is_new_and_what_is_gone_and_of_the_rest_nothing() {
    inside(1, || {
        let mut desk = Desk::new();
        fs::create_dir(desk.path("images")).unwrap();
        for (name, mebibytes) in [("a.img", 1), ("b.img", 2), ("c.img", 3)] {
            image(&mut desk, name, mebibytes);
        }
        let place = |name: &str| desk.path("images").join(name);
        for name in ["a.img", "b.img"] {
            fs::rename(desk.path(name), place(name)).unwrap();
        }
        let server = Running::start(&desk, "bootserver", &format!("{NEAR} --image images all"));
        let boots = |csum: &str, mac: &str| {
            let line = format!("{FAR} -t 20 --csum {csum} --mac {mac}");
            assert!(sledsim(&desk, &line).status.success());
        };
        boots("a.img.csum", "02:00:00:00:00:0a");
        fs::remove_file(place("a.img")).unwrap();
        fs::rename(desk.path("c.img"), place("c.img")).unwrap();
        boots("c.img.csum", "02:00:00:00:00:0c");
        // Signalling a group and its leader sends two.
        server.signal("-TERM");
        server.signal("-TERM");
        let (status, _, log) = server.end(SOON);
        assert_eq!(status, 0, "{log}");
        assert_eq!(log.matches("images/a.img: the file is gone").count(), 1, "{log}");
        assert_eq!(log.matches("images/c.img: is new, checking it").count(), 1, "{log}");
        assert_eq!(log.matches("checking it").count(), 1, "{log}");
    });
}

/// Holds a lease on a file, which others wait for when they open it.
const HOLD_LEASE: &str = "\
import fcntl, signal, sys, time
signal.signal(signal.SIGIO, signal.SIG_IGN)
file = open(sys.argv[1], 'r+')
fcntl.fcntl(file, 1024, fcntl.F_WRLCK)  # F_SETLEASE
print('held', flush=True)
time.sleep(60)
";

#[test]
#[ignore = "needs root and network namespaces"]
fn an_image_that_never_loads_holds_back_only_its_own_sled() {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "good.img", 1);
        image(&mut desk, "slow.img", 1);
        // Opening a file waits until the holder of a lease gives it back.
        let mut holder = Command::new("python3")
            .args(["-c", HOLD_LEASE, "slow.img"])
            .current_dir(desk.path("."))
            .stdout(Stdio::piped())
            .spawn()
            .expect("this test needs python3: install the package python3");
        let mut line = [0; 5];
        holder.stdout.take().unwrap().read_exact(&mut line).unwrap();
        fs::create_dir(desk.path("images")).unwrap();
        fs::rename(desk.path("good.img"), desk.path("images/good.img")).unwrap();
        assert!(Command::new("mkfifo").arg(desk.path("images/pipe")).status().unwrap().success());
        let line =
            format!("--image images --assign 02:00:00:00:00:02=slow.img --state learnt {NEAR} all");
        let server = Running::start(&desk, "bootserver", &line);
        let boots = |mac: &str, csum: &str, seconds| {
            let line = format!("{FAR} -t {seconds} --mac 02:00:00:00:00:{mac} --csum {csum}");
            sledsim(&desk, &line).status.success()
        };
        assert!(boots("01", "good.img.csum", 20));
        assert!(!boots("02", "good.img.csum", 5), "it is to have the other image only");
        server.signal("-HUP");
        assert!(boots("03", "good.img.csum", 20));
        holder.kill().unwrap();
        holder.wait().unwrap();
        assert!(boots("02", "slow.img.csum", 20));
        // What it learnt is written soon, not only at an orderly end.
        let until = Instant::now() + SOON;
        let learnt = || fs::read_to_string(desk.path("learnt")).unwrap_or_default();
        while learnt().lines().count() < 3 {
            assert!(Instant::now() < until, "{}", learnt());
            sleep(Duration::from_millis(5));
        }
        server.signal("-KILL");
        let (_, _, log) = server.end(SOON);
        assert!(log.contains("passed over: images/pipe: it is a pipe"), "{log}");
        assert_eq!(String::from_utf8(desk.read("learnt")).unwrap().lines().count(), 3, "{log}");
    });
}
