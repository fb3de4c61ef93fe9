//! The words of the log.

use std::fmt::Write as _;

use boot_format::Checksum;
use boot_netboot::server::{EventKind, Summary};

use super::{Event, LinkEvent, What};
use crate::groups;
use crate::units::{Bytes, megabytes_per_second};

/// The line about `event`, without its time, if there is one. If there are `several` links, it
/// names the event's.
pub(crate) fn line(event: &Event, several: bool) -> Option<String> {
    let link = event.link.as_deref().unwrap_or_default();
    // With one link its name would be redundant.
    let prefix = if several && !link.is_empty() { format!("{link} ") } else { String::new() };
    let text = match &event.what {
        What::Sled(kind) => return Some(of_sled(event, &prefix, &text(kind))),
        What::Refused(checksum, times) => {
            return Some(of_sled(event, &prefix, &refused(*checksum, *times)));
        }
        What::Assigned(assigned) => return Some(of_sled(event, &prefix, &assigned.to_string())),
        What::Hook(hook) if event.sled.is_some() => {
            return Some(of_sled(event, &prefix, &hook.to_string()));
        }
        What::Hook(hook) => hook.to_string(),
        What::Group(group) => format!("{prefix}{}", groups::line(group)),
        What::Link(opened @ LinkEvent::Opened { worker, workers: all @ 2.., .. }) => {
            format!("{link}, worker {worker} of {all}: {opened}")
        }
        What::Link(gone @ LinkEvent::Gone { .. }) => gone.to_string(),
        What::Link(other) => format!("{link}: {other}"),
        What::Image(image) => image.to_string(),
        What::Fetch(fetch) => fetch.to_string(),
        What::Config(config) => config.to_string(),
        What::Counts { counts, .. } => format!("{link}: {counts}"),
        What::Serving(who) => format!("serving {who}"),
        What::Boots(text) | What::Failed(text) | What::Notice(_, text) => text.clone(),
        What::LeftOut(subject, count) => {
            format!("{prefix}{count} more lines about {} left out", subject.name())
        }
        What::Lost(count) => format!("{count} events lost: too many at once"),
        What::InService(_) | What::Judged(_) | What::Standing(_) => return None,
    };
    Some(format!("bootserver: {text}"))
}

fn of_sled(event: &Event, prefix: &str, text: &str) -> String {
    let mut line = prefix.to_owned();
    if let Some(sled) = event.sled {
        let _ = write!(line, "{sled}");
    }
    if let Some(name) = &event.name {
        let _ = write!(line, " ({name})");
    }
    line + ": " + text
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
    fn a_sled_is_called_by_address_and_name_and_by_link_if_there_are_several() {
        let sled = Some(MacAddr::new([2, 0, 0, 0, 0, 1]));
        let hello = What::Sled(EventKind::Hello { again: false });
        let mut event = Event { link: Some("net0".into()), sled, ..Event::now(hello) };
        assert_eq!(line(&event, false).unwrap(), "02:00:00:00:00:01: says hello");
        event.name = Some("left 4".into());
        assert_eq!(line(&event, true).unwrap(), "net0 02:00:00:00:00:01 (left 4): says hello");
    }

    #[test]
    fn a_link_of_several_workers_says_which_of_them_it_is() {
        let opened = |workers| {
            let path = "AF_PACKET".to_owned();
            let what = What::Link(LinkEvent::Opened { path, worker: 1, workers });
            line(&Event { link: Some("net0".into()), ..Event::now(what) }, false).unwrap()
        };
        assert_eq!(opened(1), "bootserver: net0: AF_PACKET");
        assert_eq!(opened(2), "bootserver: net0, worker 1 of 2: AF_PACKET");
    }
}
