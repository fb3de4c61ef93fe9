//! What the kernel knows of one link, found by its index and kept current.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use boot_format::wire::MacAddr;
use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

use super::attributes::{HEADER, INFO, find, link_at, link_named};

/// What the kernel knows of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LinkFacts {
    /// The number that the link keeps for as long as it lives.
    pub(super) index: i32,
    /// The first of its names.
    pub(super) name: String,
    pub(super) address: MacAddr,
    /// ARP hardware type; Ethernet is 1.
    pub(super) hardware: u16,
    pub(super) mtu: usize,
    /// Whether it is up and has carrier: without, the kernel takes frames and loses them.
    pub(super) runs: bool,
    /// Whether it has been removed.
    pub(super) gone: bool,
}

impl LinkFacts {
    /// The facts of the link `name`, which may be one of its other names.
    ///
    /// # Errors
    ///
    /// ENODEV if there is no such link.
    pub(super) fn of(name: &str) -> io::Result<Self> {
        let answer = link_named(name)?;
        let mut facts = Self {
            index: 0,
            name: String::new(),
            address: MacAddr::new([0; 6]),
            hardware: 0,
            mtu: 0,
            runs: false,
            gone: false,
        };
        facts.index = index_in(&answer).ok_or(io::ErrorKind::InvalidData)?;
        facts.take(&answer);
        Ok(facts)
    }

    /// Asks the kernel again.
    fn ask(&mut self) -> io::Result<()> {
        match link_at(self.index) {
            Ok(answer) => self.take(&answer),
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => self.gone = true,
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Takes over what a message says, if it is about this link.
    fn take(&mut self, message: &[u8]) {
        if index_in(message) != Some(self.index) {
            return;
        }
        let number =
            |at: usize| Some(u16::from_ne_bytes(message.get(at..at + 2)?.try_into().ok()?));
        let word = |bytes: Option<&[u8]>| Some(u32::from_ne_bytes(bytes?.try_into().ok()?));
        if number(4) == Some(libc::RTM_DELLINK) {
            self.gone = true;
            return;
        }
        // Where an ifinfomsg has its type and flags.
        self.hardware = number(HEADER + 2).unwrap_or(self.hardware);
        if let Some(flags) = word(message.get(HEADER + 8..HEADER + 12)) {
            self.runs = flags & libc::IFF_RUNNING as u32 != 0;
        }
        let attributes = message.get(HEADER + INFO..).unwrap_or_default();
        if let Some(mtu) = word(find(attributes, libc::IFLA_MTU)) {
            self.mtu = mtu as usize;
        }
        let address = find(attributes, libc::IFLA_ADDRESS);
        if let Some(octets) = address.and_then(|octets| <[u8; 6]>::try_from(octets).ok()) {
            self.address = MacAddr::new(octets);
        }
        let name = find(attributes, libc::IFLA_IFNAME).and_then(|name| name.strip_suffix(&[0]));
        if let Some(name) = name {
            self.name = String::from_utf8_lossy(name).into_owned();
        }
    }
}

/// The number of the link that an RTM_NEWLINK or RTM_DELLINK is about. A bridge reports on its
/// ports in such messages too, of another family.
fn index_in(message: &[u8]) -> Option<i32> {
    let kind = u16::from_ne_bytes(message.get(4..6)?.try_into().ok()?);
    let is_of_link = [libc::RTM_NEWLINK, libc::RTM_DELLINK].contains(&kind)
        && i32::from(*message.get(HEADER)?) == libc::AF_UNSPEC;
    let index = message.get(HEADER + 4..HEADER + 8)?.try_into().ok()?;
    is_of_link.then_some(i32::from_ne_bytes(index))
}

/// A link's facts, and the socket at which the kernel reports changes.
#[derive(Debug)]
pub(super) struct Watch {
    facts: LinkFacts,
    news: OwnedFd,
    message: Box<[u8]>,
}

impl Watch {
    /// Bytes kept of a message: four times what links without virtual functions have been seen
    /// to need.
    const MESSAGE: usize = 8 << 10;
    /// Messages taken at once, so that a storm of them delays nothing.
    const MOST: usize = 64;

    /// Watches the link that `facts` describe.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub(super) fn new(mut facts: LinkFacts) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let route = SockProtocol::NetlinkRoute;
        let news = socket(AddressFamily::Netlink, SockType::Raw, flags, route)?;
        bind(news.as_raw_fd(), &NetlinkAddr::new(0, libc::RTMGRP_LINK as u32))?;
        // It may have changed before the watch began.
        facts.ask()?;
        Ok(Self { facts, news, message: vec![0; Self::MESSAGE].into() })
    }

    /// What was known when this last looked.
    pub(super) fn facts(&self) -> &LinkFacts {
        &self.facts
    }

    /// Takes in what the kernel has reported since: usually one call that finds nothing.
    pub(super) fn look(&mut self) {
        for _ in 0..Self::MOST {
            match recv(self.news.as_raw_fd(), &mut self.message, MsgFlags::MSG_DONTWAIT) {
                Ok(length) if self.take(length) => {}
                Err(Errno::EINTR) => {}
                // Some messages are lost.
                Ok(_) | Err(Errno::ENOBUFS) => self.ask(),
                Err(_) => return,
            }
        }
    }

    /// Whether the link is running, asked again if it seems to be: the kernel reports a link that
    /// goes down a moment late.
    pub(super) fn runs_again(&mut self) -> bool {
        self.look();
        if self.facts.runs {
            self.ask();
        }
        self.facts.runs
    }

    fn ask(&mut self) {
        // If this fails, it is asked again next time.
        let _ = self.facts.ask();
    }

    /// Takes over all messages in the first `length` bytes. Returns whether they are whole.
    fn take(&mut self, length: usize) -> bool {
        let mut rest = self.message.get(..length).unwrap_or_default();
        while let Some(head) = rest.first_chunk::<4>() {
            let length = u32::from_ne_bytes(*head) as usize;
            let Some(message) = rest.get(..length).filter(|_| length >= HEADER) else {
                return false;
            };
            self.facts.take(message);
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_is_found_by_name_and_stays_the_same() {
        let facts = LinkFacts::of("lo").unwrap();
        assert_eq!((facts.index, facts.name.as_str(), facts.gone), (1, "lo", false));
        let mut watch = Watch::new(facts.clone()).unwrap();
        watch.look();
        assert_eq!(watch.facts().address, facts.address);
    }

    #[test]
    fn a_name_of_no_link_is_told_from_other_trouble() {
        for name in ["", "no-such-link", "no-such-link-by-an-altname", &"x".repeat(128)] {
            let error = LinkFacts::of(name).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::ENODEV), "{name}: {error}");
        }
    }

    #[test]
    fn what_is_told_of_other_links_and_of_ports_is_left() {
        let facts = LinkFacts::of("lo").unwrap();
        let mut message = vec![0; HEADER + INFO];
        message[4..6].copy_from_slice(&libc::RTM_DELLINK.to_ne_bytes());
        let takes = |index: i32, family: u8, message: &mut Vec<u8>| {
            message[HEADER] = family;
            message[HEADER + 4..HEADER + 8].copy_from_slice(&index.to_ne_bytes());
            let mut facts = facts.clone();
            facts.take(message);
            facts.gone
        };
        assert!(takes(1, libc::AF_UNSPEC as u8, &mut message));
        assert!(!takes(2, libc::AF_UNSPEC as u8, &mut message));
        assert!(!takes(1, libc::AF_BRIDGE as u8, &mut message));
        for length in 0..HEADER + 8 {
            let mut facts = facts.clone();
            facts.take(&message[..length]);
            assert!(!facts.gone);
        }
    }
}
