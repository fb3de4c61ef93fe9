//! What is known about one sled.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use boot_format::Checksum;
use boot_netboot::server::{EventKind, SledStatus, Stage, Summary};

/// A sled's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum State {
    /// It has said hello and was not offered an image.
    Waiting,
    /// It was offered an image.
    Offered,
    /// It reads its image.
    Reading,
    /// It is silent in the middle of its boot.
    Stalled,
    /// It has booted.
    Booted,
    /// It was silent for too long, or its image is lost.
    Failed,
}

impl State {
    pub(crate) const ALL: [Self; 6] =
        [Self::Waiting, Self::Offered, Self::Reading, Self::Stalled, Self::Booted, Self::Failed];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Offered => "offered",
            Self::Reading => "reading",
            Self::Stalled => "stalled",
            Self::Booted => "booted",
            Self::Failed => "failed",
        }
    }

    /// Whether a boot is under way.
    pub(crate) fn is_boot(self) -> bool {
        matches!(self, Self::Reading | Self::Stalled)
    }
}

/// One sled.
#[derive(Clone, Debug)]
pub(crate) struct Sled {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) state: State,
    /// The image that it boots or has booted; the one that it was offered, until it reads.
    pub(crate) image: Option<Checksum>,
    /// How far its boot has come, and its size.
    pub(crate) bytes: u64,
    pub(crate) size: u64,
    /// Bytes per second: recently, in the middle of a boot; over the whole boot, after it.
    pub(crate) rate: f64,
    /// Retransmitted DATA frames, on request and early, in this boot or the last one.
    pub(crate) asked: u64,
    pub(crate) early: u64,
    /// Boots since the server started, and those that failed.
    pub(crate) boots: u32,
    pub(crate) failures: u32,
    pub(crate) seen: SystemTime,
    /// Where the rate was measured last.
    mark: Option<(Instant, u64)>,
}

/// What a sled has received since the last look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Delta {
    pub(crate) link: Option<Arc<str>>,
    pub(crate) image: Option<Checksum>,
    pub(crate) bytes: u64,
    pub(crate) asked: u64,
    pub(crate) early: u64,
}

impl Sled {
    /// Rates measured over less mean nothing.
    const LEAST: Duration = Duration::from_millis(200);

    pub(super) fn new(seen: SystemTime) -> Self {
        Self {
            name: None,
            state: State::Waiting,
            image: None,
            bytes: 0,
            size: 0,
            rate: 0.0,
            asked: 0,
            early: 0,
            boots: 0,
            failures: 0,
            seen,
            mark: None,
        }
    }

    /// How many seconds its boot will take at this rate.
    pub(crate) fn seconds_left(&self) -> Option<f64> {
        let left = self.size.saturating_sub(self.bytes) as f64;
        (self.state == State::Reading && self.rate >= 1.0).then(|| left / self.rate)
    }

    /// Takes in an event of the sled.
    pub(super) fn note(
        &mut self,
        now: Instant,
        time: SystemTime,
        kind: &EventKind,
    ) -> Option<Delta> {
        if !matches!(kind, EventKind::Stalled { .. } | EventKind::Lost { .. }) {
            self.seen = time;
        }
        match *kind {
            EventKind::Hello { .. } => {
                self.state = State::Waiting;
                self.mark = None;
                None
            }
            EventKind::Offered { checksum, .. } => {
                (self.state, self.image) = (State::Offered, Some(checksum));
                None
            }
            EventKind::Started { size } => {
                self.begin(now, size);
                None
            }
            EventKind::Progress { bytes, size } => {
                self.size = size;
                self.go_on(now, bytes)
            }
            EventKind::Stalled { bytes, .. } => {
                let delta = self.go_on(now, bytes);
                (self.state, self.rate, self.mark) = (State::Stalled, 0.0, None);
                delta
            }
            EventKind::Lost { .. } | EventKind::Unreadable => {
                (self.state, self.rate, self.mark) = (State::Failed, 0.0, None);
                self.failures += 1;
                None
            }
            EventKind::Finished(summary) => Some(self.finish(&summary)),
            _ => None,
        }
    }

    /// Takes in its state.
    pub(super) fn stand(&mut self, now: Instant, status: &SledStatus) -> Option<Delta> {
        if status.stage != Stage::Reading {
            return None;
        }
        if !self.state.is_boot() || status.bytes < self.bytes {
            self.begin(now, status.size);
        }
        self.image = status.image.or(self.image);
        self.size = status.size;
        let asked = status.again.saturating_sub(self.asked);
        let early = status.early.saturating_sub(self.early);
        (self.asked, self.early) = (status.again, status.early);
        let delta = self.go_on(now, status.bytes).unwrap_or_default();
        let delta = Delta { image: self.image, asked, early, ..delta };
        (delta.bytes + delta.asked + delta.early > 0).then_some(delta)
    }

    fn begin(&mut self, now: Instant, size: u64) {
        self.state = State::Reading;
        (self.bytes, self.size, self.asked, self.early) = (0, size, 0, 0);
        (self.rate, self.mark) = (0.0, Some((now, 0)));
    }

    /// It has everything up to `bytes`.
    fn go_on(&mut self, now: Instant, bytes: u64) -> Option<Delta> {
        if bytes > self.bytes {
            self.state = State::Reading;
        }
        let (since, before) = *self.mark.get_or_insert((now, self.bytes));
        let time = now.saturating_duration_since(since);
        if time >= Self::LEAST {
            let rate = bytes.saturating_sub(before) as f64 / time.as_secs_f64();
            // Averaged with the rate before: a display should not flicker.
            self.rate = if self.rate > 0.0 { f64::midpoint(self.rate, rate) } else { rate };
            self.mark = Some((now, bytes));
        }
        let more = bytes.saturating_sub(self.bytes);
        self.bytes = self.bytes.max(bytes);
        (more > 0).then(|| Delta { image: self.image, bytes: more, ..Delta::default() })
    }

    fn finish(&mut self, summary: &Summary) -> Delta {
        let Summary { time, size, again, early, .. } = *summary;
        let delta = Delta {
            link: None,
            image: self.image,
            bytes: size.saturating_sub(self.bytes),
            asked: again.saturating_sub(self.asked),
            early: early.saturating_sub(self.early),
        };
        self.state = State::Booted;
        (self.bytes, self.size) = (size, size);
        (self.asked, self.early) = (again, early);
        self.rate = size as f64 / time.as_secs_f64().max(1e-6);
        self.boots += 1;
        self.mark = None;
        delta
    }
}
