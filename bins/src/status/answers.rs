//! Answers, cached for a moment: many clients cost no more than one.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use axum::body::Bytes;
use serde_json::json;

use crate::service::lock;
use crate::service::metrics::{Exposition, Metrics};
use crate::service::rack::Rack;
use crate::stderr::record::rfc3339;

/// What can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    Sleds,
    Images,
    Links,
    Events,
    Metrics,
    /// All that the page shows.
    Rack,
}

/// The answers.
#[derive(Debug)]
pub(super) struct Answers {
    rack: Arc<Mutex<Rack>>,
    metrics: Mutex<Metrics>,
    exposition: Exposition,
    kept: Mutex<[Option<(Instant, Bytes)>; 6]>,
}

impl Answers {
    /// How old a cached answer can be.
    const FRESH: Duration = Duration::from_millis(250);

    pub(super) fn new(rack: Arc<Mutex<Rack>>, metrics: Metrics) -> Self {
        let exposition = Exposition::new(&metrics);
        Self { rack, metrics: Mutex::new(metrics), exposition, kept: Mutex::default() }
    }

    /// The answer about `subject` as it is now, or was a moment ago.
    pub(super) fn about(&self, subject: Subject) -> Bytes {
        let mut kept = lock(&self.kept);
        match &kept[subject as usize] {
            Some((since, answer)) if since.elapsed() < Self::FRESH => answer.clone(),
            _ => {
                let answer = Bytes::from(self.make(subject));
                kept[subject as usize] = Some((Instant::now(), answer.clone()));
                answer
            }
        }
    }

    /// Changes whenever any answer does.
    pub(super) fn version(&self) -> u64 {
        lock(&self.rack).version()
    }

    /// Why the server does not serve, if it does not.
    pub(super) fn illness(&self) -> Option<&'static str> {
        lock(&self.rack).illness(Instant::now())
    }

    fn make(&self, subject: Subject) -> String {
        let now = SystemTime::now();
        let time = rfc3339(now);
        let rack = lock(&self.rack);
        // Built without the lock, which is held only to copy the data.
        let answer = match subject {
            Subject::Sleds => {
                let (sleds, ignored) = (rack.sled_views(), rack.ignored_views());
                drop(rack);
                json!({ "time": time, "sleds": sleds, "ignored": ignored })
            }
            Subject::Images => {
                let (images, troubles) = (rack.image_views(), rack.trouble_views());
                drop(rack);
                json!({ "time": time, "images": images, "troubles": troubles })
            }
            Subject::Links => {
                let (links, throughput) = (rack.link_views(), rack.throughput(now));
                drop(rack);
                json!({ "time": time, "links": links, "throughput": throughput })
            }
            Subject::Events => {
                let (events, lost) = (rack.event_views(usize::MAX), rack.lost());
                drop(rack);
                json!({ "time": time, "events": events, "lost": lost })
            }
            Subject::Rack => {
                let view = rack.view(now);
                drop(rack);
                json!(view)
            }
            Subject::Metrics => {
                lock(&self.metrics).look_at(&rack);
                drop(rack);
                return self.exposition.text();
            }
        };
        answer.to_string()
    }
}
