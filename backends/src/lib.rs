//! Datalinks: how batches of frames move between memory and one Ethernet link.
//!
//! A backend knows no protocol. It says how many frames the kernel took, and the name of its
//! room says which kernel concept is at work: `packet` is Linux AF_PACKET, [`cable`] is a
//! segment inside the process, which needs no privilege. The loop that joins a clock, a link
//! and a station is [`serve`].

pub mod cable;
mod datalink;
#[cfg(target_os = "linux")]
mod packet;
mod serve;

pub use datalink::{Datalink, LinkError, OpenOptions, Sent};
pub use serve::{Clock, serve};

/// Opens the Ethernet link `name` of this system.
///
/// # Errors
///
/// If there is no such link, it can't carry the protocol's frames, or the process lacks the
/// privilege.
pub fn open(name: &str, options: OpenOptions) -> Result<Box<dyn Datalink + Send>, LinkError> {
    #[cfg(target_os = "linux")]
    return packet::open(name, options);
    #[cfg(not(target_os = "linux"))]
    {
        let _ = options;
        Err(LinkError::Unsupported { link: name.to_owned() })
    }
}
