//! The packet backend on real links, in namespaces that the tests make.

#![cfg(target_os = "linux")]

mod changes;
mod choice;
mod faults;
#[path = "../netns/mod.rs"]
mod netns;
mod outages;
mod paths;
mod sandbox;
mod tap;

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use boot_backends::{Clock, Datalink, OpenOptions, TxPath, open};
use boot_format::wire::{Head, MacAddr};
use boot_image::Contents;
use boot_netboot::batch::Batch;

use self::netns::{FAR, NEAR, SOON};

type Link = Box<dyn Datalink + Send>;

const PATHS: [TxPath; 3] = [TxPath::Mmsg, TxPath::Uring, TxPath::Xdp];
const SOURCE: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 2]);
const BLOCK: usize = 1024;

/// Opens the near end, and checks that this path is in use.
fn via(tx: TxPath) -> Link {
    let link = open(NEAR, OpenOptions { tx, ..OpenOptions::default() }).unwrap();
    let path = link.path().unwrap().to_owned();
    let word = match tx {
        TxPath::Uring => "io_uring, ",
        TxPath::Xdp => "AF_XDP in copy mode",
        TxPath::Mmsg | TxPath::Auto => "sendmmsg",
    };
    assert!(path.contains(word), "{tx}: {path}");
    link
}

fn far() -> Link {
    open(FAR, OpenOptions { all_addresses: true, tx: TxPath::Mmsg, ..OpenOptions::default() })
        .unwrap()
}

fn image(blocks: usize) -> Contents {
    let fill = |bytes: &mut [u8]| {
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = (index / 3 + index / BLOCK) as u8;
        }
    };
    Contents::build(blocks * BLOCK, (blocks * BLOCK) as u64, "", "rpool", fill).unwrap()
}

fn push(batch: &mut Batch, image: &Contents, block: usize) {
    let start = block * BLOCK;
    let head = Head::data(SLED, SOURCE, start as u64, BLOCK);
    batch.push_contents(head, image, start, BLOCK);
}

/// Hands a link the time, as the loop does.
fn tick(link: &mut Link) {
    static CLOCK: LazyLock<Clock> = LazyLock::new(Clock::new);
    link.tick(CLOCK.now());
}

/// Sends a batch as the loop does, and counts the frames taken.
fn send_all(link: &mut Link, batch: &mut Batch, taken: &mut usize) {
    let until = Instant::now() + SOON;
    loop {
        tick(link);
        *taken += link.send(batch).unwrap().taken;
        if batch.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "there is never any room");
        link.receive(Duration::from_secs(1), true, &mut |_| {}).unwrap();
    }
}

/// The next `count` frames that arrive; it is an error if they don't.
fn frames_at(link: &mut Link, count: usize) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let until = Instant::now() + SOON;
    while frames.len() < count {
        assert!(Instant::now() < until, "{} of {count} frames arrived", frames.len());
        let mut sink = |frame: &[u8]| frames.push(frame.to_vec());
        link.receive(Duration::from_millis(100), false, &mut sink).unwrap();
    }
    assert_eq!(frames.len(), count);
    frames
}
