//! Blocks that are run as root: each line by itself, with a server at `net0` and sleds at `net1`;
//! those that ask a server, all of them with the same.

use std::process::Command;

#[path = "../../../backends/tests/netns/mod.rs"]
mod netns;

use self::netns::{FAR, NEAR, inside};
use super::blocks::{Block, Kind, blocks};
use super::desk;
use super::lab::{Running, SOON, sledsim};
use super::tool::Desk;

/// The first sled that the documents name.
const SLED: &str = "a8:40:25:00:00:01";

#[test]
#[ignore = "needs root and network namespaces"]
fn every_command_works_on_links() {
    for block in blocks().into_iter().filter(|block| block.kind == Kind::OnLinks) {
        if block.text.starts_with("curl ") {
            inside(1, || ask(&block));
            continue;
        }
        for line in block.text.lines() {
            inside(1, || run(&block, line));
        }
    }
}

fn run(block: &Block, line: &str) {
    let desk = desk();
    let line = line.replace("net0", NEAR).replace("net1", FAR);
    let (program, arguments) = line.split_once(' ').unwrap();
    match program {
        "bootserver" => serve(block, &desk, arguments),
        "sledsim" => {
            let server = Running::start(&desk, "bootserver", &format!("{NEAR} zfs.img all"));
            let rack = sledsim(&desk, arguments);
            assert!(rack.status.success(), "{block}: {rack:?}");
            server.signal("-TERM");
            assert_eq!(server.end(SOON).0, 0, "{block}");
        }
        other => panic!("{block}: {other} is not run on links"),
    }
}

/// Has a shell run requests to the documents' server, which must succeed.
fn ask(block: &Block) {
    let desk = desk();
    let line = "--config rack.toml --state took --status ./status --control";
    let mut server = Running::start(&desk, "bootserver", line);
    server.until_said(&["zfs.img: \"ci\""]);
    let mut shell = Command::new("sh");
    let answer = shell.args(["-eu", "-c", &block.text]).current_dir(desk.path("."));
    let answer = answer.output().unwrap();
    assert!(answer.status.success(), "{block}: {answer:?}");
    server.signal("-TERM");
    assert_eq!(server.end(SOON).0, 0, "{block}");
}

/// Boots a sled, and ends the server if that does not end it.
fn serve(block: &Block, desk: &Desk, arguments: &str) {
    let mut server = Running::start(desk, "bootserver", arguments);
    assert!(server.is_running(), "{block}: {:?}", server.end(SOON));
    let rack = sledsim(desk, &format!("{FAR} --mac {SLED} --csum boot_image_csum -t 50"));
    assert!(rack.status.success(), "{block}: {rack:?}");
    if !arguments.starts_with("-s ") {
        server.signal("-TERM");
    }
    let (status, _, log) = server.end(SOON);
    assert_eq!(status, 0, "{block}: {log}");
}
