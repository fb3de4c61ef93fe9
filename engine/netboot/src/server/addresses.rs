//! The link's own address, and those that it had before: a sled sends all that it has to say to
//! the one from which it was made the offer that it took.

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
    /// Those that boots under way still need; what was given up last comes last.
    former: VecDeque<(AddressId, MacAddr)>,
}

impl Addresses {
    /// A bridge may change its own with each port that it gets while a boot is under way.
    const MOST_FORMER: usize = 4;

    pub(super) fn new(own: MacAddr) -> Self {
        Self { own, id: AddressId::default(), former: VecDeque::new() }
    }

    pub(super) fn own(&self) -> MacAddr {
        self.own
    }

    /// Which of all addresses the own one is.
    pub(super) fn id(&self) -> AddressId {
        self.id
    }

    /// The link's own address is another from now on.
    pub(super) fn change(&mut self, own: MacAddr) {
        self.former.retain(|(_, address)| *address != own);
        if self.former.len() == Self::MOST_FORMER {
            self.former.pop_front();
        }
        self.former.push_back((self.id, self.own));
        self.own = own;
        self.id.0 = self.id.0.wrapping_add(1);
    }

    /// Which former address this is, if it is one.
    pub(super) fn find_former(&self, address: MacAddr) -> Option<AddressId> {
        self.former.iter().find(|(_, former)| *former == address).map(|(id, _)| *id)
    }

    /// Forgets the former addresses that are not `needed`, and returns the others.
    pub(super) fn keep_former(&mut self, needed: impl Fn(AddressId) -> bool) -> Vec<MacAddr> {
        self.former.retain(|(id, _)| needed(*id));
        self.former.iter().map(|(_, address)| *address).collect()
    }
}
