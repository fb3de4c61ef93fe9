//! What changes about a link while it is served.

use std::time::Duration;

use boot_backends::{Datalink, LEAST_MTU};
use boot_format::wire::MacAddr;
use boot_netboot::time::Instant;

use super::events::LinkEvent;

/// What has been reported about a link.
#[derive(Debug)]
pub(crate) struct LinkNews {
    name: String,
    address: MacAddr,
    fits: bool,
    /// Frames from others with the link's address.
    as_us: u64,
    next_as_us: Instant,
}

impl LinkNews {
    /// At most one line a minute, however often such frames arrive: one is enough to have an
    /// operator look.
    const PAUSE: Duration = Duration::from_mins(1);

    /// Nothing has changed about `link` yet.
    pub(crate) fn new(link: &dyn Datalink) -> Self {
        Self {
            name: link.current_name().to_owned(),
            address: link.address(),
            fits: link.mtu() >= LEAST_MTU,
            as_us: 0,
            next_as_us: Instant::ZERO,
        }
    }

    /// What is to be reported now, after `as_us` frames from others with the link's address.
    pub(crate) fn events(
        &mut self,
        now: Instant,
        link: &dyn Datalink,
        as_us: u64,
    ) -> Vec<LinkEvent> {
        let mut events = Vec::new();
        if self.name != link.current_name() {
            link.current_name().clone_into(&mut self.name);
            events.push(LinkEvent::Renamed { now: self.name.clone() });
        }
        if self.address != link.address() {
            events.push(LinkEvent::Address { was: self.address, now: link.address() });
            self.address = link.address();
        }
        let (mtu, fits) = (link.mtu(), link.mtu() >= LEAST_MTU);
        if fits != self.fits {
            self.fits = fits;
            events.push(LinkEvent::Mtu { mtu: mtu as u64, fits });
        }
        if as_us > self.as_us && now >= self.next_as_us {
            (self.as_us, self.next_as_us) = (as_us, now + Self::PAUSE);
            events.push(LinkEvent::AsUs { address: self.address, frames: as_us });
        }
        events
    }
}

#[cfg(test)]
mod tests {
    use boot_backends::cable::Segment;

    use super::*;

    #[test]
    fn somebody_who_sends_as_us_is_told_of_once_a_minute() {
        let port = Segment::new().plug(MacAddr::new([2, 0, 0, 0, 0, 1]));
        let mut news = LinkNews::new(&port);
        let mut said = |seconds, frames| {
            let now = Instant::ZERO + Duration::from_secs(seconds);
            let events = news.events(now, &port, frames);
            events.iter().map(LinkEvent::to_string).collect::<Vec<_>>()
        };
        assert!(said(1, 0).is_empty());
        let lines = said(2, 1);
        assert!(lines[0].contains("(1 so far)"), "{lines:?}");
        assert!(said(3, 9).is_empty());
        assert!(said(62, 9)[0].contains("(9 so far)"));
        assert!(said(200, 9).is_empty());
    }

    #[test]
    fn what_has_changed_is_told_once() {
        let segment = Segment::new();
        let before = segment.plug(MacAddr::new([2, 0, 0, 0, 0, 1]));
        let after = segment.plug(MacAddr::new([2, 0, 0, 0, 0, 2]));
        let mut news = LinkNews::new(&before);
        assert!(news.events(Instant::ZERO, &before, 0).is_empty());
        let lines: Vec<_> =
            news.events(Instant::ZERO, &after, 0).iter().map(LinkEvent::to_string).collect();
        let wanted = "the link's address was 02:00:00:00:00:01 and is now 02:00:00:00:00:02";
        assert!(lines.len() == 1 && lines[0].starts_with(wanted), "{lines:?}");
        assert!(news.events(Instant::ZERO, &after, 0).is_empty());
    }
}
