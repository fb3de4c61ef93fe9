//! One image file: what is known about it, and what to do about what is found.

use std::path::Path;
use std::time::Instant;

use boot_image::Contents;

use super::look::Stamp;
use crate::service::events::{Before, ImageEvent};

/// How it is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// Whether its source was never looked at before.
    pub(super) first: bool,
    /// Whether it is checked even if it has not changed.
    pub(super) anyway: bool,
}

/// One image file.
#[derive(Debug)]
pub(super) struct Entry {
    /// Its state now.
    pub(super) seen: Stamp,
    /// Its state when it was last judged, good or not.
    judged: Option<Stamp>,
    failed: bool,
    pub(super) contents: Option<Contents>,
    /// The load that is due or under way, and the file's state when it was asked for.
    pub(super) load: Option<(u64, Stamp)>,
    /// A bad file that is still being written is left alone until it rests.
    pub(super) restless_since: Option<Instant>,
}

impl Entry {
    pub(super) fn new(seen: Stamp) -> Self {
        let (judged, contents, load, restless_since) = (None, None, None, None);
        Self { seen, judged, failed: false, contents, load, restless_since }
    }

    /// Whether these are the contents of the file as it is now, or the last good ones of one
    /// that is known to be bad.
    pub(super) fn offered(&self) -> Option<&Contents> {
        let settled = self.load.is_none_or(|(_, stamp)| Some(stamp) == self.judged);
        self.contents.as_ref().filter(|_| settled)
    }

    /// Whether the contents have not changed in memory.
    fn is_sound(&self) -> bool {
        let mapped = self.contents.as_ref().is_some_and(Contents::is_mapped);
        !mapped || self.judged.is_some_and(|judged| !judged.same_file(&self.seen))
    }

    /// Takes in the file's state now. Returns why it is to be loaded, in words for the log, which
    /// are empty if there is nothing to log; `None` if it is not.
    pub(super) fn see(&mut self, stamp: Stamp, look: Look, now: Instant) -> Option<&'static str> {
        self.seen = stamp;
        match (self.load, self.judged) {
            // A file that was replaced is not waited for.
            (Some((_, loading)), _) if loading.same_file(&stamp) => None,
            (_, None) if look.first => Some(""),
            (None, None) => Some("is new, checking it"),
            (None, Some(judged)) if judged == stamp => look.anyway.then_some("checking it again"),
            (None, Some(judged)) if self.failed && judged.same_file(&stamp) => {
                // It has just been found bad, and is being written to.
                self.judged = Some(stamp);
                self.restless_since = Some(now);
                None
            }
            (Some(_), _) | (None, Some(_)) => Some("has changed, checking it"),
        }
    }

    /// Takes in the result of loading the file at `path`, whose state was `stamp`. Returns the
    /// event to report.
    pub(super) fn judge(
        &mut self,
        path: &Path,
        stamp: Stamp,
        result: anyhow::Result<Contents>,
    ) -> ImageEvent {
        let event = match result {
            Ok(contents) => {
                let loaded = ImageEvent::Loaded {
                    path: path.to_owned(),
                    name: contents.image_name().to_owned(),
                    size: contents.size() as u64,
                    checksum: contents.checksum(),
                    mapped: contents.is_mapped(),
                };
                self.accept(contents);
                loaded
            }
            Err(error) => {
                let (reason, never_good) = (format!("{error:#}"), self.judged.is_none());
                ImageEvent::Refused { reason, never_good, before: self.refuse() }
            }
        };
        self.judged = Some(stamp);
        event
    }

    fn accept(&mut self, contents: Contents) {
        let same = |old: &&Contents| {
            old.checksum() == contents.checksum() && !old.is_mapped() && !self.failed
        };
        // Checked again and unchanged: no sled has to start over for that.
        let kept = self.contents.as_ref().filter(same).cloned();
        self.contents = Some(kept.unwrap_or(contents));
        self.failed = false;
    }

    /// What becomes of the contents that the file had before.
    fn refuse(&mut self) -> Before {
        self.failed = true;
        match (&self.contents, self.is_sound()) {
            (None, _) => Before::None,
            (Some(_), true) => Before::Kept,
            (Some(_), false) => {
                self.contents = None;
                Before::Lost
            }
        }
    }
}
