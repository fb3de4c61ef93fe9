//! The two handles of a link, opened and set up.
//!
//! All control calls are made here, before there is any traffic, since a control call discards
//! everything that arrives while it waits for its answer. An answer can be lost, and then the
//! driver's state is unknown: so the handle is closed, and opening starts over.

use std::ffi::CString;
use std::io;

use boot_format::wire::ETHERTYPE;

use super::ffi::{
    DL_CSMACD, DL_ETHER, DLPI_ELINKNAMEINVAL, DLPI_ENOLINK, DLPI_ENOTENOTSUP, DLPI_ETIMEDOUT,
    DLPI_RAW, Failure, Stream, link_names, mac_type_name,
};

/// The handle that frames arrive on, and the link's properties.
pub(super) struct Receiving {
    pub(super) stream: Stream,
    pub(super) address: [u8; 6],
    /// The most bytes after the Ethernet header.
    pub(super) max_sdu: usize,
    /// Why the read queue has only its default depth, if it does.
    pub(super) shallow: Option<io::Error>,
}

/// Why a handle can't be opened.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No link has this name.
    NoLink,
    NotPermitted,
    /// The link is something else, in the library's words.
    NotEthernet(String),
    /// A call failed: which, and why.
    Failed(&'static str, Failure),
}

/// How often to start over if an answer is lost, and the error after that.
const ATTEMPTS: usize = 3;
/// A quarter of the read queue's capacity in bytes: enough for the READs of a rack, or for the
/// batches of a simulated one.
const CHUNK: u32 = 2 << 20;
/// The ethertype that the sending handle is bound to, since it must be bound: one of those for
/// local experiments, so no frame ever arrives there and its queue holds only the driver's
/// notifications.
const NOBODYS: u16 = 0x88b5;

impl Receiving {
    pub(super) fn open(link: &str, all_addresses: bool) -> Result<Self, Trouble> {
        persistently(|| {
            let mut stream = open(link, 0)?;
            let info = stream.info().map_err(failed("ask the link what it is"))?;
            if info.mac_type != DL_ETHER && info.mac_type != DL_CSMACD {
                return Err(Trouble::NotEthernet(mac_type_name(info.mac_type)));
            }
            let address = info.address.as_slice().try_into().map_err(|_| {
                Trouble::NotEthernet(format!("an address of {} bytes", info.address.len()))
            })?;
            let shallow = match stream.push_bufmod() {
                Ok(()) => {
                    stream.deepen_queue(CHUNK).map_err(system("set up bufmod"))?;
                    None
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                    return Err(system("push bufmod")(error));
                }
                Err(error) => Some(error),
            };
            if all_addresses {
                let failed = failed("receive for all addresses");
                stream.receive_for_all_addresses().map_err(failed)?;
            }
            stream.set_nonblocking().map_err(system("make the handle non-blocking"))?;
            stream.bind(ETHERTYPE).map_err(failed("bind to the ethertype"))?;
            Ok(Self { stream, address, max_sdu: info.max_sdu, shallow })
        })
    }
}

/// Opens the handle that sends, and that is notified when the link goes down or up; if `raw`,
/// frames can have any source address.
pub(super) fn open_sending(link: &str, raw: bool) -> Result<Stream, Trouble> {
    persistently(|| {
        let mut stream = open(link, if raw { DLPI_RAW } else { 0 })?;
        stream.bind(NOBODYS).map_err(failed("bind to an ethertype"))?;
        match stream.watch_link() {
            // Then frames are lost unnoticed while the link is down.
            Ok(()) | Err(Failure::Dlpi(DLPI_ENOTENOTSUP)) => {}
            Err(failure) => return Err(Trouble::Failed("watch the link", failure)),
        }
        stream.set_nonblocking().map_err(system("make the handle non-blocking"))?;
        Ok(stream)
    })
}

/// The names of all links, for the error about an unknown one.
pub(super) fn known_links() -> String {
    let mut names = link_names();
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn open(link: &str, flags: u32) -> Result<Stream, Trouble> {
    let name = CString::new(link).map_err(|_| Trouble::NoLink)?;
    Stream::open(&name, flags).map_err(|failure| match failure {
        Failure::Dlpi(DLPI_ELINKNAMEINVAL | DLPI_ENOLINK) => Trouble::NoLink,
        Failure::System(libc::EACCES | libc::EPERM) => Trouble::NotPermitted,
        failure => Trouble::Failed("open the link", failure),
    })
}

fn persistently<T>(attempt: impl Fn() -> Result<T, Trouble>) -> Result<T, Trouble> {
    let mut result = attempt();
    for _ in 1..ATTEMPTS {
        match result {
            Err(Trouble::Failed(
                _,
                Failure::Dlpi(DLPI_ETIMEDOUT) | Failure::System(libc::EINTR),
            )) => result = attempt(),
            _ => break,
        }
    }
    result
}

fn failed(what: &'static str) -> impl Fn(Failure) -> Trouble {
    move |failure| Trouble::Failed(what, failure)
}

fn system(what: &'static str) -> impl Fn(io::Error) -> Trouble {
    move |error| Trouble::Failed(what, Failure::System(error.raw_os_error().unwrap_or(0)))
}
