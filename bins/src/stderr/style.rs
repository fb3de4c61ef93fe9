//! How a line looks: for people or programs, with or without the time.

use std::io;
use std::time::SystemTime;

use rustix::fs::fstat;

use super::record::{Level, Record, rfc3339};
use crate::shown::Shown;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Only the text.
    #[default]
    Plain,
    /// The time, then the text.
    Timed,
    /// A record of JSON.
    Json,
}

impl Style {
    /// How the log of a service looks as text: every line has its time, unless the journal that
    /// reads stderr gives it one.
    pub fn of_text() -> Self {
        if journal_reads(std::env::var("JOURNAL_STREAM").ok().as_deref()) {
            Self::Plain
        } else {
            Self::Timed
        }
    }

    /// A line of `text` in this style, with its end.
    pub fn line(self, time: SystemTime, level: Level, text: &str) -> String {
        match self {
            Self::Plain => format!("{}\n", Shown(text)),
            Self::Timed => format!("{} {}\n", rfc3339(time), Shown(text)),
            Self::Json => Record::notice(time, level, text.to_owned()).line(),
        }
    }
}

/// Whether stderr is the stream that `variable` names: it is inherited also by those whose stderr
/// goes elsewhere.
fn journal_reads(variable: Option<&str>) -> bool {
    let Some((device, inode)) = variable.and_then(|stream| stream.split_once(':')) else {
        return false;
    };
    let same = |stat: rustix::fs::Stat| {
        device.parse() == Ok(stat.st_dev) && inode.parse() == Ok(stat.st_ino)
    };
    fstat(io::stderr()).is_ok_and(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_told_from_other_readers() {
        assert!(!journal_reads(None));
        let stat = fstat(io::stderr()).unwrap();
        let (device, inode) = (stat.st_dev, stat.st_ino);
        assert!(journal_reads(Some(&format!("{device}:{inode}"))));
        for other in [format!("{device}:{}", inode + 1), format!("{device}"), "x:y".to_owned()] {
            assert!(!journal_reads(Some(&other)), "{other}");
        }
    }

    #[test]
    fn each_style_says_the_same_in_its_own_way() {
        let line = |style: Style| style.line(SystemTime::UNIX_EPOCH, Level::Info, "a\tb");
        assert_eq!(line(Style::Plain), "a\\tb\n");
        assert_eq!(line(Style::Timed), "1970-01-01T00:00:00.000Z a\\tb\n");
        assert!(line(Style::Json).contains("\"text\":\"a\\tb\""));
    }
}
