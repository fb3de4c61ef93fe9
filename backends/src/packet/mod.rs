//! Linux AF_PACKET: raw frames on an Ethernet link, for whoever has CAP_NET_RAW.

mod filter;
mod mmsg;
mod socket;

use std::env;
use std::fs;
use std::io;

use boot_engine::wire::{BLOCK, DATA_HEAD_LEN, ETHERNET_LEN};

use self::mmsg::Mmsg;
use self::socket::Socket;
use crate::{Datalink, LinkError, OpenOptions};

/// What the longest frame of the protocol needs behind its Ethernet header.
const LEAST_MTU: usize = DATA_HEAD_LEN - ETHERNET_LEN + BLOCK;
/// A few batches for each direction.
const SEND_BUFFER: i32 = 4 << 20;
const RECEIVE_BUFFER: i32 = 8 << 20;
const ETHERNET: u16 = 1;

/// Opens the link `name`.
///
/// # Errors
///
/// If there is no such link, it is none of Ethernet, can't carry the protocol's frames, or the
/// process lacks the privilege.
pub(crate) fn open(
    name: &str,
    options: OpenOptions,
) -> Result<Box<dyn Datalink + Send>, LinkError> {
    let link = name.to_owned();
    let fail = |what| {
        let link = link.clone();
        move |source| LinkError::System { link, what, source }
    };
    let mut socket = Socket::new().map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => {
            let program = env::current_exe()
                .map_or_else(|_| "PROGRAM".to_owned(), |path| path.display().to_string());
            LinkError::NotPermitted { link: link.clone(), program }
        }
        _ => LinkError::System { link: link.clone(), what: "open a packet socket", source },
    })?;
    let facts = socket.facts(name).map_err(|source| match source.raw_os_error() {
        Some(libc::ENODEV) => LinkError::NoSuchLink { link: link.clone(), known: known_links() },
        _ => LinkError::System { link: link.clone(), what: "look for the link", source },
    })?;
    if facts.hardware != ETHERNET {
        return Err(LinkError::NotEthernet { link, found: facts.hardware });
    }
    if facts.mtu < LEAST_MTU {
        return Err(LinkError::MtuTooSmall { link, found: facts.mtu, wanted: LEAST_MTU });
    }
    // The filter comes first, so that nothing else waits in the socket when it is bound.
    socket.attach_filter(&filter::program()).map_err(fail("attach a filter"))?;
    socket.ignore_outgoing().map_err(fail("ignore own frames"))?;
    socket.set_buffers(SEND_BUFFER, RECEIVE_BUFFER).map_err(fail("set buffer sizes"))?;
    socket.bind(name).map_err(fail("bind to the link"))?;
    if options.all_addresses {
        socket.receive_for_all_addresses().map_err(fail("receive for all addresses"))?;
    }
    Ok(Box::new(Mmsg::new(name, facts.address, facts.mtu, socket)))
}

/// The names of all links, for those who got one wrong.
fn known_links() -> String {
    let names = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let mut names: Vec<_> =
        names.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
