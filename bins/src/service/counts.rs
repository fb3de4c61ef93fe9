//! What went over each link, as log lines.

use std::fmt::{self, Display};
use std::ops::AddAssign;

use boot_backends::LinkCounters;
use boot_netboot::server::{Counters, GroupStatus};

use crate::groups;
use crate::units::{Plural, Times};

/// What one worker, or all workers of a link, have sent and received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) link: LinkCounters,
    pub(crate) server: Counters,
    /// What the sleds that boot in step are doing, if the worker has any.
    pub(crate) group: Option<GroupStatus>,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.link += more.link;
        self.group = self.group.or(more.group);
        self.server.data += more.server.data;
        self.server.broadcast += more.server.broadcast;
        self.server.malformed += more.server.malformed;
        self.server.ignored += more.server.ignored;
        self.server.resets_withheld += more.server.resets_withheld;
        self.server.offers_withheld += more.server.offers_withheld;
        self.server.events_lost += more.server.events_lost;
    }
}

impl Display for Counts {
    /// Frames in and out first; drops, stalls and downtime follow if there were any.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { link, server, group } = self;
        let (sent, waits) = (Plural(link.taken, "frame"), Times(link.full));
        let (dropped, received) = (link.dropped, link.received);
        write!(f, "{sent} sent, {dropped} dropped; waited {waits} for room; {received} received")?;
        let mut rest = |count: u64, noun: &str, what: &str| {
            if count == 0 { Ok(()) } else { write!(f, "; {}{what}", Plural(count, noun)) }
        };
        rest(server.broadcast, "DATA frame", " broadcast")?;
        rest(link.queue_full, "wait", " for the link's own queue (ENOBUFS)")?;
        rest(link.held, "frame", " held while the link was down")?;
        rest(link.unreadable, "frame", " dropped because a mapped image was cut short")?;
        rest(link.missed, "frame", " lost because the receive buffer was full")?;
        rest(link.as_us, "frame", " from outside with this link's own address")?;
        rest(server.malformed, "broken frame", "")?;
        rest(server.ignored, "frame", " for others")?;
        rest(server.resets_withheld, "READ", " left unanswered")?;
        rest(server.offers_withheld, "HELLO", " left unanswered")?;
        rest(server.events_lost, "event", " lost")?;
        if link.downs > 0 {
            let seconds = link.down_time.as_secs_f64();
            write!(f, "; the link was down {}, {seconds:.3} s in all", Times(link.downs))?;
        }
        if let Some(group) = group {
            write!(f, "; {}", groups::status(group))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_went_well_takes_few_words_and_trouble_follows() {
        let mut counts = Counts::default();
        counts.link.taken = 7;
        counts += counts;
        let well = "14 frames sent, 0 dropped; waited 0 times for room; 0 received";
        assert_eq!(counts.to_string(), well);
        counts.link.down_time = Duration::from_millis(1500);
        (counts.link.downs, counts.server.malformed) = (2, 3);
        let trouble = "; 3 broken frames; the link was down 2 times, 1.500 s in all";
        assert_eq!(counts.to_string(), format!("{well}{trouble}"));
        (counts.link.downs, counts.link.full, counts.server.malformed) = (1, 1, 1);
        let line = counts.to_string();
        assert!(line.contains("waited once") && line.contains("; 1 broken frame; "), "{line}");
        assert!(line.ends_with("; the link was down once, 1.500 s in all"), "{line}");
    }
}
