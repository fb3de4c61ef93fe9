//! A rack that boots, as the log, commands and the status service show it.

#![cfg(target_os = "linux")]

mod lab;
#[path = "../../backends/tests/netns/mod.rs"]
mod netns;
mod tool;

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{Running, SOON, image, sledsim};
use crate::netns::{FAR, NEAR, inside};
use crate::tool::Desk;

/// The status and the body of an answer.
fn ask(socket: &Path, path: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

fn until(what: &str, is_so: impl Fn() -> bool) {
    let end = Instant::now() + SOON;
    while !is_so() {
        assert!(Instant::now() < end, "{what}");
        sleep(Duration::from_millis(10));
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_rack_that_boots_is_seen_everywhere() {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", 8);
        desk.write("hook", b"#!/bin/sh\necho \"$BOOT_LINK $BOOT_SLED $BOOT_BYTES\" >>booted\n");
        fs::set_permissions(desk.path("hook"), Permissions::from_mode(0o755)).unwrap();
        let line = format!("--log json --on-finish ./hook --status ./status {NEAR} zfs.img all");
        let server = Running::start(&desk, "bootserver", &line);
        let socket = desk.path("status");
        until("the server is not well", || socket.exists() && ask(&socket, "/healthz").0 == 200);
        let rack = sledsim(&desk, &format!("{FAR} --sleds 3 --mac 02:00:00:00:00:01 -t 40"));
        assert!(rack.status.success());
        let booted = |path: &str| ask(&socket, path).1.matches("\"state\":\"booted\"").count();
        until("not all have booted", || booted("/api/v1/sleds") == 3);
        let images = ask(&socket, "/api/v1/images").1;
        until("no verdict", || ask(&socket, "/api/v1/images").1.contains("\"network\""));
        assert!(images.contains("zfs.img"), "{images}");
        let counted = |metric: &str| {
            let text = ask(&socket, "/metrics").1;
            let lines =
                text.lines().filter_map(|line| line.strip_prefix(metric)?.rsplit(' ').next());
            lines.map(|number| number.parse::<f64>().unwrap()).sum::<f64>()
        };
        let boots = counted("bootserver_boots_total{");
        assert!((boots - 3.0).abs() < 0.1, "{boots} boots");
        until("contents are not counted", || {
            (counted("bootserver_boot_contents_bytes_total{") - f64::from(3 * (8 << 20))).abs()
                < 1.0
        });
        until("frames are not counted", || counted("bootserver_link_data_frames_total{") > 24000.0);
        let ran = || fs::read_to_string(desk.path("booted")).unwrap_or_default();
        until("no command was run", || ran().lines().count() == 3);
        assert!(ran().contains(&format!("{NEAR} 02:00:00:00:00:02 {}\n", 8 << 20)), "{}", ran());
        server.signal("-TERM");
        let (status, _, log) = server.end(SOON);
        assert_eq!(status, 0, "{log}");
        assert!(!socket.exists(), "it goes with its server");
        let schema = include_str!("../../docs/events.schema.json");
        let schema = jsonschema::validator_for(&serde_json::from_str(schema).unwrap()).unwrap();
        let lines: Vec<Value> =
            log.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
        for line in &lines {
            assert!(schema.is_valid(line), "{line}");
        }
        let told = |kind: &str| lines.iter().filter(|line| line["event"] == kind).count();
        assert_eq!([told("finished"), told("counts"), told("image_loaded")], [3, 1, 1], "{log}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_command_that_takes_long_holds_up_neither_boots_nor_the_end() {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", 8);
        desk.write("hook", b"#!/bin/sh\nsleep 1000\n");
        fs::set_permissions(desk.path("hook"), Permissions::from_mode(0o755)).unwrap();
        let line = format!("--on-finish ./hook {NEAR} zfs.img all");
        let mut server = Running::start(&desk, "bootserver", &line);
        let rack = sledsim(&desk, &format!("{FAR} --sleds 8 --mac 02:00:00:00:00:01 -t 40"));
        assert!(rack.status.success());
        for sled in 1..=8 {
            server.until_said(&[&format!("02:00:00:00:00:0{sled}: booted: ")]);
        }
        server.signal("-TERM");
        let (status, _, log) = server.end(SOON);
        assert_eq!(status, 0, "{log}");
    });
}

#[test]
fn an_address_that_can_not_be_had_is_refused_at_the_start() {
    let mut desk = Desk::new();
    for line in [
        "bootserver --status 7270 net0 raw all",
        "bootserver --status ./raw lo raw all",
        "bootserver --log yaml net0 raw all",
        "bootserver --log-level loud net0 raw all",
    ] {
        assert_eq!(desk.run(line).status.code(), Some(1), "{line}");
    }
    desk.assert_golden("bootserver-status-refused.txt");
}
