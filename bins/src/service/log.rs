//! A line on stderr for each event.

use std::fmt::Write as _;
use std::time::Duration;

use boot_format::Checksum;
use boot_netboot::server::{Event, EventKind, GroupEvent, Summary};
use boot_netboot::time::Instant;

use super::told::{Say, Told};
use crate::units::{Bytes, megabytes_per_second};
use crate::{groups, say};

/// What one worker says.
#[derive(Debug)]
pub(super) struct Log {
    quiet: bool,
    /// Stands before a sled's address, and says on which link it is.
    prefix: String,
    told: Told,
    /// When the second began that lines are counted in.
    second: Instant,
    subjects: [Lines; Subject::ALL.len()],
}

/// What a line is about. Each has its own share, so that a flood of one drowns no other.
#[derive(Clone, Copy, Debug)]
enum Subject {
    Hello,
    Offer,
    Reset,
    Eviction,
    Boot,
}

impl Subject {
    const ALL: [Self; 5] = [Self::Hello, Self::Offer, Self::Reset, Self::Eviction, Self::Boot];

    fn of(kind: &EventKind) -> Self {
        match kind {
            EventKind::Hello { .. } | EventKind::NotServed => Self::Hello,
            EventKind::Offered { .. } => Self::Offer,
            EventKind::Reset => Self::Reset,
            EventKind::Evicted => Self::Eviction,
            _ => Self::Boot,
        }
    }

    /// Lines in a second at most. What costs a station a single frame gets less than a boot.
    fn most(self) -> u32 {
        match self {
            Self::Boot => 200,
            _ => 40,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Hello => "sleds that say hello",
            Self::Offer => "offers",
            Self::Reset => "sleds that were told to start over",
            Self::Eviction => "sleds that were forgotten",
            Self::Boot => "boots",
        }
    }
}

/// Lines about one subject in the last second, and those left out of it.
#[derive(Clone, Copy, Debug, Default)]
struct Lines {
    said: u32,
    left_out: u64,
}

impl Log {
    const SECOND: Duration = Duration::from_secs(1);

    pub(super) fn new(quiet: bool, prefix: String) -> Self {
        let subjects = [Lines::default(); Subject::ALL.len()];
        Self { quiet, prefix, told: Told::default(), second: Instant::ZERO, subjects }
    }

    /// Says what happened to a sled, which may have a `name`.
    pub(super) fn event(&mut self, now: Instant, event: &Event, name: Option<&str>) {
        if let Some(line) = self.line(now, event, name) {
            say!("{line}");
        }
    }

    /// Says what happens to sleds that boot in step: of a boot of all, a few lines.
    pub(super) fn group(&self, event: &GroupEvent) {
        say!("bootserver: {}{}", self.prefix, groups::line(event));
    }

    /// Says what was left out, once a second at most.
    pub(super) fn tell_left_out(&mut self, now: Instant) {
        for line in self.left_out(now) {
            say!("{line}");
        }
    }

    fn line(&mut self, now: Instant, event: &Event, name: Option<&str>) -> Option<String> {
        if self.quiet {
            return None;
        }
        let text = match self.told.say(event.sled, &event.kind) {
            Say::Nothing => return None,
            Say::Event => text(&event.kind),
            Say::Refused(checksum, times) => refused(checksum, times),
        };
        self.tell_left_out(now);
        let subject = Subject::of(&event.kind);
        let lines = &mut self.subjects[subject as usize];
        if lines.said == subject.most() {
            lines.left_out += 1;
            return None;
        }
        lines.said += 1;
        let name = name.map_or(String::new(), |name| format!(" ({name})"));
        Some(format!("{}{}{name}: {text}", self.prefix, event.sled))
    }

    fn left_out(&mut self, now: Instant) -> Vec<String> {
        if now.since(self.second) < Self::SECOND {
            return Vec::new();
        }
        self.second = now;
        let last = std::mem::take(&mut self.subjects);
        let left_out = Subject::ALL.into_iter().zip(last).filter(|(_, lines)| lines.left_out > 0);
        left_out
            .map(|(subject, Lines { left_out, .. })| {
                format!(
                    "bootserver: {}{left_out} more lines about {} left out",
                    self.prefix,
                    subject.name()
                )
            })
            .collect()
    }
}

fn refused(checksum: Checksum, times: u32) -> String {
    format!("refused {checksum} {times} times: its boot archive wants another image")
}

fn text(kind: &EventKind) -> String {
    match kind {
        EventKind::Settled => "is the first: from now on only this sled is served".to_owned(),
        EventKind::Hello { again: false } => "says hello".to_owned(),
        EventKind::Hello { again: true } => "says hello during its boot: it starts over".to_owned(),
        EventKind::Offered { checksum, .. } => format!("offered {checksum}"),
        EventKind::Started { size } => format!("reading: {} to go", Bytes(*size)),
        EventKind::Progress { bytes, size } => progress(*bytes, *size),
        EventKind::Finished(summary) => finished(summary),
        EventKind::Stalled { bytes, size } => format!("stalled at {}", progress(*bytes, *size)),
        EventKind::Lost { bytes, size } => format!("given up at {}", progress(*bytes, *size)),
        EventKind::Reset => {
            "reads without having been offered an image: told to start over".to_owned()
        }
        EventKind::Unreadable => {
            "its image can no longer be read, the file has been cut short: told to start over"
                .to_owned()
        }
        EventKind::Unheard => {
            "not heard from since the link's address changed: told to start over".to_owned()
        }
        EventKind::Evicted => "forgotten: too many sleds at once".to_owned(),
        EventKind::NotServed => "says hello, but is not among the sleds that are served".to_owned(),
    }
}

fn progress(bytes: u64, size: u64) -> String {
    let percent = u128::from(bytes) * 100 / u128::from(size.max(1));
    format!("{percent}% ({} of {})", Bytes(bytes), Bytes(size))
}

fn finished(summary: &Summary) -> String {
    let Summary { time, size, frames, again, early, needless, assumed } = summary;
    let how = if *assumed { "has everything and is silent: taken as booted" } else { "booted" };
    let mut text = format!(
        "{how}: {} in {:.3} s ({:.0} MB/s), {frames} frames",
        Bytes(*size),
        time.as_secs_f64(),
        megabytes_per_second(*size, *time),
    );
    if again + early > 0 {
        let _ = write!(
            text,
            "; retransmitted: {again} on request, {early} early ({needless} of them needlessly)"
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use boot_format::wire::MacAddr;

    use super::*;

    #[test]
    fn a_flood_of_one_kind_drowns_no_other_and_is_counted() {
        let mut log = Log::new(false, String::new());
        let now = Instant::ZERO + Duration::from_secs(5);
        let event = |number: u16, kind| {
            let [high, low] = number.to_be_bytes();
            Event { sled: MacAddr::new([2, 0, 0, 0, high, low]), kind }
        };
        let hello = EventKind::Hello { again: false };
        let said = (0..1000).filter(|&number| log.line(now, &event(number, hello), None).is_some());
        assert_eq!(said.count(), 40);
        let started = event(7, EventKind::Started { size: 64 << 20 });
        let line = log.line(now, &started, None).unwrap();
        assert_eq!(line, "02:00:00:00:00:07: reading: 64 MiB to go");
        let line = log.line(now, &started, Some("left-7")).unwrap();
        assert_eq!(line, "02:00:00:00:00:07 (left-7): reading: 64 MiB to go");
        assert!(log.left_out(now + Duration::from_millis(999)).is_empty());
        let left_out = log.left_out(now + Duration::from_secs(1));
        assert_eq!(left_out, ["bootserver: 960 more lines about sleds that say hello left out"]);
        assert!(log.left_out(now + Duration::from_secs(2)).is_empty());
    }

    #[test]
    fn a_sled_that_wants_another_image_is_told_from_others() {
        let mut log = Log::new(false, "net0 ".to_owned());
        let sled = MacAddr::new([2, 0, 0, 0, 0, 1]);
        let checksum = Checksum::from_bytes([0xf5; 32]);
        let offer = EventKind::Offered { checksum, repeated: true };
        let offers = [Event { sled, kind: offer }; 4];
        let lines = offers.iter().filter_map(|event| log.line(Instant::ZERO, event, None));
        let sum = checksum.to_string();
        let expected = [
            format!("net0 {sled}: offered {sum}"),
            format!("net0 {sled}: refused {sum} 3 times: its boot archive wants another image"),
        ];
        assert_eq!(lines.collect::<Vec<_>>(), expected);
    }
}
