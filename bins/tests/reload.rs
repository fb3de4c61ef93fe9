//! A server with a configuration file, on a real link: names, images to boot once, and SIGHUP.
//! Making the link takes root.

#![cfg(target_os = "linux")]

mod lab;
#[path = "../../backends/tests/netns/mod.rs"]
mod netns;
mod tool;

use std::fs;
use std::path::Path;
use std::process::Command;

use netns::{FAR, NEAR, inside};

use crate::lab::{Running, SOON, image, sledsim};
use crate::tool::Desk;

const SLED: &str = "02:00:00:00:00:01";

/// A folder with two images, and a configuration with these lines behind its first.
fn desk(lines: &str) -> Desk {
    let mut desk = Desk::new();
    image(&mut desk, "zfs.img", 1);
    image(&mut desk, "recovery.img", 2);
    configure(&desk, lines);
    desk
}

fn configure(desk: &Desk, lines: &str) {
    desk.write("rack.toml", format!("links = [\"{NEAR}\"]\n{lines}").as_bytes());
}

fn serve(desk: &Desk) -> Running {
    Running::start(desk, "bootserver", "--config rack.toml")
}

/// Boots the sled, which wants `image`, and returns what the server has logged about it by then.
fn boot(desk: &Desk, server: &mut Running, image: &str) {
    let rack = sledsim(desk, &format!("{FAR} -t 20 --mac {SLED} --csum {image}.csum"));
    assert!(rack.status.success(), "{image}: {rack:?}");
    server.until_said(&[&format!("{SLED} (left): booted: ")]);
}

/// Whether the sled boots an image in the time for a first offer, but not for a second.
fn is_offered(desk: &Desk, image: &str) -> bool {
    sledsim(desk, &format!("{FAR} -t 2 --mac {SLED} --csum {image}.csum")).status.success()
}

fn end(server: Running) -> String {
    server.signal("-TERM");
    let (status, _, log) = server.end(SOON);
    assert_eq!(status, 0, "{log}");
    log
}

#[test]
#[ignore = "needs root and network namespaces"]
fn an_image_is_booted_once_and_a_restarted_server_knows_it() {
    let sled = format!("[[sled]]\nmac = \"{SLED}\"\nname = \"left\"\n");
    let once = format!("{sled}image = \"zfs.img\"\nonce = \"recovery.img\"\n");
    inside(1, || {
        let desk = desk(&format!("state = \"state\"\n{once}"));
        let mut server = serve(&desk);
        assert!(!is_offered(&desk, "zfs.img"));
        boot(&desk, &mut server, "recovery.img");
        server.until_said(&[SLED, "recovery.img once: from now on it boots as before"]);
        assert!(!is_offered(&desk, "recovery.img"));
        assert!(is_offered(&desk, "zfs.img"));
        end(server);
        let state = String::from_utf8(desk.read("state")).unwrap();
        assert!(state.ends_with(&format!("once \"recovery.img\" {SLED}\n")), "{state}");

        let mut server = serve(&desk);
        assert!(!is_offered(&desk, "recovery.img"));
        assert!(is_offered(&desk, "zfs.img"));
        // Taken away and put back, it is due again.
        let others = format!("state = \"state\"\n{sled}image = \"zfs.img\"\n");
        configure(&desk, &others);
        server.signal("-HUP");
        server.until_said(&["configuration: sled", SLED, "now named left, with zfs.img"]);
        configure(&desk, &format!("{others}once = \"recovery.img\"\n"));
        server.signal("-HUP");
        server.until_said(&["configuration: sled", SLED, "with recovery.img once"]);
        assert!(is_offered(&desk, "recovery.img"));
        assert!(is_offered(&desk, "zfs.img"));
        end(server);
    });
}

/// What the server's API says, by the rest of a command line of curl.
fn curl(desk: &Desk, rest: &[&str]) -> String {
    let socket = desk.path("status");
    let curl = ["-sS", "--fail-with-body", "--max-time", "20", "--unix-socket"];
    let mut command = Command::new("curl");
    command.args(curl).arg(&socket).args(rest);
    let output = command.output().expect("curl, of the package curl");
    let answer = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{rest:?}: {answer}");
    answer
}

/// Has the server assign an image, and returns its answer.
fn assign(desk: &Desk, order: &str) -> String {
    curl(desk, &["http://rack/api/v1/assignments", "-d", order])
}

fn ask(desk: &Desk, what: &str) -> String {
    curl(desk, &[&format!("http://rack/api/v1/{what}")])
}

#[test]
#[ignore = "needs root and network namespaces"]
fn what_is_assigned_while_serving_counts_for_more_than_the_file_and_outlives_both() {
    let lines = format!(
        "images = [\"zfs.img\"]\nstate = \"state\"\nstatus = \"./status\"\ncontrol = true\n\
         [[sled]]\nmac = \"{SLED}\"\nname = \"left\"\n"
    );
    let with_image = format!(
        "{lines}image = \"zfs.img\"\n[[sled]]\nmac = \"2:0:0:0:0:9\"\nonce = \"recovery.img\"\n"
    );
    inside(1, || {
        let desk = desk(&with_image);
        let mut server = serve(&desk);
        server.until_said(&["recovery.img: "]);
        let answer = assign(&desk, r#"{"sled": "left", "image": "recovery.img", "once": true}"#);
        assert!(answer.contains(r#""once":"recovery.img""#), "{answer}");
        let me = owner(&desk.path("rack.toml"));
        server.until_said(&[SLED, "(left): assigned recovery.img once", &format!("user {me} ")]);
        assert!(!is_offered(&desk, "zfs.img"));
        boot(&desk, &mut server, "recovery.img");
        server.until_said(&[SLED, "has booted recovery.img once: from now on it boots as before"]);
        assert!(is_offered(&desk, "zfs.img"));

        assign(&desk, &format!(r#"{{"sled": "{NEAR}/{SLED}", "image": "recovery.img"}}"#));
        // It overrides the file, even one that is read again.
        configure(&desk, &with_image.replace("left", "right"));
        server.signal("-HUP");
        server.until_said(&["images assigned to 1 sled while serving stay in force"]);
        let told = ask(&desk, "events");
        assert!(told.contains(r#""event":"config_changed""#), "{told}");
        assert!(!is_offered(&desk, "zfs.img"));
        assert!(is_offered(&desk, "recovery.img"));
        end(server);

        let mut server = serve(&desk);
        server.until_said(&["images assigned to 1 sled while serving stay in force"]);
        assert!(!is_offered(&desk, "zfs.img"));
        assert!(is_offered(&desk, "recovery.img"));
        let order = format!(r#"{{"sled": "{NEAR}/{SLED}", "image": null}}"#);
        assert!(assign(&desk, &order).contains(r#""assignments":[]"#));
        server.until_said(&[SLED, "left to the configuration again"]);
        assert!(!is_offered(&desk, "recovery.img"));
        assert!(is_offered(&desk, "zfs.img"));
        end(server);
        let state = String::from_utf8(desk.read("state")).unwrap();
        assert!(!state.contains("assigned"), "{state}");
    });
}

/// The owner of this file.
fn owner(path: &Path) -> u32 {
    std::os::unix::fs::MetadataExt::uid(&fs::metadata(path).unwrap())
}

#[test]
#[ignore = "needs root and network namespaces"]
fn without_an_image_of_its_own_a_sled_goes_on_with_what_it_took_before() {
    let sled = format!("images = [\"zfs.img\", \"recovery.img\"]\n[[sled]]\nmac = \"{SLED}\"\n");
    inside(1, || {
        let desk = desk(&format!("{sled}name = \"left\"\n"));
        let mut server = serve(&desk);
        boot(&desk, &mut server, "zfs.img");
        configure(&desk, &format!("{sled}name = \"left\"\nonce = \"recovery.img\"\n"));
        server.signal("-HUP");
        server.until_said(&["configuration: sled", "recovery.img once"]);
        assert!(is_offered(&desk, "recovery.img"));
        assert!(is_offered(&desk, "zfs.img"));
        end(server);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_reload_says_what_has_changed_and_a_bad_file_changes_nothing() {
    inside(1, || {
        let desk = desk("images = [\"zfs.img\"]\n");
        let mut server = serve(&desk);
        assert!(is_offered(&desk, "zfs.img"));
        configure(&desk, "images = [\"recovery.img\"]\nrate = 7\n");
        server.signal("-HUP");
        server.until_said(&["rack.toml:3: rate: found 7 (integer), expected auto, max"]);
        server.until_said(&["the configuration is refused: the old one stays in force"]);
        assert!(is_offered(&desk, "zfs.img"));

        let lines = "images = [\"recovery.img\"]\nrate = \"1Gbit\"\ntimeout = 50\ntx = \"uring\"\nlog = \"json\"\non-fail = \"true\"\n";
        configure(&desk, &format!("{lines}serve = \"listed\"\n[[sled]]\nmac = \"{SLED}\"\n"));
        server.signal("-HUP");
        for change in [
            "images: recovery.img is added",
            "images: zfs.img is removed",
            "rate: now 1Gbit",
            "timeout: now 50 s",
            "serve: other sleds are served",
            "sled 02:00:00:00:00:01: added without an image of its own",
            "tx: this change takes a restart",
            "log: this change takes a restart",
            "on-fail: this change takes a restart",
        ] {
            server.until_said(&["configuration: ", change]);
        }
        assert!(!is_offered(&desk, "zfs.img"));
        assert!(is_offered(&desk, "recovery.img"));
        let other = sledsim(&desk, &format!("{FAR} -t 1 --mac 02:00:00:00:00:02"));
        assert!(!other.status.success(), "another sled is served");
        server.signal("-HUP");
        server.until_said(&["configuration: tx: this change takes a restart"]);
        end(server);
    });
}
