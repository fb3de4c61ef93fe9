//! What a sled's silence means.

use std::time::Duration;

use super::super::event::EventKind;
use super::{Sled, Stage};
use crate::time::Instant;

impl Sled {
    pub(super) const STALLED_AFTER: Duration = Duration::from_secs(3);
    pub(super) const LOST_AFTER: Duration = Duration::from_secs(15);
    const FINISHED_AFTER: Duration = Duration::from_secs(5);

    /// When its silence next means something, if only that its images are released.
    pub(super) fn silence_due(&self) -> Option<Instant> {
        let patience = match self.stage {
            Stage::Reading if self.has_had_everything() => Self::FINISHED_AFTER,
            Stage::Reading if self.stalled => Self::LOST_AFTER,
            Stage::Reading => Self::STALLED_AFTER,
            _ => return self.lapses(),
        };
        Some(self.heard.max(self.sent) + patience)
    }

    /// Whether its silence means something at `now`.
    pub(in crate::server) fn is_silent(&self, now: Instant) -> bool {
        self.silence_due().is_some_and(|due| due <= now)
    }

    /// What its silence means at `now`.
    pub(in crate::server) fn silent(&mut self, now: Instant) -> Option<EventKind> {
        if !self.is_silent(now) {
            return None;
        }
        if self.stage != Stage::Reading {
            self.let_go();
            return None;
        }
        if self.has_had_everything() {
            return Some(self.finish(true));
        }
        let size = self.size();
        let bytes = self.frontier.min(size);
        if self.stalled {
            self.stage = Stage::Lost;
            self.forget_asked();
            return Some(EventKind::Lost { bytes, size });
        }
        self.stalled = true;
        Some(EventKind::Stalled { bytes, size })
    }

    /// Drops what it has asked for and not been sent.
    pub(super) fn forget_asked(&mut self) {
        if let Some(unsent) = self.asked.least_pending() {
            self.frontier = self.frontier.min(unsent);
        }
        self.unsent = false;
        self.asked.clear();
    }
}
