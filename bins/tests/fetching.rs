//! Serving images from an S3 server, as a lab does: published by a build, followed by a server,
//! booted by a sled.

#![cfg(target_os = "linux")]

mod lab;
#[path = "../../backends/tests/netns/mod.rs"]
mod netns;
mod tool;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use netns::{FAR, NEAR, inside, ip};

use crate::lab::s3::{LOGIN, Store};
use crate::lab::{Running, SOON, image, sledsim};
use crate::tool::{Desk, path};

/// Runs a program with our tools in its PATH, and fails if it fails.
fn run(desk: &Desk, program: &str, line: &str) {
    let tools = Path::new(path("lookimage")).parent().unwrap().display();
    let paths = format!("{tools}:{}", std::env::var("PATH").unwrap());
    let mut command = Command::new(program);
    command.args(line.split(' ')).current_dir(desk.path(".")).env("PATH", paths).envs(LOGIN);
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {line}: {output:?}");
}

fn publish(desk: &Desk, line: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../contrib/publish/publish");
    run(desk, script.to_str().unwrap(), line);
}

/// A folder with two images and a key, in a namespace with a link and an S3 server.
fn in_a_lab(body: impl FnOnce(&Desk, Store) + Send) {
    inside(1, || {
        ip("link set lo up");
        let mut desk = Desk::new();
        image(&mut desk, "one.img", 2);
        image(&mut desk, "two.img", 3);
        run(&desk, "minisign", "-G -W -p key.pub -s key");
        let store = Store::start(&desk);
        body(&desk, store);
    });
}

fn boots(desk: &Desk, csum: &str) {
    let rack = sledsim(desk, &format!("{FAR} --sleds 1 --csum {csum} -t 50"));
    assert!(rack.status.success(), "{rack:?}");
}

#[test]
#[ignore = "needs root, network namespaces, s3s-fs, minisign, jq and curl"]
fn a_channel_in_s3_is_followed_and_outlives_the_store() {
    in_a_lab(|desk, store| {
        publish(desk, "--serial 1 stable key s3://images one.img");
        let line = format!(
            "{NEAR} s3://images/stable.channel all --cache cache --channel-key key.pub --refresh 0.2"
        );
        let mut server = Running::start_with(desk, "bootserver", &line, &LOGIN);
        boots(desk, "one.img.csum");
        publish(desk, "--serial 2 stable key s3://images two.img one.img");
        server.until_said(&["s3://images/stable.channel: serial 2, 2 images"]);
        boots(desk, "two.img.csum");
        publish(desk, "--serial 1 stable key s3://images one.img");
        server.until_said(&["its serial number went back from 2 to 1", "stays in service"]);
        drop(store);
        server.until_said(&["Connection refused", "stays in service"]);
        server.signal("-TERM");
        assert_eq!(server.end(SOON).0, 0);
        let mut again = Running::start_with(desk, "bootserver", &line, &LOGIN);
        boots(desk, "two.img.csum");
        let _store = Store::start(desk);
        again.until_said(&["its serial number went back from 2 to 1", "stays in service"]);
        publish(desk, "--serial 3 stable key s3://images one.img");
        again.until_said(&["all is well again"]);
        again.signal("-TERM");
        assert_eq!(again.end(SOON).0, 0);
    });
}

#[test]
#[ignore = "needs root, network namespaces, s3s-fs, minisign, jq and curl"]
fn images_in_s3_are_served_by_name_and_without_the_right_key_not_at_all() {
    in_a_lab(|desk, _store| {
        fs::copy(desk.path("one.img"), desk.path("store/images/one.img")).unwrap();
        fs::create_dir(desk.path("store/images/more")).unwrap();
        fs::copy(desk.path("two.img"), desk.path("store/images/more/two.img")).unwrap();
        let line = format!("{NEAR} s3://images/one.img --image s3://images/more all --cache cache");
        let wrong = [LOGIN[0], LOGIN[1], ("AWS_SECRET_ACCESS_KEY", "expired")];
        let mut server = Running::start_with(desk, "bootserver", &line, &wrong);
        let refusal = "the store refuses: 403 Forbidden: SignatureDoesNotMatch";
        server.until_said(&["s3://images/one.img: ", refusal, "nothing of it is in service yet"]);
        server.signal("-TERM");
        let (status, _, log) = server.end(SOON);
        assert!(status == 0 && !log.contains("expired"), "{log}");
        let server = Running::start_with(desk, "bootserver", &line, &LOGIN);
        boots(desk, "one.img.csum");
        boots(desk, "two.img.csum");
        server.signal("-TERM");
        assert_eq!(server.end(SOON).0, 0);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_url_that_a_reload_brings_is_followed_and_one_that_it_takes_away_is_not() {
    inside(1, || {
        let mut desk = Desk::new();
        for (name, size) in [("one.img", 2), ("two.img", 3), ("three.img", 4)] {
            image(&mut desk, name, size);
        }
        let url = |name: &str| format!("\"file://{}\"", desk.path(name).display());
        let configure = |images: &str| {
            let text = format!("links = [\"{NEAR}\"]\ncache = \"cache\"\nimages = [{images}]\n");
            desk.write("rack.toml", text.as_bytes());
        };
        configure("\"one.img\"");
        let mut server = Running::start(&desk, "bootserver", "--config rack.toml");
        boots(&desk, "one.img.csum");
        // The first URL of all.
        configure(&format!("\"one.img\", {}", url("two.img")));
        server.signal("-HUP");
        server.until_said(&["configuration: images: ", "is added"]);
        boots(&desk, "two.img.csum");
        configure(&url("three.img"));
        server.signal("-HUP");
        server.until_said(&["three.img: fetched"]);
        boots(&desk, "three.img.csum");
        let gone = sledsim(&desk, &format!("{FAR} --sleds 1 --csum two.img.csum -t 2"));
        assert!(!gone.status.success(), "it is offered all the same");
        // An invalid URL changes nothing.
        configure("\"https://store/stable.channel\"");
        server.signal("-HUP");
        server.until_said(&["whose signature?"]);
        server.until_said(&["the old one stays in force"]);
        boots(&desk, "three.img.csum");
        server.signal("-TERM");
        assert_eq!(server.end(SOON).0, 0);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn one_sled_waits_for_an_image_that_is_still_to_come() {
    inside(1, || {
        let mut desk = Desk::new();
        image(&mut desk, "one.img", 2);
        let share = desk.path("share");
        let url = format!("file://{}/zfs.img", share.display());
        let line =
            format!("-s -t 1 {NEAR} {url} any --assign 02:00:00:00:00:01={url} --cache cache");
        let mut server = Running::start(&desk, "bootserver", &line);
        server.until_said(&["nothing of it is in service yet"]);
        fs::create_dir(&share).unwrap();
        fs::copy(desk.path("one.img"), share.join("zfs.img")).unwrap();
        server.signal("-HUP");
        let rack =
            sledsim(&desk, &format!("{FAR} --mac 02:00:00:00:00:01 --csum one.img.csum -t 50"));
        assert!(rack.status.success(), "{rack:?}");
        assert_eq!(server.end(SOON).0, 0);
    });
}
