//! Which events are worth a line: a sled that wants another image must not fill the log, and a
//! flood of one kind must not drown the others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boot_netboot::server::EventKind;

use super::told::{Say, Told};
use super::{Event, Subject, What};
use crate::stderr::record::Level;

/// Decides what is logged.
#[derive(Debug)]
pub(crate) struct Journal {
    /// Whether nothing is logged about individual sleds.
    pub(crate) quiet: bool,
    /// Less severe events are not logged.
    pub(crate) level: Level,
    /// Whether progress is shown elsewhere.
    pub(crate) shows_progress: bool,
    links: BTreeMap<Option<Arc<str>>, Link>,
}

/// What has been logged about one link's sleds.
#[derive(Debug)]
struct Link {
    told: Told,
    /// When the second in which lines are counted began.
    second: Instant,
    subjects: [Lines; Subject::ALL.len()],
}

/// Lines about one subject in the last second, and those left out of it.
#[derive(Clone, Copy, Debug, Default)]
struct Lines {
    said: u32,
    left_out: u64,
}

impl Journal {
    const SECOND: Duration = Duration::from_secs(1);

    pub(crate) fn new(quiet: bool, level: Level) -> Self {
        Self { quiet, level, shows_progress: false, links: BTreeMap::new() }
    }

    /// What is to be logged of `event`, or because of it, in this order.
    pub(super) fn take(&mut self, now: Instant, event: &Event) -> Vec<Event> {
        let mut logged = self.left_out(now);
        let entry = match &event.what {
            What::Standing(_) | What::InService(_) | What::Judged(_) => None,
            What::Sled(kind) => self.of_sled(now, event, kind),
            What::LeftOut(subject, count) => {
                if !self.quiet {
                    self.link(now, event).subjects[*subject as usize].left_out += count;
                }
                None
            }
            What::Counts { asked: true, .. } => return vec![event.clone()],
            _ => Some(event.clone()),
        };
        logged.extend(entry);
        logged.retain(|entry| entry.level() <= self.level);
        logged
    }

    /// What was left out of the last second, if it is over.
    pub(super) fn left_out(&mut self, now: Instant) -> Vec<Event> {
        let mut entries = Vec::new();
        for (name, link) in &mut self.links {
            if now.duration_since(link.second) < Self::SECOND {
                continue;
            }
            link.second = now;
            let last = std::mem::take(&mut link.subjects);
            for (subject, Lines { left_out, .. }) in Subject::ALL.into_iter().zip(last) {
                if left_out > 0 {
                    let what = What::LeftOut(subject, left_out);
                    entries.push(Event { link: name.clone(), ..Event::now(what) });
                }
            }
        }
        entries.retain(|entry| entry.level() <= self.level);
        entries
    }

    /// When there is something to log even if nothing happens.
    pub(super) fn due(&self) -> Option<Instant> {
        let untold = |link: &&Link| link.subjects.iter().any(|lines| lines.left_out > 0);
        self.links.values().filter(untold).map(|link| link.second + Self::SECOND).min()
    }

    fn of_sled(&mut self, now: Instant, event: &Event, kind: &EventKind) -> Option<Event> {
        let is_shown = self.shows_progress && matches!(kind, EventKind::Progress { .. });
        if self.quiet || is_shown {
            return None;
        }
        let everything = self.level == Level::Debug;
        let link = self.link(now, event);
        let what = match link.told.say(event.sled?, kind) {
            Say::Refused(checksum, times) => What::Refused(checksum, times),
            Say::Nothing if !everything => return None,
            Say::Nothing | Say::Event => event.what.clone(),
        };
        let subject = Subject::of(kind);
        let lines = &mut link.subjects[subject as usize];
        if lines.said == subject.most_lines() {
            lines.left_out += 1;
            return None;
        }
        lines.said += 1;
        Some(Event { what, ..event.clone() })
    }

    /// There are no more of them than links are served.
    fn link(&mut self, now: Instant, event: &Event) -> &mut Link {
        self.links.entry(event.link.clone()).or_insert_with(|| Link {
            told: Told::default(),
            second: now,
            subjects: Default::default(),
        })
    }
}

#[cfg(test)]
mod tests {
    use boot_format::Checksum;
    use boot_format::wire::MacAddr;

    use super::super::text;
    use super::*;

    fn event(number: u16, kind: EventKind) -> Event {
        let [high, low] = number.to_be_bytes();
        let sled = Some(MacAddr::new([2, 0, 0, 0, high, low]));
        Event { link: Some("net0".into()), sled, ..Event::now(What::Sled(kind)) }
    }

    fn lines(entries: &[Event]) -> Vec<String> {
        entries.iter().filter_map(|entry| text::line(entry, true)).collect()
    }

    #[test]
    fn a_flood_of_one_kind_drowns_no_other_and_is_counted() {
        let mut journal = Journal::new(false, Level::Info);
        let now = Instant::now();
        let hello = EventKind::Hello { again: false };
        let said = (0..1000).filter(|&number| !journal.take(now, &event(number, hello)).is_empty());
        assert_eq!(said.count(), 40);
        let started = event(7, EventKind::Started { size: 64 << 20 });
        let said = lines(&journal.take(now, &started));
        assert_eq!(said, ["net0 02:00:00:00:00:07: reading: 64 MiB to go"]);
        // What a worker has left out is counted with the rest.
        let more = What::LeftOut(Subject::Hello, 40);
        assert!(
            journal.take(now, &Event { link: started.link.clone(), ..Event::now(more) }).is_empty()
        );
        assert!(journal.left_out(now + Duration::from_millis(999)).is_empty());
        assert_eq!(journal.due(), Some(now + Duration::from_secs(1)));
        let left_out = lines(&journal.left_out(now + Duration::from_secs(1)));
        let expected = "bootserver: net0 1000 more lines about sleds that say hello left out";
        assert_eq!(left_out, [expected]);
        assert!(journal.left_out(now + Duration::from_secs(2)).is_empty());
        assert_eq!(journal.due(), None);
    }

    #[test]
    fn a_sled_that_wants_another_image_is_told_from_others() {
        let checksum = Checksum::from_bytes([0xf5; 32]);
        let offer = event(1, EventKind::Offered { checksum, repeated: true });
        let said = |level| {
            let mut journal = Journal::new(false, level);
            let taken = (0..4).flat_map(|_| journal.take(Instant::now(), &offer));
            lines(&taken.collect::<Vec<_>>())
        };
        let offered = format!("net0 02:00:00:00:00:01: offered {checksum}");
        let refused = format!(
            "net0 02:00:00:00:00:01: refused {checksum} 3 times: its boot archive wants another image"
        );
        assert_eq!(said(Level::Info), [offered.as_str(), &refused]);
        assert_eq!(said(Level::Debug), [offered.as_str(), &offered, &offered, &refused]);
        assert_eq!(said(Level::Warn), [refused]);
    }

    #[test]
    fn quiet_leaves_out_sleds_and_a_level_all_that_is_less_grave() {
        let now = Instant::now();
        let lost = event(1, EventKind::Lost { bytes: 1, size: 2 });
        let serving = Event::now(What::Serving("every sled".to_owned()));
        let counts = |asked| Event::now(What::Counts { counts: Box::default(), asked });
        let logged = |quiet, level| {
            let mut journal = Journal::new(quiet, level);
            [&lost, &serving, &counts(false), &counts(true)]
                .map(|event| journal.take(now, event).len())
        };
        assert_eq!(logged(false, Level::Info), [1, 1, 1, 1]);
        assert_eq!(logged(true, Level::Info), [0, 1, 1, 1]);
        assert_eq!(logged(false, Level::Warn), [1, 0, 0, 1]);
        assert_eq!(logged(false, Level::Error), [0, 0, 0, 1]);
    }
}
