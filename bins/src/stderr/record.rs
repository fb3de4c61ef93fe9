//! One line of a log for programs.

use std::fmt::Write as _;
use std::time::SystemTime;

use clap::ValueEnum;
use humantime::format_rfc3339_millis;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::shown::acts;

/// How severe something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The tool can't go on.
    Error,
    /// Something needs attention.
    Warn,
    /// What happens in normal operation.
    Info,
    /// Everything, including what happens again and again.
    Debug,
}

/// The fields of a line of JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Record {
    version: u8,
    time: String,
    level: Level,
    link: Option<String>,
    sled: Option<String>,
    name: Option<String>,
    event: &'static str,
    fields: Map<String, Value>,
}

impl Record {
    /// Counts up when a reader of the last version would misread this one.
    pub const VERSION: u8 = 1;

    /// A record of `event`, which concerns no link and no sled.
    pub fn new(time: SystemTime, level: Level, event: &'static str) -> Self {
        Self {
            version: Self::VERSION,
            time: rfc3339(time),
            level,
            link: None,
            sled: None,
            name: None,
            event,
            fields: Map::new(),
        }
    }

    /// The record of a line of plain text.
    pub fn notice(time: SystemTime, level: Level, text: String) -> Self {
        Self::new(time, level, "notice").with("text", text)
    }

    /// Sets which link and which sled it is about.
    #[must_use]
    pub fn about(self, link: Option<&str>, sled: Option<String>, name: Option<&str>) -> Self {
        Self { link: link.map(str::to_owned), sled, name: name.map(str::to_owned), ..self }
    }

    /// Adds a field.
    #[must_use]
    pub fn with(mut self, field: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(field.to_owned(), value.into());
        self
    }

    /// The record as one line, which ends in a newline. Characters that would act on a terminal
    /// are escaped.
    pub fn line(&self) -> String {
        // Only maps with keys other than strings fail, and none occur here.
        let json = serde_json::to_string(self).unwrap_or_default();
        let mut line = String::with_capacity(json.len() + 1);
        for character in json.chars() {
            // All of them stand within strings, and none is beyond what four digits say.
            if acts(character) {
                let _ = write!(line, "\\u{:04x}", u32::from(character));
            } else {
                line.push(character);
            }
        }
        line.push('\n');
        line
    }
}

/// A moment as RFC 3339 has it, in UTC, to the millisecond.
pub fn rfc3339(time: SystemTime) -> String {
    // A machine without a clock may report any time.
    let last = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(253_402_300_799);
    let time = time.clamp(SystemTime::UNIX_EPOCH, last);
    format_rfc3339_millis(time).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_record_is_one_line_whatever_it_has_to_say() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_764_333_296_789);
        let text = "a\nb \u{1b}]0;x\u{7} \u{202e}gmi \u{9b}2J \"q\"";
        let line = Record::notice(time, Level::Warn, text.to_owned()).line();
        assert_eq!(line.matches('\n').count(), 1);
        assert!(line.chars().all(|character| character == '\n' || !acts(character)), "{line:?}");
        let read: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(read["fields"]["text"], text);
        assert_eq!(read["time"], "2025-11-28T12:34:56.789Z");
        assert_eq!((read["version"].as_u64(), read["level"].as_str()), (Some(1), Some("warn")));
        assert_eq!((&read["link"], &read["sled"]), (&Value::Null, &Value::Null));
    }

    #[test]
    fn a_clock_that_is_wrong_by_ages_is_shown_all_the_same() {
        let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
        assert_eq!(rfc3339(far), "9999-12-31T23:59:59.000Z");
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(rfc3339(before), "1970-01-01T00:00:00.000Z");
    }
}
