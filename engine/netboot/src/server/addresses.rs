//! The link's own address, and its former ones: a sled sends every frame of a boot to the address
//! that made the offer it took.

use std::collections::VecDeque;

use boot_format::wire::MacAddr;

/// One of the addresses that the link has had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct AddressId(u32);

/// The addresses of a link whose own can change.
#[derive(Debug)]
pub(super) struct Addresses {
    own: MacAddr,
    id: AddressId,
    /// Those that boots under way still need, the most recent last.
    former: VecDeque<(AddressId, MacAddr)>,
}

impl Addresses {
    /// A bridge may change its address with each port that is added while a boot is under way.
    const MOST_FORMER: usize = 4;

    pub(super) fn new(own: MacAddr) -> Self {
        Self { own, id: AddressId::default(), former: VecDeque::new() }
    }

    pub(super) fn own(&self) -> MacAddr {
        self.own
    }

    /// The number of the current address.
    pub(super) fn id(&self) -> AddressId {
        self.id
    }

    /// Makes `own` the link's address.
    pub(super) fn change(&mut self, own: MacAddr) {
        self.former.retain(|(_, address)| *address != own);
        if self.former.len() == Self::MOST_FORMER {
            self.former.pop_front();
        }
        self.former.push_back((self.id, self.own));
        self.own = own;
        self.id.0 = self.id.0.wrapping_add(1);
    }

    /// The number of a former address, if `address` is one.
    pub(super) fn find_former(&self, address: MacAddr) -> Option<AddressId> {
        self.former.iter().find(|(_, former)| *former == address).map(|(id, _)| *id)
    }

    /// Forgets the former addresses that are not `needed`, and returns the others.
    pub(super) fn keep_former(&mut self, needed: impl Fn(AddressId) -> bool) -> Vec<MacAddr> {
        self.former.retain(|(id, _)| needed(*id));
        self.former.iter().map(|(_, address)| *address).collect()
    }
}
