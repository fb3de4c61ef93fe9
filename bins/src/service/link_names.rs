//! The names of links: people may use any of a link's names, the system uses one.

use std::collections::HashMap;

use anyhow::{bail, ensure};
use boot_backends::LinkError;

use super::options::{Links, SledEntry};
use super::sled_at::SledAt;

/// A link that is served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkName {
    /// Its name on the command line.
    pub(crate) given: String,
    /// Its name in the system, which the state file uses.
    pub(crate) system: String,
}

/// The links that `links` names.
///
/// # Errors
///
/// If there is no such link, or one is named twice.
pub(crate) fn find(
    links: &Links,
    system_name: impl Fn(&str) -> Result<String, LinkError>,
) -> anyhow::Result<Vec<LinkName>> {
    match links {
        Links::Line(text) => parse(text, system_name),
        Links::List(names) => {
            let mut links = Vec::new();
            for given in names {
                add(&mut links, LinkName { system: system_name(given)?, given: given.clone() })?;
            }
            Ok(links)
        }
    }
}

/// The links of LINK, one or several separated by commas. A name may have commas in it: the longest
/// one that is a link's counts. `system_name` returns the system's name of a link.
///
/// # Errors
///
/// If there is no such link, or one is named twice.
fn parse(
    text: &str,
    system_name: impl Fn(&str) -> Result<String, LinkError>,
) -> anyhow::Result<Vec<LinkName>> {
    let parts: Vec<_> = text.split(',').collect();
    let mut links: Vec<LinkName> = Vec::new();
    let mut at = 0;
    while at < parts.len() {
        let several = (at + 2..=parts.len()).rev().find_map(|end| {
            let given = parts[at..end].join(",");
            let system = system_name(&given).ok()?;
            Some((end, LinkName { given, system }))
        });
        let (end, link) = match several {
            Some(found) => found,
            None => {
                let given = parts[at].to_owned();
                ensure!(!given.is_empty(), "LINK: an empty name between commas");
                (at + 1, LinkName { system: system_name(&given)?, given })
            }
        };
        add(&mut links, link)?;
        at = end;
    }
    Ok(links)
}

fn add(links: &mut Vec<LinkName>, link: LinkName) -> anyhow::Result<()> {
    if let Some(before) = links.iter().find(|before| before.system == link.system) {
        ensure!(before.given != link.given, "LINK: {} is listed twice", link.given);
        bail!("LINK: {} and {} are the same link", before.given, link.given);
    }
    links.push(link);
    Ok(())
}

/// The entries of `sleds` with the system's names of links. Each sled must be listed once, and on a
/// link that is served.
///
/// # Errors
///
/// If a sled is not.
pub(crate) fn settle(
    sleds: &[SledEntry],
    links: &[LinkName],
    system_name: impl Fn(&str) -> Result<String, LinkError>,
) -> anyhow::Result<Vec<SledEntry>> {
    let mut settled: Vec<SledEntry> = Vec::new();
    for entry in sleds {
        let SledEntry { sled, origin, .. } = entry;
        let link = match &sled.link {
            None => None,
            Some(name) => match served(name, links, &system_name) {
                Some(system) => Some(system),
                None => {
                    let all: Vec<_> = links.iter().map(|link| link.given.as_str()).collect();
                    bail!("{origin} {sled}: {name} is not served; LINK is {}", all.join(","));
                }
            },
        };
        let at = SledAt { link, address: sled.address };
        if settled.iter().any(|before| before.sled == at) {
            bail!("{origin}: {sled} is given twice");
        }
        settled.push(SledEntry { sled: at, ..entry.clone() });
    }
    Ok(settled)
}

/// Translates the names of links to the system's names, if they are served; other names stay as
/// they are. Looks up each name once.
pub(crate) fn settler<'a>(
    links: &'a [LinkName],
    system_name: impl Fn(&str) -> Result<String, LinkError> + 'a,
) -> impl FnMut(&str) -> String + 'a {
    let mut known: HashMap<String, String> = HashMap::new();
    move |name| {
        if let Some(known) = known.get(name) {
            return known.clone();
        }
        let system = served(name, links, &system_name).unwrap_or_else(|| name.to_owned());
        known.insert(name.to_owned(), system.clone());
        system
    }
}

/// The system's name of `name`, if it is one of the `links`.
pub(crate) fn served(
    name: &str,
    links: &[LinkName],
    system_name: impl Fn(&str) -> Result<String, LinkError>,
) -> Option<String> {
    let named = |link: &&LinkName| link.system == name || link.given == name;
    if let Some(link) = links.iter().find(named) {
        return Some(link.system.clone());
    }
    let system = system_name(name).ok()?;
    links.iter().any(|link| link.system == system).then_some(system)
}

#[cfg(test)]
mod tests {
    use super::super::options::Assignment;
    use super::*;

    /// Links and their other names.
    const NAMES: [(&str, &str); 7] = [
        ("net0", "net0"),
        ("net1", "net1"),
        ("a,b", "net0"),
        ("a", "net1"),
        ("b", "net2"),
        ("left / port 0", "net0"),
        ("net2", "net2"),
    ];

    fn system_name(name: &str) -> Result<String, LinkError> {
        let found = NAMES.iter().find(|(known, _)| *known == name);
        found
            .map(|(_, system)| (*system).to_owned())
            .ok_or_else(|| LinkError::NoSuchLink { link: name.to_owned(), known: String::new() })
    }

    fn names(text: &str) -> Result<Vec<String>, String> {
        let links = parse(text, system_name).map_err(|error| format!("{error:#}"))?;
        Ok(links.into_iter().map(|link| link.system).collect())
    }

    #[test]
    fn a_name_may_have_commas_in_it_and_one_link_is_served_once() {
        for (text, found) in [
            ("net0", &["net0"][..]),
            ("net0,net1", &["net0", "net1"]),
            ("a,b", &["net0"]),
            ("b,a", &["net2", "net1"]),
            ("net1,a,b,b", &["net1", "net0", "net2"]),
            ("left / port 0", &["net0"]),
        ] {
            assert_eq!(names(text).unwrap(), found, "{text}");
        }
        for (text, reason) in [
            ("net0,", "empty name"),
            ("", "empty name"),
            ("net0,net1,net0", "net0 is listed twice"),
            ("net0,a,b", "net0 and a,b are the same link"),
            ("net0,net7", "net7: no such link"),
        ] {
            let error = names(text).unwrap_err();
            assert!(error.contains(reason), "{text}: {error}");
        }
    }

    #[test]
    fn assignments_go_by_what_the_system_calls_a_link() {
        let links = parse("left / port 0,net1", system_name).unwrap();
        let settled = |texts: &[&str]| {
            let entry = |text: &&str| SledEntry::from(text.parse::<Assignment>().unwrap());
            let assigned: Vec<_> = texts.iter().map(entry).collect();
            let settled = settle(&assigned, &links, system_name);
            let shown = |SledEntry { sled, image, .. }: &SledEntry| {
                format!("{sled}={}", image.as_ref().unwrap().display())
            };
            settled.map(|all| all.iter().map(shown).collect::<Vec<_>>())
        };
        let mac = "02:00:00:00:00:01";
        let all = [format!("{mac}=i"), format!("left / port 0/{mac}=/a=b/c"), format!("a/{mac}=i")];
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        let wanted = [format!("{mac}=i"), format!("net0/{mac}=/a=b/c"), format!("net1/{mac}=i")];
        assert_eq!(settled(&all).unwrap(), wanted);
        for (texts, reason) in [
            ([format!("b/{mac}=i"), format!("{mac}=i")], "b is not served; LINK is left / port 0,"),
            ([format!("a/{mac}=i"), format!("net1/{mac}=j")], "is given twice"),
        ] {
            let error =
                format!("{:#}", settled(&texts.each_ref().map(String::as_str)).unwrap_err());
            assert!(error.contains(reason), "{error}");
        }
    }

    #[test]
    fn other_names_of_served_links_become_the_systems_and_all_others_stay() {
        let links = parse("left / port 0", system_name).unwrap();
        let mut settle = settler(&links, system_name);
        for (name, system) in [
            ("net0", "net0"),
            ("a,b", "net0"),
            ("left / port 0", "net0"),
            ("a", "a"),
            ("gone", "gone"),
        ] {
            assert_eq!(settle(name), system);
            assert_eq!(settle(name), system);
        }
    }
}
