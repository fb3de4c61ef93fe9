//! illumos DLPI: frames on an Ethernet link through libdlpi, with the privilege `net_rawaccess`.
//!
//! A link is used through two handles, since a handle serves one thread at a time: one receives
//! ([`handle::Receiving`]), the other sends and is notified when the link goes down or up. Both are
//! set up and bound before the first frame; after that they only send and receive.

mod ffi;
mod handle;
mod link;

use self::handle::{Receiving, Trouble, known_links, open_sending};
use self::link::{DlpiLink, Share};
use crate::{Datalink, LEAST_MTU, LinkError, OpenOptions};

/// Frames wake every worker, so more would only keep each other awake.
const MOST_WORKERS: usize = 8;

/// Opens the link `name` once for each worker, of at most eight. Every frame arrives at all of
/// them, and each worker takes its own; incoming frames are few.
///
/// There is one way to send here, whatever the options ask for. It gathers frames in this process,
/// so those from a mapped image can't go out.
///
/// # Errors
///
/// If there is no such link, it is not Ethernet, can't carry the protocol's frames, or the process
/// lacks the privilege.
pub(crate) fn open(
    name: &str,
    options: OpenOptions,
    workers: usize,
) -> Result<Vec<Box<dyn Datalink + Send>>, LinkError> {
    let raw = options.all_addresses;
    let workers = workers.clamp(1, MOST_WORKERS) as u32;
    let mut links: Vec<Box<dyn Datalink + Send>> = Vec::new();
    for index in 0..workers {
        let receiving = Receiving::open(name, raw).map_err(|trouble| explain(name, trouble))?;
        if receiving.max_sdu < LEAST_MTU {
            let (link, found) = (name.to_owned(), receiving.max_sdu);
            return Err(LinkError::MtuTooSmall { link, found, wanted: LEAST_MTU });
        }
        let sending = open_sending(name, raw).map_err(|trouble| explain(name, trouble))?;
        links.push(Box::new(DlpiLink::new(
            name,
            receiving,
            sending,
            raw,
            Share { index, workers },
        )));
    }
    Ok(links)
}

fn explain(name: &str, trouble: Trouble) -> LinkError {
    let link = name.to_owned();
    match trouble {
        Trouble::NoLink => LinkError::NoSuchLink { link, known: known_links() },
        Trouble::NotPermitted => {
            let remedy = "run as root, or with the privilege net_rawaccess".to_owned();
            LinkError::NotPermitted { link, remedy }
        }
        Trouble::NotEthernet(found) => LinkError::NotEthernet { link, found },
        Trouble::Failed(what, failure) => {
            LinkError::System { link, what, cause: failure.into_error() }
        }
    }
}
