//! The names of sleds.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use boot_format::wire::MacAddr;

use crate::service::SledAt;

/// The names of sleds, which may change while they are served.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    names: Arc<RwLock<BTreeMap<SledAt, Arc<str>>>>,
}

impl Names {
    /// From now on, sleds are called by these names and no others.
    pub(crate) fn set(&self, names: impl IntoIterator<Item = (SledAt, Arc<str>)>) {
        let names = names.into_iter().collect();
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// The sled's name: one that is given for its link takes precedence.
    pub(crate) fn of(&self, link: Option<&str>, address: MacAddr) -> Option<Arc<str>> {
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        if names.is_empty() {
            return None;
        }
        let at = |link: Option<&str>| SledAt { link: link.map(str::to_owned), address };
        let here = link.and_then(|link| names.get(&at(Some(link))));
        here.or_else(|| names.get(&at(None))).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_for_one_link_counts_there_and_only_there() {
        let names = Names::default();
        let address = MacAddr::new([2, 0, 0, 0, 0, 1]);
        assert_eq!(names.of(Some("net0"), address), None);
        let named = |text: &str, name: &str| (text.parse().unwrap(), name.into());
        names.set([named("2:0:0:0:0:1", "left"), named("net1/2:0:0:0:0:1", "right")]);
        assert_eq!(names.of(Some("net0"), address).as_deref(), Some("left"));
        assert_eq!(names.of(Some("net1"), address).as_deref(), Some("right"));
        assert_eq!(names.of(None, MacAddr::new([2; 6])), None);
    }
}
