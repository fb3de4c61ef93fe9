//! How fast to send on each link.

use anyhow::{bail, ensure};
use boot_backends::LinkError;
use boot_netboot::server::Pace;

use super::link_names::{LinkName, served};
use crate::config::shown_pace;

/// How fast to send on each link.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rates {
    /// The pace of links that are not listed.
    pub others: Pace,
    /// Those that are.
    pub links: Vec<LinkRate>,
}

/// How fast to send on one link.
#[derive(Clone, Debug, PartialEq)]
pub struct LinkRate {
    /// The link, by any of its names.
    pub link: String,
    /// How fast.
    pub pace: Pace,
    /// Where it was given: an option, or a file and its line.
    pub origin: String,
}

impl Rates {
    /// The rates by the system's names of links, each of which has `workers`.
    ///
    /// # Errors
    ///
    /// If a link is not served or is listed twice, or a rate is lower than its workers can send.
    pub(super) fn settle(
        &self,
        links: &[LinkName],
        workers: usize,
        system_name: impl Fn(&str) -> Result<String, LinkError>,
    ) -> anyhow::Result<Self> {
        check(self.others, workers)?;
        let mut settled: Vec<LinkRate> = Vec::new();
        for LinkRate { link: given, pace, origin } in &self.links {
            let Some(link) = served(given, links, &system_name) else {
                let all: Vec<_> = links.iter().map(|link| link.given.as_str()).collect();
                bail!("{origin}: {given} is not served; LINK is {}", all.join(","));
            };
            check(*pace, workers).map_err(|error| error.context(origin.clone()))?;
            ensure!(
                settled.iter().all(|before| before.link != link),
                "{origin}: {given} is given twice"
            );
            settled.push(LinkRate { link, pace: *pace, origin: origin.clone() });
        }
        Ok(Self { others: self.others, links: settled })
    }

    /// The pace of the link with the system's name `system`; for settled rates.
    pub(super) fn of(&self, system: &str) -> Pace {
        let own = self.links.iter().find(|rate| rate.link == system);
        own.map_or(self.others, |rate| rate.pace)
    }

    /// The most workers with which every link can keep to its rate.
    pub(super) fn most_workers(&self) -> usize {
        let all = self.links.iter().map(|rate| rate.pace).chain([self.others]);
        let most = all.filter_map(|pace| match pace {
            Pace::AtMost(rate) => Some((rate / Pace::LEAST) as usize),
            Pace::Auto | Pace::Unlimited => None,
        });
        most.min().unwrap_or(usize::MAX).max(1)
    }

    /// What is different in `new`, by key.
    pub(super) fn changes(&self, new: &Self) -> Vec<(String, String)> {
        let mut changes = Vec::new();
        if self.others != new.others {
            changes.push(("rate".to_owned(), format!("now {}", shown_pace(new.others))));
        }
        let all = self.links.iter().chain(&new.links).map(|rate| rate.link.as_str());
        let mut links: Vec<&str> = all.collect();
        links.sort_unstable();
        links.dedup();
        for link in links {
            let own = |rates: &Self| {
                rates.links.iter().find(|rate| rate.link == link).map(|rate| rate.pace)
            };
            let now = match (own(self), own(new)) {
                (before, now) if before == now => continue,
                (_, Some(pace)) => format!("now {}", shown_pace(pace)),
                (_, None) => "now as on all links".to_owned(),
            };
            changes.push((format!("link {link}: rate"), now));
        }
        changes
    }
}

/// Whether the `workers` of a link can keep to `pace`: none is slower than [`Pace::LEAST`].
fn check(pace: Pace, workers: usize) -> anyhow::Result<()> {
    if let Pace::AtMost(rate) = pace {
        let least = Pace::LEAST * workers as f64;
        ensure!(
            rate >= least,
            "a rate of {} can't be kept to: expected {} at least, which a link with {workers} \
             workers sends",
            shown_pace(pace),
            shown_pace(Pace::AtMost(least)),
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::link_names::find;
    use super::super::options::Links;
    use super::*;
    use crate::config::pace;

    /// `right` is the same link as `net1`.
    #[expect(clippy::unnecessary_wraps, reason = "as the system's, which fails")]
    fn system_name(name: &str) -> Result<String, LinkError> {
        Ok(if name == "right" { "net1" } else { name }.to_owned())
    }

    fn rates(others: &str, links: &[(&str, &str)]) -> Rates {
        let link = |(link, rate): &(&str, &str)| LinkRate {
            link: (*link).to_owned(),
            pace: pace(rate).unwrap(),
            origin: "--rate".to_owned(),
        };
        Rates { others: pace(others).unwrap(), links: links.iter().map(link).collect() }
    }

    fn settled(rates: &Rates, workers: usize) -> Result<Rates, String> {
        let links = ["net0", "net1"].map(str::to_owned).to_vec();
        let links = find(&Links::List(links), system_name).unwrap();
        rates.settle(&links, workers, system_name).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn a_links_own_rate_counts_there_and_only_there() {
        let all = settled(&rates("1Gbit", &[("right", "100Mbit")]), 1).unwrap();
        assert_eq!(all.of("net0"), pace("1Gbit").unwrap());
        assert_eq!(all.of("net1"), pace("100Mbit").unwrap());
    }

    #[test]
    fn a_rate_that_no_link_can_have_is_refused() {
        for (all, workers, reason) in [
            (rates("auto", &[("net7", "1Gbit")]), 1, "net7 is not served; LINK is net0,net1"),
            (rates("max", &[("net1", "1Gbit"), ("right", "1Gbit")]), 1, "right is given twice"),
            (rates("10Mbit", &[]), 1, "a rate of 10Mbit can't be kept to: expected 10.387Mbit"),
            (rates("auto", &[("net0", "20Mbit")]), 2, "--rate: a rate of 20Mbit can't be kept to"),
        ] {
            let error = settled(&all, workers).unwrap_err();
            assert!(error.contains(reason), "{error}");
        }
        settled(&rates("20Mbit", &[]), 1).unwrap();
        assert_eq!(rates("auto", &[]).most_workers(), usize::MAX);
        assert_eq!(rates("1Gbit", &[("net1", "32Mbit")]).most_workers(), 3);
        assert_eq!(rates("5Mbit", &[]).most_workers(), 1);
    }

    #[test]
    fn changes_are_told_link_by_link() {
        let before = rates("auto", &[("net0", "1Gbit"), ("net1", "2Gbit")]);
        let after = rates("9.4Gbit", &[("net1", "max"), ("net2", "2Gbit")]);
        let told: Vec<_> = before.changes(&after);
        let told: Vec<_> = told.iter().map(|(key, text)| format!("{key}: {text}")).collect();
        assert_eq!(
            told,
            [
                "rate: now 9.4Gbit",
                "link net0: rate: now as on all links",
                "link net1: rate: now max",
                "link net2: rate: now 2Gbit"
            ]
        );
        assert!(after.changes(&after).is_empty());
    }
}
