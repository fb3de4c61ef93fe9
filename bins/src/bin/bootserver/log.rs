//! A line on stderr for each event.

use std::fmt::Write as _;
use std::time::Duration;

use boot_engine::server::{Event, EventKind, Summary};
use boot_engine::time::Instant;
use boot_tools::units::{Bytes, megabytes_per_second};

/// Where the lines of one worker go.
#[derive(Debug)]
pub(super) struct Log {
    quiet: bool,
    /// Stands before a sled's address, and says on which link it is.
    prefix: String,
    /// Lines in the second that began at this moment, and those left out of it.
    second: Instant,
    lines: u32,
    left_out: u32,
}

impl Log {
    /// A flood of frames must not become a flood of lines.
    const LINES_PER_SECOND: u32 = 200;

    pub(super) fn new(quiet: bool, prefix: String) -> Self {
        Self { quiet, prefix, second: Instant::ZERO, lines: 0, left_out: 0 }
    }

    pub(super) fn event(&mut self, now: Instant, event: &Event) {
        if self.quiet {
            return;
        }
        if now.since(self.second) >= Duration::from_secs(1) {
            if self.left_out > 0 {
                eprintln!("bootserver: {} more lines were left out", self.left_out);
            }
            (self.second, self.lines, self.left_out) = (now, 0, 0);
        }
        self.lines += 1;
        if self.lines > Self::LINES_PER_SECOND {
            self.left_out += 1;
            return;
        }
        eprintln!("{}{}: {}", self.prefix, event.sled, text(&event.kind));
    }
}

fn text(kind: &EventKind) -> String {
    match kind {
        EventKind::Settled => "is the first: it is served, and no other".to_owned(),
        EventKind::Hello { again: false } => "says hello".to_owned(),
        EventKind::Hello { again: true } => {
            "says hello in the middle of its boot: starts over".to_owned()
        }
        EventKind::Offered { checksum, repeated } => {
            format!("offered {}{checksum}", if *repeated { "again " } else { "" })
        }
        EventKind::Started { size } => format!("reads: {} to go", Bytes(*size)),
        EventKind::Progress { bytes, size } => progress(*bytes, *size),
        EventKind::Finished(summary) => finished(summary),
        EventKind::Stalled { bytes, size } => format!("silent at {}", progress(*bytes, *size)),
        EventKind::Lost { bytes, size } => format!("given up at {}", progress(*bytes, *size)),
        EventKind::Reset => {
            "reads without having been offered an image: told to start over".to_owned()
        }
        EventKind::Unreadable => {
            "its image can't be read any more, the file has become shorter: told to start over"
                .to_owned()
        }
        EventKind::Evicted => "forgotten: too many sleds at once".to_owned(),
    }
}

fn progress(bytes: u64, size: u64) -> String {
    let percent = u128::from(bytes) * 100 / u128::from(size.max(1));
    format!("{percent}% ({} of {})", Bytes(bytes), Bytes(size))
}

fn finished(summary: &Summary) -> String {
    let Summary { time, size, frames, again, early, needless, assumed } = summary;
    let how = if *assumed { "has had everything and is silent: taken as booted" } else { "booted" };
    let mut text = format!(
        "{how}: {} in {:.3} s ({:.0} MB/s), {frames} frames",
        Bytes(*size),
        time.as_secs_f64(),
        megabytes_per_second(*size, *time),
    );
    if again + early > 0 {
        let _ = write!(
            text,
            "; sent again: {again} asked for, {early} early ({needless} of them needless)"
        );
    }
    text
}
