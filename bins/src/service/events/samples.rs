//! One event of each kind, for tests.

use std::path::PathBuf;
use std::time::Duration;

use boot_format::Checksum;
use boot_format::wire::MacAddr;
use boot_netboot::server::{EventKind, Expected, GroupEvent, Leaving, OneByOne, Summary};

use super::image::Before;
use super::{ConfigEvent, Event, FetchEvent, ImageEvent, LinkEvent, Subject, What};
use crate::service::control::{Asker, Assigned};
use crate::service::hooks::{Hook, HookEvent};
use crate::stderr::record::Level;

pub(crate) const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
pub(crate) const IMAGE: Checksum = Checksum::from_bytes([0xf5; 32]);

/// A boot of 64 MiB in half a second.
pub(crate) const SUMMARY: Summary = Summary {
    time: Duration::from_millis(500),
    size: 64 << 20,
    frames: 65_540,
    again: 1,
    early: 3,
    needless: 1,
    assumed: false,
};

/// An event of the sled on `net0`.
pub(crate) fn of_sled(kind: EventKind) -> Event {
    Event { link: Some("net0".into()), sled: Some(SLED), ..Event::now(What::Sled(kind)) }
}

/// Something that happens to `net0`.
pub(crate) fn of_link(event: LinkEvent) -> Event {
    Event { link: Some("net0".into()), ..Event::now(What::Link(event)) }
}

/// All that can be logged.
pub(crate) fn all() -> Vec<Event> {
    let mut all: Vec<Event> = sleds().into_iter().map(of_sled).collect();
    all.extend(links().into_iter().map(of_link));
    let mut whats: Vec<_> = groups().into_iter().map(What::Group).collect();
    whats.extend(images().into_iter().map(Box::new).map(What::Image));
    whats.extend(fetches().into_iter().map(Box::new).map(What::Fetch));
    whats.extend(configs().into_iter().map(What::Config));
    let by = Asker { uid: 1000, pid: Some(4242) };
    whats.extend([
        What::Refused(IMAGE, 10),
        What::Counts { counts: Box::default(), asked: true },
        What::Assigned(Box::new(Assigned { image: Some("zfs.img".to_owned()), once: true, by })),
        What::Assigned(Box::new(Assigned {
            image: None,
            once: false,
            by: Asker { pid: None, ..by },
        })),
        What::Hook(HookEvent::Said(Hook::Finish, "thanks".to_owned())),
        What::Hook(HookEvent::Failed(Hook::Fail, "exit status: 1".to_owned())),
        What::Hook(HookEvent::Late(Hook::Fail, Duration::from_secs(30))),
        What::Hook(HookEvent::LeftOut(Hook::Finish)),
        What::Serving("every sled".to_owned()),
        What::Boots("8 of 8 booted".to_owned()),
        What::Failed("there is no image to offer".to_owned()),
        What::Notice(Level::Warn, "the disk is full".to_owned()),
        What::LeftOut(Subject::Hello, 960),
        What::Lost(7),
    ]);
    all.extend(whats.into_iter().map(Event::now));
    all
}

fn sleds() -> Vec<EventKind> {
    let (bytes, size) = (1 << 20, 64 << 20);
    vec![
        EventKind::Settled,
        EventKind::Hello { again: false },
        EventKind::Offered { checksum: IMAGE, repeated: false },
        EventKind::Started { size },
        EventKind::Progress { bytes, size },
        EventKind::Stalled { bytes, size },
        EventKind::Finished(SUMMARY),
        EventKind::Lost { bytes, size },
        EventKind::Reset,
        EventKind::Unreadable,
        EventKind::Unheard,
        EventKind::NotServed,
        EventKind::Evicted,
    ]
}

fn links() -> Vec<LinkEvent> {
    vec![
        LinkEvent::Opened { path: "AF_PACKET".to_owned(), worker: 1, workers: 2 },
        LinkEvent::Down,
        LinkEvent::Up { after: Duration::from_millis(1234) },
        LinkEvent::Renamed { now: "left".to_owned() },
        LinkEvent::Address { was: SLED, now: SLED },
        LinkEvent::Mtu { mtu: 1040, fits: false },
        LinkEvent::AsUs { address: SLED, frames: 3 },
        LinkEvent::Gone { error: "net0: the link is gone".to_owned() },
    ]
}

fn groups() -> Vec<GroupEvent> {
    let expected = Expected {
        in_step: Duration::from_micros(1890),
        one_by_one: Duration::from_micros(35_456),
    };
    let reasons =
        [OneByOne::Faster, OneByOne::AllLose, OneByOne::OthersRead, OneByOne::OtherServer];
    let time = Duration::from_millis(250);
    let mut all = vec![
        GroupEvent::Gathering { window: Duration::from_secs(6) },
        GroupEvent::Waiting { sleds: 3, reading: 1 },
        GroupEvent::Offered { sleds: 8, checksum: IMAGE },
        GroupEvent::InStep { members: 8, position: 0, expected },
        GroupEvent::CaughtUp { sled: SLED, behind: 9 },
        GroupEvent::Done { members: 8, time, frames: 65_536 },
        GroupEvent::OtherServer { server: SLED },
    ];
    all.extend(reasons.map(|why| GroupEvent::OneByOne { sleds: 2, why, expected }));
    let leavings = [Leaving::Silent(time), Leaving::Slow(time), Leaving::Gone];
    all.extend(leavings.map(|why| GroupEvent::Left { sled: SLED, why, members: 1 }));
    all
}

fn images() -> Vec<ImageEvent> {
    let path = PathBuf::from("images/zfs.img");
    let mut all = vec![
        ImageEvent::Checking { path: path.clone(), why: "is new, checking it" },
        ImageEvent::Loaded {
            path: path.clone(),
            name: "ci".to_owned(),
            size: 64 << 20,
            checksum: IMAGE,
            mapped: false,
        },
        ImageEvent::Gone { path: path.clone() },
        ImageEvent::Unanswered { path: path.clone() },
        ImageEvent::Answered { path },
    ];
    all.extend([Before::None, Before::Kept, Before::Lost].map(|before| ImageEvent::Refused {
        reason: "zfs.img: not a boot image".to_owned(),
        never_good: before == Before::None,
        before,
    }));
    all
}

fn fetches() -> Vec<FetchEvent> {
    let url = "s3://images/zfs.img".to_owned();
    let path = PathBuf::from("cache/images/f5.img");
    let time = Duration::from_millis(250);
    vec![
        FetchEvent::Fetched { url: url.clone(), size: 64 << 20, time, checksum: IMAGE },
        FetchEvent::Channel { url: "s3://images/stable.channel".to_owned(), serial: 7, images: 2 },
        FetchEvent::Failed { url: url.clone(), reason: "503".to_owned(), kept: true },
        FetchEvent::Recovered { url },
        FetchEvent::Evicted { path: path.clone() },
        FetchEvent::Broken { path, reason: "it is cut short".to_owned(), removed: true },
    ]
}

fn configs() -> Vec<ConfigEvent> {
    vec![
        ConfigEvent::Fault { reason: "b.toml:3: map: found 7, expected true or false".to_owned() },
        ConfigEvent::Refused,
        ConfigEvent::Changed { key: "timeout".to_owned(), change: "now 5 s".to_owned() },
        ConfigEvent::Unchanged,
        ConfigEvent::NeedsRestart { key: "tx" },
        ConfigEvent::OutOfReach { path: PathBuf::from("/srv/images") },
    ]
}
