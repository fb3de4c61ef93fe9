//! What went over each link, in lines for people.

use std::fmt::{self, Display};
use std::ops::AddAssign;

use boot_backends::LinkCounters;
use boot_netboot::server::Counters;

/// What one worker, or all workers of a link, have sent and received.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) link: LinkCounters,
    pub(crate) server: Counters,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.link += more.link;
        self.server.malformed += more.server.malformed;
        self.server.ignored += more.server.ignored;
        self.server.resets_withheld += more.server.resets_withheld;
        self.server.offers_withheld += more.server.offers_withheld;
        self.server.events_lost += more.server.events_lost;
    }
}

impl Display for Counts {
    /// What every link has to tell, and behind it what did not go as it should.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { link, server } = self;
        write!(
            f,
            "{} frames sent, {} dropped; waited {} times for room; {} received",
            link.taken, link.dropped, link.full, link.received
        )?;
        let mut rest = |count: u64, what: &str| {
            if count == 0 { Ok(()) } else { write!(f, "; {count} {what}") }
        };
        rest(link.queue_full, "times the link's queue was full (ENOBUFS)")?;
        rest(link.held, "waited for the link to come up again")?;
        rest(link.unreadable, "dropped because a mapped image was cut short")?;
        rest(link.missed, "lost for want of receive buffer")?;
        rest(link.as_us, "from others with this link's own address")?;
        rest(server.malformed, "of them broken")?;
        rest(server.ignored, "of them not for us")?;
        rest(server.resets_withheld, "READs left unanswered")?;
        rest(server.offers_withheld, "HELLOs left unanswered")?;
        rest(server.events_lost, "events not told")?;
        if link.downs > 0 {
            let seconds = link.down_time.as_secs_f64();
            write!(f, "; the link was down {} times, {seconds:.3} s in all", link.downs)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_went_well_is_told_in_few_words_and_trouble_behind_it() {
        let mut counts = Counts::default();
        counts.link.taken = 7;
        counts += counts;
        let well = "14 frames sent, 0 dropped; waited 0 times for room; 0 received";
        assert_eq!(counts.to_string(), well);
        counts.link.down_time = Duration::from_millis(1500);
        (counts.link.downs, counts.server.malformed) = (2, 3);
        let trouble = "; 3 of them broken; the link was down 2 times, 1.500 s in all";
        assert_eq!(counts.to_string(), format!("{well}{trouble}"));
    }
}
