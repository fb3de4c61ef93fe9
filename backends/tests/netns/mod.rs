//! A network namespace for one test or bench, with a veth pair inside.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::fs;
use std::io;
use std::panic;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};

/// The two ends of the cable that every namespace has.
pub(crate) const NEAR: &str = "near";
/// What is sent on one end arrives at the other.
pub(crate) const FAR: &str = "far";

/// Longer than any success takes on the busiest machine: it only ends a hang.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// Why [`inside`] would fail here, if it would.
pub(crate) fn denied() -> Option<String> {
    let made = thread::spawn(|| unshare(CloneFlags::CLONE_NEWNET)).join();
    if let Ok(Err(error)) = made {
        return Some(format!("making a network namespace takes root: {error}"));
    }
    let ip = Command::new("ip").arg("-V").output();
    ip.err().map(|error| format!("the command ip (package iproute2): {error}"))
}

/// Runs `body` on a thread of its own in a new network namespace, where a veth pair with
/// `queues` queues joins [`NEAR`] and [`FAR`]. Both are up, and send nothing of their own accord.
/// The namespace goes with the thread and what it leaves open, also if `body` panics.
pub(crate) fn inside<T: Send>(queues: usize, body: impl FnOnce() -> T + Send) -> T {
    let run = || {
        unshare(CloneFlags::CLONE_NEWNET).expect("making a network namespace takes root");
        let count = format!("numtxqueues {queues} numrxqueues {queues}");
        ip(&format!("link add {NEAR} {count} type veth peer name {FAR} {count}"));
        for end in [NEAR, FAR] {
            // No addresses, so no neighbour discovery whose frames would be counted.
            ip(&format!("link set {end} addrgenmode none"));
            ip(&format!("link set {end} up"));
        }
        for end in [NEAR, FAR] {
            wait_for(end);
        }
        body()
    };
    let result = thread::scope(|scope| scope.spawn(run).join());
    result.unwrap_or_else(|cause| panic::resume_unwind(cause))
}

/// Waits until a link carries frames, a moment after it was brought up.
pub(crate) fn wait_for(link: &str) {
    let until = Instant::now() + SOON;
    loop {
        let shown = Command::new("ip").args(["link", "show", link]).output();
        let shown =
            String::from_utf8_lossy(&shown.unwrap_or_else(|error| missing("ip", &error)).stdout)
                .into_owned();
        // Some drivers report only that the link is not down.
        if shown.contains("state UP") || shown.contains("state UNKNOWN") {
            return;
        }
        assert!(Instant::now() < until, "{link} does not come up");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs the `ip` command in the caller's namespace.
pub(crate) fn ip(arguments: &str) {
    run("ip", arguments);
}

/// A program that a test needs is missing: names its Debian package.
pub(crate) fn missing(program: &str, error: &io::Error) -> ! {
    let package = match program {
        "ip" | "tc" => "iproute2",
        "nft" => "nftables",
        "setpriv" => "util-linux",
        other => other,
    };
    panic!("this test needs {program}: install the package {package} ({error})")
}

/// Runs a command in the caller's namespace.
pub(crate) fn run(program: &str, arguments: &str) {
    let status = Command::new(program).args(arguments.split_whitespace()).status();
    let status = status.unwrap_or_else(|error| missing(program, &error));
    assert!(status.success(), "{program} {arguments}: {status}");
}

/// How many frames a link of the caller's namespace reports as sent.
pub(crate) fn sent_by(link: &str) -> u64 {
    let table = fs::read_to_string("/proc/thread-self/net/dev").expect("there are links");
    let line = table.lines().find_map(|line| line.trim().strip_prefix(&format!("{link}:")));
    let columns = line.expect("the link is there").split_whitespace();
    columns.skip(9).map(|count| count.parse().expect("a count")).next().expect("ten columns")
}

/// Waits until a link has sent this many frames, when a boot is well under way.
pub(crate) fn wait_for_frames(link: &str, frames: u64) {
    let until = Instant::now() + Duration::from_secs(20);
    while sent_by(link) < frames {
        assert!(Instant::now() < until, "{} of {frames} frames", sent_by(link));
        thread::sleep(Duration::from_millis(1));
    }
}
