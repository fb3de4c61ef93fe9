//! Log lines about sleds that boot in step.

use std::time::Duration;

use boot_format::wire;
use boot_netboot::server::{Expected, GroupEvent, GroupStatus, Leaving, OneByOne};

use crate::units::{Bytes, Plural};

/// Bytes of a batch.
const BATCH: u64 = wire::BATCH as u64;

/// A line about an event.
pub fn line(event: &GroupEvent) -> String {
    match event {
        GroupEvent::Gathering { window } => {
            format!("a sled waits for others to boot with, {} s at most", window.as_secs_f64())
        }
        GroupEvent::Waiting { sleds, reading } => {
            format!("{} until {} booted", waiting(*sleds), have(*reading))
        }
        GroupEvent::Offered { sleds, checksum } => {
            format!("{} offered {checksum} at the same time", are(*sleds))
        }
        GroupEvent::InStep { members, position: 0, expected } => {
            format!("{} boot in step: {}", sleds(*members), batches(expected))
        }
        GroupEvent::InStep { members, position, expected } => {
            let (members, position) = (sleds(*members), Bytes(*position));
            format!("{members} go on in step at {position}: {}", batches(expected))
        }
        GroupEvent::OneByOne { sleds: count, why, expected } => {
            format!("{} served one by one: {}", are(*count), reason(*why, expected))
        }
        GroupEvent::Left { sled, why, members } => {
            format!("{sled} leaves, {}; {} left", leaving(*why), sleds(*members))
        }
        GroupEvent::CaughtUp { sled, behind } => {
            format!("{sled} may catch up, {} behind", Bytes(behind * BATCH))
        }
        GroupEvent::Done { members, time, frames } => format!(
            "{} been sent everything in {:.3} s, {} for all",
            have(*members),
            time.as_secs_f64(),
            Plural(*frames, "frame")
        ),
        GroupEvent::OtherServer { server } => {
            format!("another boot server serves sleds here ({server}): nothing is broadcast")
        }
    }
}

/// What a group is doing.
pub fn status(status: &GroupStatus) -> String {
    match status {
        GroupStatus::Gathering(count) => waiting(*count),
        GroupStatus::InStep { members, waiting: others, bytes, size } => {
            let percent = u128::from(*bytes) * 100 / u128::from((*size).max(1));
            let text = format!("{} in step at {percent}%", sleds(*members));
            if *others == 0 { text } else { format!("{text}, {}", waiting(*others)) }
        }
    }
}

fn sleds(count: usize) -> String {
    Plural(count as u64, "sled").to_string()
}

fn waiting(count: usize) -> String {
    format!("{} {}", sleds(count), if count == 1 { "waits" } else { "wait" })
}

fn are(count: usize) -> String {
    format!("{} {}", sleds(count), if count == 1 { "is" } else { "are" })
}

fn have(count: usize) -> String {
    format!("{} {}", sleds(count), if count == 1 { "has" } else { "have" })
}

fn batches(expected: &Expected) -> String {
    let Expected { in_step, one_by_one } = expected;
    format!("{} ms a batch for all, {} one by one", ms(*in_step), ms(*one_by_one))
}

fn reason(why: OneByOne, expected: &Expected) -> String {
    match why {
        OneByOne::Faster => batches(expected),
        OneByOne::AllLose => "all lose frames of each batch at once; does a switch cap broadcast \
                              (storm control)?"
            .to_owned(),
        OneByOne::OthersRead => "others are in the middle of a boot".to_owned(),
        OneByOne::OtherServer => "another boot server serves sleds here".to_owned(),
    }
}

fn leaving(why: Leaving) -> String {
    match why {
        Leaving::Silent(time) => format!("silent for {} ms", ms(time)),
        Leaving::Slow(time) => format!("too slow by {} ms a batch", ms(time)),
        Leaving::Gone => "it starts over, or has ended".to_owned(),
    }
}

fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 10.0 { format!("{ms:.1}") } else { format!("{ms:.0}") }
}

#[cfg(test)]
mod tests {
    use boot_format::wire::MacAddr;

    use super::*;

    #[test]
    fn events_are_told_with_their_reasons() {
        let expected = Expected {
            in_step: Duration::from_micros(1890),
            one_by_one: Duration::from_micros(35_456),
        };
        let sled = MacAddr::new([2, 0, 0, 0, 0, 7]);
        let silent = Leaving::Silent(Duration::from_millis(250));
        for (event, expected) in [
            (
                GroupEvent::InStep { members: 32, position: 0, expected },
                "32 sleds boot in step: 1.9 ms a batch for all, 35 one by one",
            ),
            (
                GroupEvent::OneByOne { sleds: 2, why: OneByOne::Faster, expected },
                "2 sleds are served one by one: 1.9 ms a batch for all, 35 one by one",
            ),
            (
                GroupEvent::Left { sled, why: silent, members: 1 },
                "02:00:00:00:00:07 leaves, silent for 250 ms; 1 sled left",
            ),
            (GroupEvent::Waiting { sleds: 3, reading: 1 }, "3 sleds wait until 1 sled has booted"),
        ] {
            assert_eq!(line(&event), expected);
        }
    }

    #[test]
    fn the_status_says_how_far_a_group_is() {
        let group = GroupStatus::InStep { members: 8, waiting: 1, bytes: 1 << 20, size: 4 << 20 };
        assert_eq!(status(&group), "8 sleds in step at 25%, 1 sled waits");
        assert_eq!(status(&GroupStatus::Gathering(2)), "2 sleds wait");
    }
}
