//! The table of how simulated sleds' boots went.

use std::fmt::Write as _;
use std::time::Duration;

use boot_format::wire::MacAddr;
use boot_netboot::sled::Report;
use boot_netboot::time::Instant;

use crate::columns::{heading, row};
use crate::units::Bytes;

/// The table of boots: a row for each sled, and a last one for all together.
///
/// The seconds count from accepting the offer to having everything; in the last row, from the first
/// HELLO of any sled to the end of the last boot.
pub fn table<'a>(sleds: impl Iterator<Item = (MacAddr, &'a Report)>) -> String {
    let mut text = heading(["timeouts", "unwanted"], "checksum");
    text.push('\n');
    let (mut count, mut booted, mut bytes) = (0, 0, 0);
    let (mut first, mut last): (Option<Instant>, Option<Instant>) = (None, None);
    let (mut timeouts, mut unwanted) = (0, 0);
    for (address, report) in sleds {
        count += 1;
        timeouts += report.timeouts;
        unwanted += report.unwanted;
        first = first.into_iter().chain(report.hello).min();
        let (boot, verdict) = match report.boot_time() {
            Some(time) if report.boots > 0 => {
                booted += 1;
                bytes += report.size;
                last = last.max(report.finished);
                (Some((report.size, time)), "ok")
            }
            _ => (None, failure(report)),
        };
        let counts = [report.timeouts, report.unwanted];
        let _ = writeln!(text, "{}", row(&address.to_string(), boot, Some(counts), verdict));
    }
    let time = first.zip(last).map_or(Duration::ZERO, |(first, last)| last.since(first));
    let (all, size) = (format!("{booted} of {count} booted"), format!("{} in all", Bytes(bytes)));
    let _ = writeln!(text, "{}", row(&all, Some((bytes, time)), Some([timeouts, unwanted]), &size));
    text
}

fn failure(report: &Report) -> &'static str {
    if report.panics > 0 {
        "panicked"
    } else if report.accepted.is_some() {
        "unfinished"
    } else {
        "took no offer"
    }
}
