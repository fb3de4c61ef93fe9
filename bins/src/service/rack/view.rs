//! The rack as the API shows it. `status/openapi.json` describes them.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::Serialize;

use super::history::{History, Point};
use super::{Rack, State};
use crate::service::counts::Counts;
use crate::stderr::record::{Record, rfc3339};

/// A sled.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SledView {
    link: String,
    sled: String,
    name: Option<String>,
    state: &'static str,
    image: Option<String>,
    image_name: Option<String>,
    bytes: u64,
    size: u64,
    bytes_per_second: f64,
    seconds_left: Option<f64>,
    retransmits_on_request: u64,
    retransmits_early: u64,
    boots: u32,
    failures: u32,
    last_seen: String,
}

/// An image in service.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ImageView {
    image: String,
    name: String,
    path: String,
    size: u64,
    /// Sleds that boot it, and sleds that have booted it last.
    reading: usize,
    booted: usize,
    /// `None` until the file has been looked at.
    boot_sources: Option<BTreeMap<String, VerdictView>>,
}

#[derive(Clone, Debug, Serialize)]
struct VerdictView {
    accepted: bool,
    meant: bool,
    reason: String,
}

/// A link.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct LinkView {
    link: String,
    renamed: Option<String>,
    path: String,
    workers: usize,
    state: &'static str,
    reason: Option<String>,
    sent: u64,
    dropped: u64,
    held: u64,
    received: u64,
    missed: u64,
    data: u64,
    broken: u64,
    for_others: u64,
    downs: u64,
    down_seconds: f64,
}

/// What all sleds received within one second.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Throughput {
    /// Seconds since 1970.
    second: u64,
    bytes: u64,
    retransmits: u64,
}

/// A line of the log.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct EventView {
    /// Counts up.
    id: u64,
    #[serde(flatten)]
    record: Record,
}

/// A sled that was ignored.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct IgnoredView {
    link: String,
    sled: String,
    name: Option<String>,
    last_seen: String,
}

/// Something that went wrong with an image.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct TroubleView {
    time: String,
    text: String,
}

/// Everything at a glance: what the page shows.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct RackView {
    time: String,
    sleds: Vec<SledView>,
    ignored: Vec<IgnoredView>,
    images: Vec<ImageView>,
    troubles: Vec<TroubleView>,
    links: Vec<LinkView>,
    /// The last whole seconds.
    throughput: Vec<Throughput>,
    events: Vec<EventView>,
    events_lost: u64,
}

impl Rack {
    /// Seconds of throughput that [`Rack::view`] repeats: a client that misses more asks for all.
    const LAST_SECONDS: u64 = 5;
    /// Lines of the log in it.
    const LAST_EVENTS: usize = 20;

    /// The rack as it is at `time`.
    pub(crate) fn view(&self, time: SystemTime) -> RackView {
        RackView {
            time: rfc3339(time),
            sleds: self.sled_views(),
            ignored: self.ignored_views(),
            images: self.image_views(),
            troubles: self.trouble_views(),
            links: self.link_views(),
            throughput: throughput(self.history.until(time, Self::LAST_SECONDS)),
            events: self.event_views(Self::LAST_EVENTS),
            events_lost: self.lost,
        }
    }

    pub(crate) fn sled_views(&self) -> Vec<SledView> {
        let view = |((link, address), sled): (&super::Key, &super::Sled)| SledView {
            link: link.to_string(),
            sled: address.to_string(),
            name: sled.name.as_deref().map(str::to_owned),
            state: sled.state.name(),
            image: sled.image.map(|image| image.to_string()),
            image_name: sled.image.map(|image| self.name_of_image(image).to_owned()),
            bytes: sled.bytes,
            size: sled.size,
            bytes_per_second: sled.rate.round(),
            seconds_left: sled.seconds_left().map(|seconds| (seconds * 10.0).round() / 10.0),
            retransmits_on_request: sled.asked,
            retransmits_early: sled.early,
            boots: sled.boots,
            failures: sled.failures,
            last_seen: rfc3339(sled.seen),
        };
        self.sleds.iter().map(view).collect()
    }

    pub(crate) fn ignored_views(&self) -> Vec<IgnoredView> {
        let view = |ignored: &super::Ignored| IgnoredView {
            link: ignored.link.to_string(),
            sled: ignored.sled.to_string(),
            name: ignored.name.as_deref().map(str::to_owned),
            last_seen: rfc3339(ignored.seen),
        };
        self.ignored.iter().rev().map(view).collect()
    }

    pub(crate) fn image_views(&self) -> Vec<ImageView> {
        let count = |image, state| {
            let with = |sled: &&super::Sled| sled.image == Some(image) && sled.state == state;
            self.sleds.values().filter(with).count()
        };
        let views = self.images.served().iter().map(|served| ImageView {
            image: served.checksum.to_string(),
            name: served.name.clone(),
            path: served.path.to_string_lossy().into_owned(),
            size: served.size,
            reading: count(served.checksum, State::Reading),
            booted: count(served.checksum, State::Booted),
            boot_sources: self.images.judgement(served.checksum).map(|judged| {
                let verdicts = judged.verdicts.iter().map(|verdict| {
                    let view = VerdictView {
                        accepted: verdict.accepted,
                        meant: verdict.meant,
                        reason: verdict.reason.clone(),
                    };
                    (verdict.source.clone(), view)
                });
                verdicts.collect()
            }),
        });
        views.collect()
    }

    pub(crate) fn trouble_views(&self) -> Vec<TroubleView> {
        let view =
            |(time, text): &(_, String)| TroubleView { time: rfc3339(*time), text: text.clone() };
        self.images.troubles().iter().rev().map(view).collect()
    }

    pub(crate) fn link_views(&self) -> Vec<LinkView> {
        let views = self.links.iter().map(|(name, link)| {
            let Counts { link: counts, server, .. } = link.counts();
            let state = match (&link.gone, link.is_down) {
                (Some(_), _) => "gone",
                (None, true) => "down",
                (None, false) => "up",
            };
            LinkView {
                link: name.to_string(),
                renamed: link.renamed.clone(),
                path: link.path.clone(),
                workers: link.workers,
                state,
                reason: link.gone.clone(),
                sent: counts.taken,
                dropped: counts.dropped,
                held: counts.held,
                received: counts.received,
                missed: counts.missed,
                data: server.data,
                broken: server.malformed,
                for_others: server.ignored,
                downs: counts.downs,
                down_seconds: (counts.down_time.as_secs_f64() * 1e3).round() / 1e3,
            }
        });
        views.collect()
    }

    /// All seconds that are known.
    pub(crate) fn throughput(&self, time: SystemTime) -> Vec<Throughput> {
        throughput(self.history.until(time, History::SECONDS))
    }

    /// The last `count` lines of the log, the oldest first.
    pub(crate) fn event_views(&self, count: usize) -> Vec<EventView> {
        let skipped = self.events.len().saturating_sub(count);
        let view = |(id, record): &(u64, Record)| EventView { id: *id, record: record.clone() };
        self.events.iter().skip(skipped).map(view).collect()
    }
}

fn throughput(points: Vec<Point>) -> Vec<Throughput> {
    let view = |Point { second, bytes, retransmits }| Throughput { second, bytes, retransmits };
    points.into_iter().map(view).collect()
}
