//! The table of how simulated sleds' boots went.

use std::fmt::Write as _;
use std::time::Duration;

use boot_format::wire::MacAddr;
use boot_netboot::sled::Report;
use boot_netboot::time::Instant;

use crate::units::{Bytes, megabytes_per_second};

/// The table of boots: a row for each sled, and a last one for all together.
///
/// The seconds count from accepting the offer to having everything; in the last row, from the first
/// HELLO of any sled to the end of the last boot.
pub fn table<'a>(sleds: impl Iterator<Item = (MacAddr, &'a Report)>) -> String {
    let mut text = format!(
        "{:<17} {:>9} {:>9} {:>8} {:>8}  checksum\n",
        "sled", "seconds", "MB/s", "timeouts", "unwanted"
    );
    let (mut count, mut booted, mut bytes) = (0, 0, 0);
    let (mut first, mut last): (Option<Instant>, Option<Instant>) = (None, None);
    let (mut timeouts, mut unwanted) = (0, 0);
    for (address, report) in sleds {
        count += 1;
        timeouts += report.timeouts;
        unwanted += report.unwanted;
        first = first.into_iter().chain(report.hello).min();
        let (seconds, rate, verdict) = match report.boot_time() {
            Some(time) if report.boots > 0 => {
                booted += 1;
                bytes += report.size;
                last = last.max(report.finished);
                let rate = megabytes_per_second(report.size, time);
                (format!("{:.3}", time.as_secs_f64()), format!("{rate:.0}"), "ok")
            }
            _ => ("-".to_owned(), "-".to_owned(), failure(report)),
        };
        let (timeouts, unwanted) = (report.timeouts, report.unwanted);
        let _ = writeln!(
            text,
            "{address} {seconds:>9} {rate:>9} {timeouts:>8} {unwanted:>8}  {verdict}"
        );
    }
    let time = first.zip(last).map_or(Duration::ZERO, |(first, last)| last.since(first));
    let (seconds, rate) = (time.as_secs_f64(), megabytes_per_second(bytes, time));
    let all = format!("{booted} of {count} booted");
    let _ = writeln!(
        text,
        "{all:<17} {seconds:>9.3} {rate:>9.0} {timeouts:>8} {unwanted:>8}  {} in all",
        Bytes(bytes)
    );
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
