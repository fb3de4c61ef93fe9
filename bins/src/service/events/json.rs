//! The log for programs: a record for each event. `docs/events.md` and the schema beside it
//! describe them.

use std::time::Duration;

use boot_backends::LEAST_MTU;
use boot_netboot::server::{EventKind, Expected, GroupEvent, Leaving, OneByOne, Summary};

use super::image::Before;
use super::{ConfigEvent, Event, FetchEvent, ImageEvent, LinkEvent, What};
use crate::service::control::Assigned;
use crate::service::counts::Counts;
use crate::stderr::record::Record;

/// The record of `event`, if it is one for the log.
pub(crate) fn record(event: &Event) -> Option<Record> {
    let (kind, fields) = match &event.what {
        What::Sled(kind) => of_sled(kind),
        What::Refused(checksum, times) => {
            ("refused", Fields::default().with("image", checksum.to_string()).with("times", *times))
        }
        What::Group(group) => of_group(group),
        What::Link(link) => of_link(link),
        What::Image(image) => of_image(image),
        What::Fetch(fetch) => of_fetch(fetch),
        What::Config(config) => of_config(config),
        What::Counts { counts, .. } => ("counts", of_counts(counts)),
        What::Assigned(assigned) => of_assigned(assigned),
        What::Hook(hook) => (hook.key(), Fields(hook.fields())),
        What::Serving(who) => ("serving", Fields::default().with("sleds", who.as_str())),
        What::Boots(text) => ("boots", Fields::default().with("text", text.as_str())),
        What::Failed(reason) => ("failed", Fields::default().with("reason", reason.as_str())),
        What::Notice(_, text) => ("notice", Fields::default().with("text", text.as_str())),
        What::LeftOut(subject, count) => {
            ("left_out", Fields::default().with("about", subject.key()).with("events", *count))
        }
        What::Lost(count) => ("events_lost", Fields::default().with("events", *count)),
        What::InService(_) | What::Judged(_) | What::Standing(_) => return None,
    };
    let record = Record::new(event.time, event.level(), kind);
    let sled = event.sled.map(|sled| sled.to_string());
    let record = record.about(event.link.as_deref(), sled, event.name.as_deref());
    Some(fields.0.into_iter().fold(record, |record, (key, value)| record.with(key, value)))
}

/// What a record has besides its kind.
#[derive(Default)]
struct Fields(Vec<(&'static str, serde_json::Value)>);

impl Fields {
    fn with(mut self, key: &'static str, value: impl Into<serde_json::Value>) -> Self {
        self.0.push((key, value.into()));
        self
    }

    fn seconds(self, key: &'static str, time: Duration) -> Self {
        // Clocks are no better than microseconds here.
        self.with(key, (time.as_secs_f64() * 1e6).round() / 1e6)
    }

    fn at(bytes: u64, size: u64) -> Self {
        Self::default().with("bytes", bytes).with("size", size)
    }
}

fn of_sled(kind: &EventKind) -> (&'static str, Fields) {
    let none = Fields::default();
    match kind {
        EventKind::Settled => ("settled", none),
        EventKind::Hello { again } => ("hello", none.with("again", *again)),
        EventKind::Offered { checksum, repeated } => {
            ("offered", none.with("image", checksum.to_string()).with("repeated", *repeated))
        }
        EventKind::Started { size } => ("started", none.with("size", *size)),
        EventKind::Progress { bytes, size } => ("progress", Fields::at(*bytes, *size)),
        EventKind::Finished(summary) => ("finished", of_boot(summary)),
        EventKind::Stalled { bytes, size } => ("stalled", Fields::at(*bytes, *size)),
        EventKind::Lost { bytes, size } => ("lost", Fields::at(*bytes, *size)),
        EventKind::Reset => ("reset", none),
        EventKind::Unreadable => ("unreadable", none),
        EventKind::Unheard => ("unheard", none),
        EventKind::Evicted => ("evicted", none),
        EventKind::NotServed => ("not_served", none),
    }
}

fn of_boot(summary: &Summary) -> Fields {
    let Summary { time, size, frames, again, early, needless, assumed } = *summary;
    Fields::default()
        .with("size", size)
        .seconds("seconds", time)
        .with("frames", frames)
        .with("retransmitted_on_request", again)
        .with("retransmitted_early", early)
        .with("retransmitted_needlessly", needless)
        .with("assumed", assumed)
}

fn of_group(event: &GroupEvent) -> (&'static str, Fields) {
    let none = Fields::default();
    match event {
        GroupEvent::Gathering { window } => ("group_gathering", none.seconds("seconds", *window)),
        GroupEvent::Waiting { sleds, reading } => {
            ("group_waiting", none.with("sleds", *sleds).with("reading", *reading))
        }
        GroupEvent::Offered { sleds, checksum } => {
            ("group_offered", none.with("sleds", *sleds).with("image", checksum.to_string()))
        }
        GroupEvent::InStep { members, position, expected } => {
            let fields = none.with("sleds", *members).with("bytes", *position);
            ("group_in_step", batches(fields, expected))
        }
        GroupEvent::OneByOne { sleds, why, expected } => {
            let why = match why {
                OneByOne::Faster => "faster",
                OneByOne::AllLose => "all_lose",
                OneByOne::OthersRead => "others_read",
                OneByOne::OtherServer => "other_server",
            };
            ("group_one_by_one", batches(none.with("sleds", *sleds).with("why", why), expected))
        }
        GroupEvent::Left { why, members, .. } => {
            let (why, time) = match why {
                Leaving::Silent(time) => ("silent", *time),
                Leaving::Slow(time) => ("slow", *time),
                Leaving::Gone => ("gone", Duration::ZERO),
            };
            let fields = none.with("why", why).seconds("seconds", time);
            ("group_left", fields.with("sleds", *members))
        }
        GroupEvent::CaughtUp { behind, .. } => ("group_caught_up", none.with("batches", *behind)),
        GroupEvent::Done { members, time, frames } => {
            let fields = none.with("sleds", *members).seconds("seconds", *time);
            ("group_done", fields.with("frames", *frames))
        }
        GroupEvent::OtherServer { server } => {
            ("other_server", none.with("server", server.to_string()))
        }
    }
}

fn batches(fields: Fields, expected: &Expected) -> Fields {
    fields
        .seconds("batch_seconds_in_step", expected.in_step)
        .seconds("batch_seconds_one_by_one", expected.one_by_one)
}

fn of_assigned(Assigned { image, once, by }: &Assigned) -> (&'static str, Fields) {
    let by = Fields::default().with("uid", by.uid).with("pid", by.pid);
    match image {
        Some(image) => ("assigned", by.with("image", image.as_str()).with("once", *once)),
        None => ("unassigned", by),
    }
}

fn of_link(event: &LinkEvent) -> (&'static str, Fields) {
    let none = Fields::default();
    match event {
        LinkEvent::Opened { path, worker, workers } => {
            let fields = none.with("path", path.as_str());
            ("link_opened", fields.with("worker", *worker).with("workers", *workers))
        }
        LinkEvent::Down => ("link_down", none),
        LinkEvent::Up { after } => ("link_up", none.seconds("seconds", *after)),
        LinkEvent::Renamed { now } => ("link_renamed", none.with("now", now.as_str())),
        LinkEvent::Address { was, now } => {
            ("link_address", none.with("was", was.to_string()).with("now", now.to_string()))
        }
        LinkEvent::Mtu { mtu, fits } => {
            let fields = none.with("mtu", *mtu).with("fits", *fits);
            ("link_mtu", fields.with("least", LEAST_MTU))
        }
        LinkEvent::AsUs { address, frames } => {
            ("link_as_us", none.with("address", address.to_string()).with("frames", *frames))
        }
        LinkEvent::Gone { error } => ("link_gone", none.with("reason", error.as_str())),
    }
}

fn of_image(event: &ImageEvent) -> (&'static str, Fields) {
    let at = |path: &std::path::Path| Fields::default().with("path", path.to_string_lossy());
    match event {
        ImageEvent::Checking { path, why } => ("image_checking", at(path).with("why", *why)),
        ImageEvent::Loaded { path, name, size, checksum, mapped } => {
            let fields = at(path).with("image_name", name.as_str()).with("size", *size);
            let fields = fields.with("image", checksum.to_string());
            ("image_loaded", fields.with("mapped", *mapped))
        }
        ImageEvent::Refused { reason, before, .. } => {
            let before = match before {
                Before::None => "none",
                Before::Kept => "kept",
                Before::Lost => "lost",
            };
            let fields = Fields::default().with("reason", reason.as_str());
            ("image_refused", fields.with("before", before))
        }
        ImageEvent::Gone { path } => ("image_gone", at(path)),
        ImageEvent::Unanswered { path } => ("image_unanswered", at(path)),
        ImageEvent::Answered { path } => ("image_answered", at(path)),
    }
}

fn of_fetch(event: &FetchEvent) -> (&'static str, Fields) {
    let from = |url: &str| Fields::default().with("url", url);
    let at = |path: &std::path::Path| Fields::default().with("path", path.to_string_lossy());
    match event {
        FetchEvent::Fetched { url, size, time, checksum } => {
            let fields = from(url).with("size", *size).seconds("seconds", *time);
            ("fetched", fields.with("image", checksum.to_string()))
        }
        FetchEvent::Channel { url, serial, images } => {
            ("channel", from(url).with("serial", *serial).with("images", *images))
        }
        FetchEvent::Failed { url, reason, kept } => {
            ("fetch_failed", from(url).with("reason", reason.as_str()).with("kept", *kept))
        }
        FetchEvent::Recovered { url } => ("fetch_recovered", from(url)),
        FetchEvent::Evicted { path } => ("cache_evicted", at(path)),
        FetchEvent::Broken { path, reason, removed } => {
            let fields = at(path).with("reason", reason.as_str());
            ("cache_broken", fields.with("removed", *removed))
        }
    }
}

fn of_config(event: &ConfigEvent) -> (&'static str, Fields) {
    let none = Fields::default();
    match event {
        ConfigEvent::Fault { reason } => ("config_fault", none.with("reason", reason.as_str())),
        ConfigEvent::Refused => ("config_refused", none),
        ConfigEvent::Changed { key, change } => {
            ("config_changed", none.with("key", key.as_str()).with("change", change.as_str()))
        }
        ConfigEvent::Unchanged => ("config_unchanged", none),
        ConfigEvent::NeedsRestart { key } => ("config_needs_restart", none.with("key", *key)),
        ConfigEvent::OutOfReach { path } => {
            ("config_out_of_reach", none.with("path", path.to_string_lossy()))
        }
    }
}

fn of_counts(counts: &Counts) -> Fields {
    let Counts { link, server, .. } = counts;
    Fields::default()
        .with("sent", link.taken)
        .with("dropped", link.dropped)
        .with("received", link.received)
        .with("waits_for_room", link.full)
        .with("waits_for_queue", link.queue_full)
        .with("held_while_down", link.held)
        .with("unreadable", link.unreadable)
        .with("missed", link.missed)
        .with("as_us", link.as_us)
        .with("downs", link.downs)
        .seconds("down_seconds", link.down_time)
        .with("data", server.data)
        .with("broadcast", server.broadcast)
        .with("broken", server.malformed)
        .with("for_others", server.ignored)
        .with("reads_unanswered", server.resets_withheld)
        .with("hellos_unanswered", server.offers_withheld)
        .with("events_lost", server.events_lost)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::{samples, text};
    use super::*;

    const SCHEMA: &str = include_str!("../../../../docs/events.schema.json");
    const DOCUMENT: &str = include_str!("../../../../docs/events.md");

    fn records() -> Vec<Value> {
        let line = |event: &Event| record(event).expect("a record").line();
        samples::all().iter().map(|event| serde_json::from_str(&line(event)).unwrap()).collect()
    }

    #[test]
    fn every_kind_of_record_is_as_the_schema_has_it() {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for record in records() {
            let errors: Vec<_> =
                validator.iter_errors(&record).map(|error| error.to_string()).collect();
            assert!(errors.is_empty(), "{record}: {errors:?}");
        }
        let said = |record: &Value| record["event"].as_str().unwrap().to_owned();
        let told: BTreeSet<_> = records().iter().map(said).collect();
        let kinds = schema["properties"]["event"]["enum"].as_array().unwrap();
        let kinds: BTreeSet<_> =
            kinds.iter().map(|kind| kind.as_str().unwrap().to_owned()).collect();
        assert_eq!(told, kinds, "the schema has no more kinds than there are");
        for kind in kinds {
            assert!(DOCUMENT.contains(&format!("| `{kind}` |")), "docs/events.md: {kind}");
        }
    }

    #[test]
    fn a_record_with_a_field_too_many_or_too_few_is_not_as_the_schema_has_it() {
        let validator = jsonschema::validator_for(&serde_json::from_str(SCHEMA).unwrap()).unwrap();
        for mut record in records() {
            record["fields"]["more"] = 1.into();
            assert!(!validator.is_valid(&record), "{record}");
        }
        let mut record = records().swap_remove(3);
        assert_eq!(record["event"], "started");
        record["fields"].as_object_mut().unwrap().clear();
        assert!(!validator.is_valid(&record));
    }

    #[test]
    fn whatever_has_a_record_has_a_line_and_no_more() {
        for event in samples::all() {
            assert_eq!(record(&event).is_some(), text::line(&event, true).is_some(), "{event:?}");
        }
    }
}
