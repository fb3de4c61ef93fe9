//! How boots go, on a terminal: a line for each sled that boots, and one for all.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};

use rustix::termios::tcgetwinsize;

use super::rack::{Key, Rack, Sled, State};
use crate::shown::Shown;
use crate::units::Plural;

/// What the lines need to know.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Display {
    /// Whether sleds are on several links.
    several: bool,
}

/// A terminal's size in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Size {
    columns: usize,
    rows: usize,
}

impl Size {
    /// Stderr's size, or the classic 80 by 24 if it does not report one.
    fn of_stderr() -> Self {
        let size = tcgetwinsize(io::stderr()).ok();
        let or = |count: u16, usual| if count == 0 { usual } else { usize::from(count) };
        size.map_or(Self { columns: 80, rows: 24 }, |size| Self {
            columns: or(size.ws_col, 80),
            rows: or(size.ws_row, 24),
        })
    }
}

impl Display {
    /// The display, if stderr is a terminal.
    pub(crate) fn on_stderr(several: bool) -> Option<Self> {
        io::stderr().is_terminal().then_some(Self { several })
    }

    /// The lines as they are now: none before the first boot.
    pub(crate) fn lines(self, rack: &Rack) -> Vec<String> {
        self.draw(rack, Size::of_stderr())
    }

    fn draw(self, rack: &Rack, size: Size) -> Vec<String> {
        let boots: Vec<_> = rack.sleds().filter(|(_, sled)| sled.state.is_boot()).collect();
        let Some(summary) = summary(rack) else { return Vec::new() };
        // The log keeps half of the screen.
        let room = (size.rows / 2).max(2) - 1;
        let shown = if boots.len() > room { room - 1 } else { boots.len() };
        let mut lines: Vec<_> =
            boots[..shown].iter().map(|(key, sled)| self.line(key, sled)).collect();
        if boots.len() > shown {
            lines.push(format!("... and {}", Plural((boots.len() - shown) as u64, "more sled")));
        }
        lines.push(summary);
        // A line that wraps would leave one line behind when the lines are erased.
        lines.iter().map(|line| line.chars().take(size.columns - 1).collect()).collect()
    }

    fn line(self, (link, address): &Key, sled: &Sled) -> String {
        let percent = u128::from(sled.bytes) * 100 / u128::from(sled.size.max(1));
        let full = (percent as usize * Self::BAR / 100).min(Self::BAR);
        let bar = format!("{}{}", "#".repeat(full), "-".repeat(Self::BAR - full));
        let link = if self.several { format!("{link} ") } else { String::new() };
        let who = sled.name.as_deref().map_or_else(|| address.to_string(), str::to_owned);
        let left = sled.seconds_left().map_or_else(|| "-".to_owned(), left);
        let again = sled.asked + sled.early;
        let rate = sled.rate / 1e6;
        let line = format!(
            "{link}{who:<17}  {:<7} [{bar}] {percent:>3}%  {rate:>6.1} MB/s  {left:>6} left  \
             {again} retransmitted",
            sled.state.name()
        );
        Shown(line).to_string()
    }

    /// Characters of a bar.
    const BAR: usize = 20;
}

/// A line for all sleds, if there is anything to show.
fn summary(rack: &Rack) -> Option<String> {
    let (mut boots, mut rate) = (0, 0.0);
    let (mut booted, mut failed, mut reading) = (0, 0, 0);
    for (_, sled) in rack.sleds() {
        boots += u64::from(sled.boots);
        booted += u64::from(sled.state == State::Booted);
        failed += u64::from(sled.state == State::Failed);
        if sled.state.is_boot() {
            reading += 1;
            rate += sled.rate;
        }
    }
    if boots + failed + reading == 0 {
        return None;
    }
    let mut text = format!("{reading} booting, {booted} booted");
    if boots > booted {
        let _ = write!(text, " ({boots} boots in all)");
    }
    if failed > 0 {
        let _ = write!(text, ", {failed} failed");
    }
    if reading > 0 {
        let _ = write!(text, "; {:.1} MB/s", rate / 1e6);
    }
    Some(text)
}

fn left(seconds: f64) -> String {
    let seconds = seconds.ceil() as u64;
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{}:{:02}", seconds / 60, seconds % 60),
        _ => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use boot_format::wire::MacAddr;
    use boot_netboot::server::EventKind;

    use super::*;
    use crate::service::events::samples::{SUMMARY, of_sled};
    use crate::service::events::{Event, Names};

    const SIZE: Size = Size { columns: 120, rows: 12 };

    fn event(number: u8, kind: EventKind) -> Event {
        Event { sled: Some(MacAddr::new([2, 0, 0, 0, 0, number])), ..of_sled(kind) }
    }

    /// A rack in which the sleds of `reading` are half done after two seconds.
    fn rack(reading: std::ops::Range<u8>) -> Rack {
        let mut rack = Rack::default();
        let start = Instant::now();
        let mut note = |second, event| {
            rack.note(start + Duration::from_secs(second), &event, &Names::default());
        };
        for number in reading {
            note(0, event(number, EventKind::Started { size: 64 << 20 }));
            note(2, event(number, EventKind::Progress { bytes: 32 << 20, size: 64 << 20 }));
        }
        rack
    }

    #[test]
    fn a_sled_that_boots_has_a_line_and_one_that_has_booted_has_none() {
        let display = Display { several: false };
        assert_eq!(display.draw(&Rack::default(), SIZE), [""; 0]);
        let mut rack = rack(1..3);
        let lines = display.draw(&rack, SIZE);
        let expected = "02:00:00:00:00:01  reading [##########----------]  50%    16.8 MB/s     2 s \
                        left  0 retransmitted";
        assert_eq!(lines[0], expected);
        assert_eq!(lines[2], "2 booting, 0 booted; 33.6 MB/s");
        rack.note(Instant::now(), &event(1, EventKind::Finished(SUMMARY)), &Names::default());
        let lines = display.draw(&rack, SIZE);
        assert_eq!((lines.len(), lines[1].as_str()), (2, "1 booting, 1 booted; 16.8 MB/s"));
    }

    #[test]
    fn the_log_keeps_half_of_the_screen_and_no_line_is_too_long() {
        let lines = Display { several: true }.draw(&rack(0..40), SIZE);
        assert_eq!(lines.len(), 6);
        assert_eq!(lines[4], "... and 36 more sleds");
        let narrow = Size { columns: 20, rows: 2 };
        let lines = Display { several: true }.draw(&rack(0..40), narrow);
        assert!(lines.iter().all(|line| line.chars().count() < 20), "{lines:?}");
    }
}
