//! Images that were assigned to sleds while serving. They take precedence over the configuration,
//! and are kept with the state.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use boot_format::Checksum;
use boot_format::wire::MacAddr;

use super::sled_at::{self, SledAt};
use super::store::Service;

/// Which image a sled is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The one with these contents.
    Contents(Checksum),
    /// The one at this path, whatever it is.
    Path(PathBuf),
}

impl Wanted {
    /// The checksum of the image in `service`; if it is not there, one that no image has, so that a
    /// sled waits.
    fn checksum(&self, service: &Service) -> Checksum {
        match self {
            Self::Contents(checksum) => *checksum,
            Self::Path(path) => service.checksum_of(path),
        }
    }

    /// Whether `service` has it.
    pub(crate) fn is_in(&self, service: &Service) -> bool {
        let checksum = self.checksum(service);
        service.images.iter().any(|image| image.checksum() == checksum)
    }
}

/// 64 hexadecimal digits are a checksum, and all else is a path.
impl FromStr for Wanted {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(text.parse().map_or_else(|_| Self::Path(text.into()), Self::Contents))
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contents(checksum) => checksum.fmt(f),
            Self::Path(path) => path.display().fmt(f),
        }
    }
}

/// What one sled is to have. At least one of the two is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ordered {
    /// For good.
    pub(crate) image: Option<Wanted>,
    /// Once, before that.
    pub(crate) once: Option<Wanted>,
}

/// What is ordered for all sleds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Orders(BTreeMap<SledAt, Ordered>);

/// The effect of a boot on a sled's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Spending {
    /// Nothing is ordered: the configuration decides.
    NoOrder,
    /// The image was not the one to be booted once.
    Kept,
    /// It was that image.
    Spent(Wanted),
}

impl Orders {
    /// Several racks' worth.
    pub(crate) const MOST: usize = 1024;

    /// Whether there is room for an order for `sled`.
    pub(crate) fn has_room_for(&self, sled: &SledAt) -> bool {
        self.0.len() < Self::MOST || self.0.contains_key(sled)
    }

    /// Has `sled` boot `image` from now on.
    pub(crate) fn set(&mut self, sled: SledAt, image: Wanted) {
        self.0.insert(sled, Ordered { image: Some(image), once: None });
    }

    /// Has `sled` boot `image` once, and then as before.
    pub(crate) fn set_once(&mut self, sled: SledAt, image: Wanted) {
        self.0.entry(sled).or_default().once = Some(image);
    }

    /// Leaves `sled` to the configuration. Returns whether anything was ordered.
    pub(crate) fn withdraw(&mut self, sled: &SledAt) -> bool {
        self.0.remove(sled).is_some()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&SledAt, &Ordered)> {
        self.0.iter()
    }

    /// The only image that each sled on `link` is to be offered.
    pub(crate) fn assigned(&self, link: &str, service: &Service) -> HashMap<MacAddr, Checksum> {
        let next = |ordered: &Ordered| {
            ordered.once.as_ref().or(ordered.image.as_ref()).map(|image| image.checksum(service))
        };
        let ordered = sled_at::on(link, self.iter().map(|(sled, ordered)| (sled, next(ordered))));
        ordered.into_iter().filter_map(|(sled, image)| Some((sled, image?))).collect()
    }

    /// Notes that `sled` on `link` has booted `image`.
    pub(crate) fn spend(
        &mut self,
        link: &str,
        sled: MacAddr,
        image: Checksum,
        service: &Service,
    ) -> Spending {
        let of_sled = self.0.keys().filter(|at| at.address == sled);
        let Some(at) = sled_at::on(link, of_sled.map(|at| (at, at.clone()))).remove(&sled) else {
            return Spending::NoOrder;
        };
        let Some(ordered) = self.0.get_mut(&at) else { return Spending::NoOrder };
        match ordered.once.take_if(|once| once.checksum(service) == image) {
            None => Spending::Kept,
            Some(once) => {
                if ordered.image.is_none() {
                    self.0.remove(&at);
                }
                Spending::Spent(once)
            }
        }
    }

    /// Renames the links of all sleds to what `called` returns for them.
    pub(crate) fn rename_links(self, mut called: impl FnMut(&str) -> String) -> Self {
        let renamed = |(SledAt { link, address }, ordered): (SledAt, Ordered)| {
            (SledAt { link: link.as_deref().map(&mut called), address }, ordered)
        };
        Self(self.0.into_iter().map(renamed).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Checksum = Checksum::from_bytes([1; 32]);
    const TWO: Checksum = Checksum::from_bytes([2; 32]);

    fn sled(text: &str) -> SledAt {
        text.parse().unwrap()
    }

    fn wanted(checksum: Checksum) -> Wanted {
        checksum.to_string().parse().unwrap()
    }

    #[test]
    fn an_image_is_named_by_checksum_or_path() {
        assert_eq!(wanted(ONE), Wanted::Contents(ONE));
        let path: Wanted = "images/zfs.img".parse().unwrap();
        assert_eq!(path, Wanted::Path("images/zfs.img".into()));
        assert!(!path.is_in(&Service::default()) && !wanted(ONE).is_in(&Service::default()));
    }

    #[test]
    fn what_is_to_be_booted_once_comes_first_and_is_spent_by_its_own_boot_only() {
        let (service, any) = (Service::default(), sled("2:0:0:0:0:1"));
        let mut orders = Orders::default();
        orders.set(any.clone(), wanted(ONE));
        orders.set_once(any.clone(), wanted(TWO));
        let assigned = |orders: &Orders| orders.assigned("net0", &service)[&any.address];
        assert_eq!(assigned(&orders), TWO);
        let spend = |orders: &mut Orders, image| orders.spend("net0", any.address, image, &service);
        assert_eq!(spend(&mut orders, ONE), Spending::Kept);
        assert_eq!(assigned(&orders), TWO);
        assert_eq!(spend(&mut orders, TWO), Spending::Spent(wanted(TWO)));
        assert_eq!(assigned(&orders), ONE);
        assert_eq!(spend(&mut orders, TWO), Spending::Kept);
        assert!(orders.withdraw(&any) && !orders.withdraw(&any));
        assert_eq!(spend(&mut orders, ONE), Spending::NoOrder);
        orders.set_once(any.clone(), wanted(TWO));
        spend(&mut orders, TWO);
        assert_eq!(orders, Orders::default());
    }

    #[test]
    fn an_order_for_good_takes_the_place_of_one_that_has_not_been_booted() {
        let any = sled("2:0:0:0:0:1");
        let mut orders = Orders::default();
        orders.set_once(any.clone(), wanted(TWO));
        orders.set(any.clone(), wanted(ONE));
        assert_eq!(orders.assigned("net0", &Service::default())[&any.address], ONE);
    }

    #[test]
    fn an_order_for_a_link_counts_there_and_only_there() {
        let (service, any) = (Service::default(), sled("2:0:0:0:0:1"));
        let mut orders = Orders::default();
        orders.set(any.clone(), wanted(ONE));
        orders.set_once(sled("net1/2:0:0:0:0:1"), wanted(TWO));
        let assigned = |link, orders: &Orders| orders.assigned(link, &service)[&any.address];
        assert_eq!((assigned("net0", &orders), assigned("net1", &orders)), (ONE, TWO));
        assert_eq!(orders.spend("net0", any.address, TWO, &service), Spending::Kept);
        assert_eq!(orders.spend("net1", any.address, TWO, &service), Spending::Spent(wanted(TWO)));
        assert_eq!(assigned("net1", &orders), ONE);
        let renamed = orders.rename_links(|link| link.replace("net", "left"));
        assert_eq!(renamed.iter().count(), 1);
    }

    #[test]
    fn orders_are_bounded() {
        let mut orders = Orders::default();
        for number in 0..Orders::MOST as u16 {
            let address = MacAddr::new([2, 0, 0, 0, 0, 0]).nth_after(number);
            orders.set(SledAt { link: None, address }, wanted(ONE));
        }
        assert!(!orders.has_room_for(&sled("2:0:0:0:ff:ff")));
        assert!(orders.has_room_for(&sled("2:0:0:0:0:1")));
    }
}
