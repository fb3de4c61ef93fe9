//! A server under systemd: its notifications, and what its unit allows.

#![cfg(target_os = "linux")]

#[path = "../../backends/tests/netns/mod.rs"]
mod netns;
mod tool;

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use netns::{NEAR, inside};

use crate::tool::{Desk, tool};

/// Longer than any success takes.
const SOON: Duration = Duration::from_mins(1);

/// A server at work, which does not outlive the test.
struct Served(Child);

impl Served {
    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Waits for a message that begins with `wanted`; those of the watchdog may come in between.
fn until_told(socket: &UnixDatagram, wanted: &str) {
    let mut text = [0; 256];
    loop {
        let length = socket.recv(&mut text).expect(wanted);
        let told = std::str::from_utf8(&text[..length]).unwrap();
        if told.starts_with(wanted) {
            return;
        }
        assert_eq!(told.trim(), "WATCHDOG=1", "instead of {wanted}");
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn the_supervisor_is_told_of_start_reload_and_end_and_its_watchdog_is_fed() {
    inside(1, || {
        let desk = Desk::new();
        assert!(desk.pipe("mkimage -q -i raw -o zfs.img").status.success());
        let config = format!("links = [\"{NEAR}\"]\nimages = [\"zfs.img\"]\nworkers = 2\n");
        desk.write("rack.toml", config.as_bytes());
        let socket = UnixDatagram::bind(desk.path("notify")).unwrap();
        socket.set_read_timeout(Some(SOON)).unwrap();
        let mut command = tool("bootserver");
        command.args(["--config", "rack.toml"]).current_dir(desk.path("."));
        command.env("NOTIFY_SOCKET", desk.path("notify")).env("WATCHDOG_USEC", "100000");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut server = Served(command.spawn().unwrap());
        until_told(&socket, "READY=1");
        for _ in 0..3 {
            until_told(&socket, "WATCHDOG=1");
        }
        server.signal("-HUP");
        until_told(&socket, "RELOADING=1");
        until_told(&socket, "READY=1");
        server.signal("-TERM");
        until_told(&socket, "STOPPING=1");
        assert!(server.0.wait().unwrap().success());
    });
}

#[test]
fn the_unit_lets_the_server_give_up_what_it_has() {
    let unit = include_str!("../../contrib/bootserver.service");
    let filters: Vec<_> =
        unit.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")).collect();
    let last = filters.last().expect("there is a filter");
    // `capset` is among the calls that the line before takes away.
    for call in ["capset", "landlock_create_ruleset", "landlock_restrict_self", "seccomp"] {
        assert!(last.split(' ').any(|allowed| allowed == call), "{call}: {filters:?}");
    }
}

#[test]
#[ignore = "needs systemd-analyze, of the package systemd"]
fn the_unit_exposes_little() {
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/bootserver.service");
    let mut command = Command::new("systemd-analyze");
    // In tenths.
    command.args(["security", "--offline=true", "--threshold=20", "--no-pager"]).arg(unit);
    let output = command.output().expect("systemd-analyze is missing: install systemd");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("Overall exposure level"), "{said}");
}
