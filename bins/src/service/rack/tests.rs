//! What events do to the model.

use std::time::Duration;

use boot_netboot::server::SledStatus;

use super::*;
use crate::service::SledAt;
use crate::service::counts::Counts;
use crate::service::events::LinkEvent;
use crate::service::events::samples::{IMAGE, SLED, SUMMARY, of_link, of_sled};
use crate::stderr::record::Level;

struct Trial {
    rack: Rack,
    names: Names,
    start: Instant,
}

impl Trial {
    fn new() -> Self {
        Self { rack: Rack::default(), names: Names::default(), start: Instant::now() }
    }

    fn note(&mut self, milliseconds: u64, event: &Event) {
        let now = self.start + Duration::from_millis(milliseconds);
        self.rack.note(now, event, &self.names);
    }

    fn stand(&mut self, milliseconds: u64, bytes: u64, early: u64) {
        let now = boot_netboot::time::Instant::ZERO + Duration::from_millis(milliseconds);
        let status = SledStatus {
            sled: SLED,
            stage: Stage::Reading,
            image: Some(IMAGE),
            bytes,
            size: SUMMARY.size,
            frames: bytes / 1024,
            again: 0,
            early,
            heard: now,
        };
        let standing = Standing { worker: 0, now, counts: Counts::default(), sleds: vec![status] };
        let what = What::Standing(Box::new(standing));
        self.note(milliseconds, &Event { link: Some("net0".into()), ..Event::now(what) });
    }

    fn sled(&self) -> &Sled {
        self.rack.sleds.values().next().unwrap()
    }

    fn got(&mut self) -> (u64, u64) {
        let deltas = self.rack.take_deltas();
        deltas.iter().fold((0, 0), |(bytes, early), delta| {
            assert_eq!((delta.link.as_deref(), delta.image), (Some("net0"), Some(IMAGE)));
            (bytes + delta.bytes, early + delta.early)
        })
    }
}

#[test]
fn a_boot_is_counted_once_whether_events_or_standings_tell_of_it() {
    let mut trial = Trial::new();
    let size = SUMMARY.size;
    for _ in 0..2 {
        trial.note(0, &of_sled(EventKind::Hello { again: false }));
        trial.note(0, &of_sled(EventKind::Offered { checksum: IMAGE, repeated: false }));
        trial.note(0, &of_sled(EventKind::Started { size }));
        trial.stand(500, size / 4, 1);
        trial.note(700, &of_sled(EventKind::Progress { bytes: size / 2, size }));
        trial.stand(1000, size / 2, 2);
        assert_eq!(trial.sled().state, State::Reading);
        trial.note(1500, &of_sled(EventKind::Finished(SUMMARY)));
        assert_eq!(trial.got(), (size, SUMMARY.early));
    }
    let sled = trial.sled();
    assert_eq!((sled.state, sled.boots, sled.failures), (State::Booted, 2, 0));
    assert!((sled.rate - size as f64 / 0.5).abs() < 1.0);
}

#[test]
fn the_rate_and_the_time_left_follow_the_last_seconds() {
    let mut trial = Trial::new();
    trial.note(0, &of_sled(EventKind::Started { size: SUMMARY.size }));
    for step in 1..20 {
        trial.stand(step * 500, step << 20, 0);
    }
    let sled = trial.sled();
    assert!((sled.rate - f64::from(2 << 20)).abs() < 1.0, "{}", sled.rate);
    assert_eq!(sled.seconds_left(), Some((64.0 - 19.0) / 2.0));
    trial.note(20_000, &of_sled(EventKind::Stalled { bytes: 19 << 20, size: SUMMARY.size }));
    assert_eq!((trial.sled().state, trial.sled().seconds_left()), (State::Stalled, None));
    trial.stand(20_500, 20 << 20, 0);
    assert_eq!(trial.sled().state, State::Reading, "it is back");
}

#[test]
fn a_boot_whose_beginning_was_lost_is_seen_in_the_middle() {
    let mut trial = Trial::new();
    trial.stand(500, 8 << 20, 0);
    assert_eq!(trial.sled().state, State::Reading);
    assert_eq!(trial.got(), (8 << 20, 0));
    trial.stand(1000, 1 << 20, 0);
    assert_eq!(trial.sled().bytes, 1 << 20, "it has started over");
}

#[test]
fn what_stations_claim_is_bounded_and_boots_stay() {
    let mut trial = Trial::new();
    trial.note(0, &of_sled(EventKind::Started { size: 1 }));
    for number in 0..5000_u16 {
        let [high, low] = number.to_be_bytes();
        let sled = Some(MacAddr::new([6, 0, 0, 0, high, low]));
        for kind in [EventKind::Hello { again: false }, EventKind::NotServed] {
            trial.note(1, &Event { sled, ..of_sled(kind) });
        }
        trial.rack.remember(Record::notice(SystemTime::now(), Level::Info, String::new()));
    }
    let rack = &trial.rack;
    assert_eq!(rack.sleds.len(), Rack::MOST_SLEDS);
    assert!(rack.sleds.contains_key(&("net0".into(), SLED)), "boots stay");
    assert_eq!(rack.ignored.len(), Rack::MOST_IGNORED);
    let events = rack.event_views(usize::MAX);
    assert_eq!(events.len(), Rack::MOST_EVENTS);
}

#[test]
fn a_name_that_is_given_later_is_shown_at_the_next_look() {
    let mut trial = Trial::new();
    trial.stand(500, 1 << 20, 0);
    assert_eq!(trial.sled().name, None);
    let at = SledAt { link: None, address: SLED };
    trial.names.set([(at, "left".into())]);
    trial.stand(1000, 2 << 20, 0);
    assert_eq!(trial.sled().name.as_deref(), Some("left"));
}

#[test]
fn the_server_is_well_while_all_workers_of_its_links_go_on() {
    let mut trial = Trial::new();
    assert_eq!(trial.rack.illness(trial.start), Some("no link is served"));
    let path = "AF_PACKET".to_owned();
    trial.note(0, &of_link(LinkEvent::Opened { path, worker: 1, workers: 1 }));
    assert_eq!(trial.rack.illness(trial.start), Some("not all workers have started"));
    trial.stand(1000, 0, 0);
    let at = |seconds| trial.start + Duration::from_secs(seconds);
    assert_eq!(trial.rack.illness(at(2)), None);
    assert_eq!(trial.rack.illness(at(7)), Some("a worker hangs"));
    let error = "net0: the link is gone".to_owned();
    trial.note(8000, &of_link(LinkEvent::Gone { error }));
    assert_eq!(trial.rack.illness(trial.start), Some("no link is served"));
}
