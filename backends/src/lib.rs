//! Datalinks: how batches of frames move between memory and one Ethernet link.
//!
//! A backend knows no protocol. It reports how many frames the kernel took, and each module is
//! named after what it uses: `packet` is Linux AF_PACKET, `dlpi` the links of illumos, [`cable`] a
//! segment inside the process, which needs no privilege. The loop that joins
//! a clock, a link and a station is [`serve`].

// They panic when the stream fails.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod cable;
mod datalink;
#[cfg(target_os = "illumos")]
mod dlpi;
mod options;
#[cfg(target_os = "linux")]
mod packet;
mod serve;

pub(crate) use datalink::BATCH;
pub use datalink::{Datalink, LEAST_MTU, LinkCounters, LinkError, Sent};
pub use options::{OpenOptions, ParseTxPathError, Sharing, TxPath};
pub use serve::{Clock, serve};

/// Opens the Ethernet link `name` of this system.
///
/// # Errors
///
/// If there is no such link, it can't carry the protocol's frames, or the process lacks the
/// privilege.
pub fn open(name: &str, options: OpenOptions) -> Result<Box<dyn Datalink + Send>, LinkError> {
    let mut workers = open_workers(name, options, 1)?;
    Ok(workers.remove(0))
}

/// The system's current name for the link `name`, which may be any of its names: two names of one
/// link give the same result. On illumos a link has one name, which is not looked up yet.
///
/// # Errors
///
/// If there is no such link.
pub fn system_name(name: &str) -> Result<String, LinkError> {
    #[cfg(target_os = "linux")]
    return packet::system_name(name);
    // Names of illumos links contain neither commas nor blanks.
    #[cfg(not(target_os = "linux"))]
    if name.contains([',', ' ']) {
        Err(LinkError::NoSuchLink { link: name.to_owned(), known: "none of this kind".to_owned() })
    } else {
        Ok(name.to_owned())
    }
}

/// Opens the Ethernet link `name` once for each of `workers` (zero counts as one), each of which
/// can then run on its own thread: every frame that arrives goes to one of them, and all frames
/// from one address go to the same one. With one worker nothing is spread, at no cost.
/// On illumos no more than eight are opened.
///
/// # Errors
///
/// As [`open`]; and if frames can't be spread here and more than one worker is asked for.
pub fn open_workers(
    name: &str,
    options: OpenOptions,
    workers: usize,
) -> Result<Vec<Box<dyn Datalink + Send>>, LinkError> {
    #[cfg(target_os = "linux")]
    return packet::open(name, options, workers.max(1));
    #[cfg(target_os = "illumos")]
    return dlpi::open(name, options, workers.max(1));
    #[cfg(not(any(target_os = "linux", target_os = "illumos")))]
    {
        let _ = (options, workers);
        Err(LinkError::Unsupported { link: name.to_owned() })
    }
}
