//! What happens while serving, as values: each is reported once, and reaches all consumers.
//!
//! ```text
//! workers, images, state --try_send--> one thread --> log (text, or JSON)
//!                                                 --> the model of the rack --> page, API, display
//!                                                 --> metrics
//!                                                 --> hooks
//! ```
//!
//! Reporting never waits. What does not fit into the queue is counted, and the count is reported.

mod config;
mod feed;
mod fetch;
mod image;
mod journal;
mod json;
mod link;
mod names;
mod queue;
#[cfg(test)]
pub(crate) mod samples;
mod subject;
mod text;
mod told;

use std::sync::Arc;
use std::time::SystemTime;

use boot_format::wire::MacAddr;
use boot_netboot::server::{EventKind, GroupEvent, SledStatus};

use super::control::Assigned;
use super::counts::Counts;
use super::hooks::HookEvent;
use crate::stderr::record::Level;

pub(crate) use self::config::ConfigEvent;
pub(crate) use self::feed::{Consumers, Feed};
pub(crate) use self::fetch::FetchEvent;
pub(crate) use self::image::{Before, ImageEvent, InService, Judged, SourceVerdict};
pub(crate) use self::journal::Journal;
pub(crate) use self::json::record;
pub(crate) use self::link::LinkEvent;
pub(crate) use self::names::Names;
#[cfg(test)]
pub(crate) use self::queue::heard;
pub(crate) use self::queue::{Events, Outbox};
pub(crate) use self::subject::Subject;

/// Something that happened.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// When, by the wall clock.
    pub(crate) time: SystemTime,
    /// On which link.
    pub(crate) link: Option<Arc<str>>,
    /// To which sled.
    pub(crate) sled: Option<MacAddr>,
    /// The sled's name.
    pub(crate) name: Option<Arc<str>>,
    /// What happened.
    pub(crate) what: What,
}

/// What can happen.
#[derive(Clone, Debug)]
pub(crate) enum What {
    /// To a sled.
    Sled(EventKind),
    /// A sled has refused an image this many times.
    Refused(boot_format::Checksum, u32),
    /// To the sleds that boot in step.
    Group(GroupEvent),
    /// To a link.
    Link(LinkEvent),
    /// To an image file.
    Image(Box<ImageEvent>),
    /// To what is fetched.
    #[cfg_attr(not(feature = "fetch"), expect(dead_code, reason = "nothing is fetched"))]
    Fetch(Box<FetchEvent>),
    /// The configuration was read again.
    Config(ConfigEvent),
    /// These images are in service from now on.
    InService(Vec<InService>),
    /// Each boot source's verdict on an image.
    Judged(Judged),
    /// What went over a link so far; `asked` if a signal asked for it.
    Counts { counts: Box<Counts>, asked: bool },
    /// The state of a worker and its sleds. It is not news, so it is not logged.
    Standing(Box<Standing>),
    /// A client has assigned an image to a sled.
    Assigned(Box<Assigned>),
    /// To a command that was run for a sled.
    Hook(HookEvent),
    /// The server serves from now on, and which sleds.
    Serving(String),
    /// A line of the table of boots.
    Boots(String),
    /// The server ends, and why.
    Failed(String),
    /// Anything else, in words.
    Notice(Level, String),
    /// Events of one kind were too many to report each.
    LeftOut(Subject, u64),
    /// Events did not fit into the queue.
    Lost(u64),
}

/// The log's line, as text and as JSON, about an event of a sled on `link` at `time`: all that it
/// costs the log's thread but the writing.
#[cfg(feature = "internals")]
pub fn log_lines(
    link: &str,
    time: SystemTime,
    event: &boot_netboot::server::Event,
) -> Option<(String, String)> {
    let what = What::Sled(event.kind);
    let event = Event { time, link: Some(link.into()), sled: Some(event.sled), name: None, what };
    Some((text::line(&event, true)?, record(&event)?.line()))
}

/// The state of one worker.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub(crate) worker: usize,
    /// The time by the engine's clock.
    pub(crate) now: boot_netboot::time::Instant,
    pub(crate) counts: Counts,
    pub(crate) sleds: Vec<SledStatus>,
}

impl Event {
    /// Something that happens now, to no link and no sled in particular.
    pub(crate) fn now(what: What) -> Self {
        Self { time: SystemTime::now(), link: None, sled: None, name: None, what }
    }

    /// How severe it is.
    pub(crate) fn level(&self) -> Level {
        match &self.what {
            What::Sled(kind) => match kind {
                EventKind::Stalled { .. }
                | EventKind::Lost { .. }
                | EventKind::Reset
                | EventKind::Unreadable
                | EventKind::Unheard
                | EventKind::Evicted => Level::Warn,
                _ => Level::Info,
            },
            What::Group(GroupEvent::OtherServer { .. })
            | What::Refused(..)
            | What::LeftOut(..)
            | What::Lost(_) => Level::Warn,
            What::Group(_)
            | What::InService(_)
            | What::Judged(_)
            | What::Counts { .. }
            | What::Standing(_)
            | What::Assigned(_)
            | What::Serving(_)
            | What::Boots(_) => Level::Info,
            What::Link(event) => event.level(),
            What::Image(event) => event.level(),
            What::Fetch(event) => event.level(),
            What::Config(event) => event.level(),
            What::Hook(event) => event.level(),
            What::Failed(_) => Level::Error,
            What::Notice(level, _) => *level,
        }
    }
}
