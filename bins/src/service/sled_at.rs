//! A sled as people name it: by its address, wherever it is, or by its link and its address.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use boot_format::wire::MacAddr;

/// `MAC`, a sled on whatever link; or `LINK/MAC`, the one on that link.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SledAt {
    /// `None` stands for every link.
    pub link: Option<String>,
    /// The Ethernet address of a single station.
    pub address: MacAddr,
}

impl FromStr for SledAt {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (link, address) = match text.rsplit_once('/') {
            Some((link, address)) => (Some(link), address),
            None => (None, text),
        };
        if link.is_some_and(str::is_empty) {
            return Err(format!("{text:?}: expected MAC or LINK/MAC"));
        }
        let address: MacAddr = address.parse().map_err(|error| format!("{address:?}: {error}"))?;
        if !address.is_station() {
            return Err(format!("{address} is not the address of a single sled"));
        }
        Ok(Self { link: link.map(str::to_owned), address })
    }
}

impl fmt::Display for SledAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.link {
            Some(link) => write!(f, "{link}/{}", self.address),
            None => self.address.fmt(f),
        }
    }
}

/// The entries for the sleds on `link`: one for LINK/MAC takes precedence over one for MAC.
pub(crate) fn on<'a, T>(
    link: &str,
    said: impl Iterator<Item = (&'a SledAt, T)>,
) -> HashMap<MacAddr, T> {
    let mut found = HashMap::new();
    for (sled, what) in said {
        match &sled.link {
            None => {
                found.entry(sled.address).or_insert(what);
            }
            Some(name) if name == link => {
                found.insert(sled.address, what);
            }
            Some(_) => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sled_is_named_with_its_link_or_without() {
        for text in [
            "a8:40:25:00:00:01",
            "net0/a8:40:25:00:00:01",
            "vlan.7/a8:40:25:00:00:01",
            "rack 1/left, 0/a8:40:25:00:00:01",
        ] {
            let sled: SledAt = text.parse().unwrap();
            assert_eq!(sled.to_string(), text);
            assert_eq!(sled.link.is_some(), text.contains('/'));
        }
        for text in ["", "net0/", "/a8:40:25:00:00:01", "net0/1"] {
            text.parse::<SledAt>().unwrap_err();
        }
        let error = "net0/ff:ff:ff:ff:ff:ff".parse::<SledAt>().unwrap_err();
        assert!(error.contains("not the address of a single sled"), "{error}");
    }

    #[test]
    fn what_is_said_of_one_link_counts_there_and_only_there() {
        let sled = |text: &str| text.parse::<SledAt>().unwrap();
        let [one, two] = ["2:0:0:0:0:1", "2:0:0:0:0:2"].map(sled);
        let one_there = sled("net1/2:0:0:0:0:1");
        for said in
            [[(&one_there, 1), (&one, 2), (&two, 3)], [(&one, 2), (&two, 3), (&one_there, 1)]]
        {
            for (link, at_one) in [("net0", 2), ("net1", 1)] {
                let found = on(link, said.into_iter());
                assert_eq!(found, HashMap::from([(one.address, at_one), (two.address, 3)]));
            }
        }
    }
}
