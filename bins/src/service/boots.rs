//! The results of the boots that `-s` waits for.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use boot_format::wire::MacAddr;
use boot_netboot::server::{EventKind, Summary};
use boot_netboot::time::Instant;

use super::sled_at::SledAt;
use crate::columns::{heading, row};
use crate::units::{Bytes, megabytes_per_second};

/// What became of each sled.
#[derive(Debug, Default)]
pub(crate) struct Boots {
    sleds: BTreeMap<SledAt, BootEnd>,
    /// When the first sled was heard from, and when the last one had booted.
    first: Option<Instant>,
    last: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
enum BootEnd {
    Waits,
    Reads,
    Booted(Summary),
}

impl Boots {
    /// A flood of invented addresses must not become a long table.
    const MOST_UNBOOTED: usize = 256;

    /// Takes in what happened to a sled.
    pub(crate) fn note(&mut self, now: Instant, sled: SledAt, kind: &EventKind) {
        let outcome = match kind {
            EventKind::Hello { .. } => BootEnd::Waits,
            EventKind::Started { .. } => BootEnd::Reads,
            EventKind::Finished(summary) => {
                self.last = Some(now);
                BootEnd::Booted(*summary)
            }
            _ => return,
        };
        self.first.get_or_insert(now);
        let is_booted = matches!(outcome, BootEnd::Booted(_));
        let has_room = self.unbooted() < Self::MOST_UNBOOTED;
        match self.sleds.get_mut(&sled) {
            // Having booted once is what counts.
            Some(BootEnd::Booted(_)) if !is_booted => {}
            Some(known) => *known = outcome,
            None if is_booted || has_room => {
                self.sleds.insert(sled, outcome);
            }
            None => {}
        }
    }

    /// Whether the sled with this address has booted, on whatever link.
    pub(crate) fn has_booted(&self, address: MacAddr) -> bool {
        self.booted().any(|(sled, _)| sled.address == address)
    }

    /// Whether a sled has booted.
    pub(crate) fn any_booted(&self) -> bool {
        self.booted().next().is_some()
    }

    /// A line for each sled, if there are several and `all` are asked for, and one for all
    /// together. Sleds in `named` are included even if they were never heard from.
    pub(crate) fn table(&self, named: impl Iterator<Item = MacAddr>, all: bool) -> Vec<String> {
        let silent: Vec<_> = named
            .filter(|&address| self.sleds.keys().all(|sled| sled.address != address))
            .collect();
        let count = self.sleds.len() + silent.len();
        let mut lines = Vec::new();
        if all && count > 1 {
            lines.push(heading(["again", "early"], "outcome"));
            lines.extend(self.sleds.iter().map(|(sled, outcome)| line(sled, outcome)));
            let silence =
                |address: MacAddr| row(&address.to_string(), None, None, "not heard from");
            lines.extend(silent.into_iter().map(silence));
        }
        lines.push(self.total(count));
        lines
    }

    fn total(&self, count: usize) -> String {
        let (mut booted, mut bytes) = (0, 0);
        for (_, summary) in self.booted() {
            booted += 1;
            bytes += summary.size;
        }
        let mut text = format!("{booted} of {count} booted");
        if let Some((first, last)) = self.first.zip(self.last) {
            let time = last.since(first);
            let (seconds, rate) = (time.as_secs_f64(), megabytes_per_second(bytes, time));
            let _ = write!(text, ", {} in {seconds:.3} s ({rate:.0} MB/s)", Bytes(bytes));
        }
        text
    }

    fn booted(&self) -> impl Iterator<Item = (&SledAt, &Summary)> {
        self.sleds.iter().filter_map(|(sled, outcome)| match outcome {
            BootEnd::Booted(summary) => Some((sled, summary)),
            _ => None,
        })
    }

    fn unbooted(&self) -> usize {
        self.sleds.len() - self.booted().count()
    }
}

fn line(sled: &SledAt, outcome: &BootEnd) -> String {
    let (boot, counts, last) = match outcome {
        BootEnd::Waits => (None, None, "took no offer"),
        BootEnd::Reads => (None, None, "unfinished"),
        BootEnd::Booted(Summary { time, size, again, early, .. }) => {
            (Some((*size, *time)), Some([*again, *early]), "ok")
        }
    };
    row(&sled.to_string(), boot, counts, last)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn sled(number: u8) -> SledAt {
        SledAt { link: None, address: MacAddr::new([2, 0, 0, 0, 0, number]) }
    }

    fn at(milliseconds: u64) -> Instant {
        Instant::ZERO + Duration::from_millis(milliseconds)
    }

    fn booted() -> EventKind {
        EventKind::Finished(Summary {
            time: Duration::from_millis(500),
            size: 64 << 20,
            frames: 65537,
            again: 1,
            early: 2,
            needless: 0,
            assumed: false,
        })
    }

    #[test]
    fn the_table_has_a_line_for_each_sled_and_one_for_all() {
        let mut boots = Boots::default();
        let hello = EventKind::Hello { again: false };
        for number in [1, 2, 3] {
            boots.note(at(100), sled(number), &hello);
        }
        boots.note(at(200), sled(2), &EventKind::Started { size: 64 << 20 });
        boots.note(at(1100), sled(1), &booted());
        boots.note(at(1200), sled(1), &hello);
        let named = [1, 9].map(|number| sled(number).address);
        let table = [
            "sled                seconds      MB/s    again    early  outcome",
            "02:00:00:00:00:01     0.500       134        1        2  ok",
            "02:00:00:00:00:02         -         -        -        -  unfinished",
            "02:00:00:00:00:03         -         -        -        -  took no offer",
            "02:00:00:00:00:09         -         -        -        -  not heard from",
            "1 of 4 booted, 64 MiB in 1.000 s (67 MB/s)",
        ];
        assert_eq!(boots.table(named.into_iter(), true), table);
        assert_eq!(boots.table(named.into_iter(), false), table[5..]);
    }

    #[test]
    fn one_sled_alone_needs_no_table_and_none_says_so() {
        let mut boots = Boots::default();
        assert_eq!(boots.table([].into_iter(), true), ["0 of 0 booted"]);
        boots.note(at(0), sled(1), &booted());
        assert!(boots.has_booted(sled(1).address) && !boots.has_booted(sled(2).address));
        assert_eq!(boots.table([].into_iter(), true).len(), 1);
    }

    #[test]
    fn a_flood_of_addresses_is_not_kept_and_a_boot_among_them_is() {
        let mut boots = Boots::default();
        for number in 0..2000_u16 {
            let [high, low] = number.to_be_bytes();
            let sled = SledAt { link: None, address: MacAddr::new([2, 0, 0, 0, high, low]) };
            boots.note(at(0), sled, &EventKind::Hello { again: false });
        }
        boots.note(at(1), SledAt { link: None, address: MacAddr::new([6; 6]) }, &booted());
        assert_eq!(boots.sleds.len(), Boots::MOST_UNBOOTED + 1);
        assert!(boots.any_booted());
    }
}
