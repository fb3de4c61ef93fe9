//! Counters and histograms for a monitoring system.
//!
//! Labels are links and images, both bounded: a link is one that was named at the start, and of
//! images that were in service the first 64 have labels of their own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use boot_format::Checksum;
use boot_netboot::server::EventKind;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::counts::Counts;
use super::events::{Event, LinkEvent, Subject, What};
use super::rack::{Rack, State};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLink {
    link: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfImage {
    link: String,
    image: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    link: String,
    image: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Again {
    link: String,
    image: String,
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    link: String,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct About {
    about: &'static str,
}

type Seconds = Histogram;
type Histograms = Family<OfImage, Seconds, fn() -> Seconds>;
type F64 = Counter<f64, AtomicU64>;

/// All metrics. A clone counts the same.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    boots: Family<Ended, Counter>,
    boot_seconds: Histograms,
    boot_bytes: Family<OfImage, Counter>,
    retransmits: Family<Again, Counter>,
    sleds: Family<InState, Gauge>,
    ignored: Gauge,
    link: LinkMetrics,
    images: Gauge,
    images_refused: Counter,
    hooks_failed: Counter,
    left_out: Family<About, Counter>,
    events_lost: Counter,
    labels: HashMap<Checksum, String>,
    version: u64,
}

/// The counters of links.
#[derive(Clone, Debug, Default)]
struct LinkMetrics {
    up: Family<OfLink, Gauge>,
    sent: Family<OfLink, Counter>,
    dropped: Family<OfLink, Counter>,
    held: Family<OfLink, Counter>,
    received: Family<OfLink, Counter>,
    missed: Family<OfLink, Counter>,
    data: Family<OfLink, Counter>,
    broken: Family<OfLink, Counter>,
    for_others: Family<OfLink, Counter>,
    unanswered: Family<OfLink, Counter>,
    full: Family<OfLink, Counter>,
    downs: Family<OfLink, Counter>,
    down_seconds: Family<OfLink, F64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            boots: Family::default(),
            boot_seconds: Family::new_with_constructor(seconds),
            boot_bytes: Family::default(),
            retransmits: Family::default(),
            sleds: Family::default(),
            ignored: Gauge::default(),
            link: LinkMetrics::default(),
            images: Gauge::default(),
            images_refused: Counter::default(),
            hooks_failed: Counter::default(),
            left_out: Family::default(),
            events_lost: Counter::default(),
            labels: HashMap::new(),
            version: 0,
        }
    }
}

/// From a quarter of a second, what a small image takes, to two minutes.
fn seconds() -> Seconds {
    Histogram::new(exponential_buckets(0.25, 2.0, 10))
}

impl Metrics {
    /// Images that have a label of their own; the others share one.
    const MOST_IMAGES: usize = 64;

    /// A registry with all of them in it.
    pub(crate) fn registry(&self) -> Registry {
        let mut registry = Registry::with_prefix("bootserver");
        let version = env!("CARGO_PKG_VERSION");
        registry.register("build", "The server", Info::new([("version", version)]));
        registry.register("boots", "Boots that have ended", self.boots.clone());
        registry.register_with_unit(
            "boot_duration",
            "From a sled's first READ to its last frame",
            Unit::Seconds,
            self.boot_seconds.clone(),
        );
        registry.register_with_unit(
            "boot_contents",
            "Contents that sleds have received",
            Unit::Bytes,
            self.boot_bytes.clone(),
        );
        registry.register("retransmits", "DATA frames sent again", self.retransmits.clone());
        registry.register("sleds", "Sleds by the state that they are in", self.sleds.clone());
        registry.register("ignored_sleds", "Sleds that are not served", self.ignored.clone());
        registry.register("images", "Images in service", self.images.clone());
        registry.register("images_refused", "Files refused", self.images_refused.clone());
        registry.register("hooks_failed", "Commands failed", self.hooks_failed.clone());
        registry.register("events_left_out", "Events left out", self.left_out.clone());
        registry.register("events_lost", "Events lost", self.events_lost.clone());
        self.link.register(registry.sub_registry_with_prefix("link"));
        registry
    }

    /// Takes in an event.
    pub(crate) fn note(&mut self, event: &Event, rack: &mut Rack) {
        for delta in rack.take_deltas() {
            let of = self.of_image(delta.link.as_deref(), delta.image);
            self.boot_bytes.get_or_create(&of).inc_by(delta.bytes);
            for (cause, count) in [("request", delta.asked), ("early", delta.early)] {
                let OfImage { link, image } = of.clone();
                self.retransmits.get_or_create(&Again { link, image, cause }).inc_by(count);
            }
        }
        match &event.what {
            What::Sled(kind) => self.note_sled(event, kind, rack),
            What::Link(LinkEvent::Gone { .. }) | What::Standing(_) => {
                if let Some(name) = event.link.as_deref() {
                    self.note_link(name, rack);
                }
            }
            What::Hook(hook) if hook.is_failure() => {
                self.hooks_failed.inc();
            }
            What::LeftOut(subject, count) => self.leave_out(*subject, *count),
            What::Lost(count) => {
                self.events_lost.inc_by(*count);
            }
            What::InService(_) | What::Image(_) => {
                self.images.set(rack.images().served().len() as i64);
                self.images_refused.inner().store(rack.images().refused(), Ordering::Relaxed);
            }
            _ => {}
        }
    }

    /// Updates the gauges.
    pub(crate) fn look_at(&mut self, rack: &Rack) {
        if std::mem::replace(&mut self.version, rack.version()) == rack.version() {
            return;
        }
        let mut counts: HashMap<(&str, State), i64> = HashMap::new();
        for (link, _) in rack.links().iter() {
            counts.extend(State::ALL.map(|state| ((&**link, state), 0)));
        }
        for ((link, _), sled) in rack.sleds() {
            *counts.entry((link, sled.state)).or_default() += 1;
        }
        for ((link, state), count) in counts {
            let of = InState { link: link.to_owned(), state: state.name() };
            self.sleds.get_or_create(&of).set(count);
        }
        self.ignored.set(rack.ignored().len() as i64);
    }

    fn note_sled(&mut self, event: &Event, kind: &EventKind, rack: &Rack) {
        let outcome = match kind {
            EventKind::Finished(summary) if summary.assumed => "assumed",
            EventKind::Finished(_) => "booted",
            EventKind::Lost { .. } => "lost",
            EventKind::Unreadable => "unreadable",
            _ => return,
        };
        let of = self.of_image(event.link.as_deref(), rack.image_of(event));
        if let EventKind::Finished(summary) = kind {
            self.boot_seconds.get_or_create(&of).observe(summary.time.as_secs_f64());
        }
        let OfImage { link, image } = of;
        self.boots.get_or_create(&Ended { link, image, outcome }).inc();
    }

    fn note_link(&mut self, name: &str, rack: &Rack) {
        let Some(link) = rack.links().get(name) else { return };
        let of = OfLink { link: name.to_owned() };
        let is_up = link.gone.is_none() && !link.is_down;
        self.link.up.get_or_create(&of).set(is_up.into());
        self.link.set(&of, &link.counts());
    }

    fn leave_out(&self, subject: Subject, count: u64) {
        self.left_out.get_or_create(&About { about: subject.key() }).inc_by(count);
    }

    fn of_image(&mut self, link: Option<&str>, image: Option<Checksum>) -> OfImage {
        let link = link.unwrap_or_default().to_owned();
        OfImage {
            link,
            image: image.map_or_else(|| "unknown".to_owned(), |image| self.label(image)),
        }
    }

    fn label(&mut self, image: Checksum) -> String {
        if let Some(label) = self.labels.get(&image) {
            return label.clone();
        }
        if self.labels.len() == Self::MOST_IMAGES {
            return "other".to_owned();
        }
        // 64 bits, so the labels of different images do not collide in practice.
        let label = image.to_string()[..16].to_owned();
        self.labels.insert(image, label.clone());
        label
    }
}

impl LinkMetrics {
    fn register(&self, registry: &mut Registry) {
        registry.register("up", "Whether the link carries frames", self.up.clone());
        registry.register("frames_sent", "Frames taken by the system", self.sent.clone());
        registry.register("frames_dropped", "Frames refused for good", self.dropped.clone());
        registry.register("frames_held", "Frames held while the link was down", self.held.clone());
        registry.register("frames_received", "Frames received", self.received.clone());
        registry.register(
            "frames_missed",
            "Frames lost before they were read",
            self.missed.clone(),
        );
        registry.register("data_frames", "DATA frames handed to the link", self.data.clone());
        registry.register("frames_broken", "Frames that are broken", self.broken.clone());
        registry.register("frames_for_others", "Frames for others", self.for_others.clone());
        registry.register("unanswered", "READs and HELLOs unanswered", self.unanswered.clone());
        registry.register("waits", "Waits for room in the link's queue", self.full.clone());
        registry.register("downs", "How often the link went down", self.downs.clone());
        registry.register_with_unit(
            "down",
            "How long the link was down",
            Unit::Seconds,
            self.down_seconds.clone(),
        );
    }

    fn set(&self, of: &OfLink, counts: &Counts) {
        let Counts { link, server, .. } = counts;
        let unanswered = server.resets_withheld + server.offers_withheld;
        for (family, count) in [
            (&self.sent, link.taken),
            (&self.dropped, link.dropped),
            (&self.held, link.held),
            (&self.received, link.received),
            (&self.missed, link.missed),
            (&self.data, server.data),
            (&self.broken, server.malformed),
            (&self.for_others, server.ignored),
            (&self.unanswered, unanswered),
            (&self.full, link.full + link.queue_full),
            (&self.downs, link.downs),
        ] {
            family.get_or_create(of).inner().store(count, Ordering::Relaxed);
        }
        let down = link.down_time.as_secs_f64();
        self.down_seconds.get_or_create(of).inner().store(down.to_bits(), Ordering::Relaxed);
    }
}

/// All metrics as text, for those who fetch them.
#[derive(Debug)]
pub(crate) struct Exposition {
    registry: Arc<Registry>,
}

impl Exposition {
    pub(crate) fn new(metrics: &Metrics) -> Self {
        Self { registry: Arc::new(metrics.registry()) }
    }

    /// The text, as the OpenMetrics format has it.
    pub(crate) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}
