//! How to open a link, and which ways out of it there are to choose from.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How to open a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Receive frames for every address, not only for the link's own: for simulated sleds,
    /// which have addresses of their own.
    pub all_addresses: bool,
    /// Whether others may use the link too.
    pub sharing: Sharing,
    /// How frames leave.
    pub tx: TxPath,
    /// Payloads may be mapped from files, which nobody in this process may read: take no path
    /// that copies them here.
    pub mapped: bool,
    /// How long frames wait for a link that is down, to go out when it is up again; then, and
    /// until it is, frames are dropped. A Linux link's; others drop at once.
    pub patience: Duration,
}

/// Whether others of this network namespace may use a link too. On Linux; elsewhere nobody is
/// refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// Who uses the link is of no concern, neither here nor to others.
    #[default]
    Open,
    /// The link is refused if another holds it, and held for as long as it is open. Who holds it
    /// may be about to end: it is waited for.
    Sole {
        /// How long.
        patience: Duration,
    },
    /// The link is held as soon as nobody else holds it: who has it already goes on, and who wants
    /// it for itself is refused.
    Shared,
}

/// How frames get from memory to the kernel. All paths send the same frames; they differ in
/// what a frame costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TxPath {
    /// The cheapest that works on this link and meets its queueing discipline, if it has one
    /// that does more than queue.
    #[default]
    Auto,
    /// AF_PACKET, its sends queued in an io_uring.
    Uring,
    /// AF_PACKET with sendmmsg: works wherever a packet socket can be had.
    Mmsg,
    /// AF_XDP: goes past the link's queueing discipline, and past what listens to outgoing
    /// frames, such as tcpdump. Each worker needs a queue of the link's. Zero-copy where the
    /// driver has that, also if it takes an XDP program on the card (which [`TxPath::Auto`] does
    /// not attach, since it resets most cards), else in copy mode.
    Xdp,
}

impl TxPath {
    /// Every path, by the names that people type.
    pub const ALL: [(&str, Self); 4] =
        [("auto", Self::Auto), ("uring", Self::Uring), ("mmsg", Self::Mmsg), ("xdp", Self::Xdp)];
}

impl fmt::Display for TxPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(_, path)| path == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

/// A text that names no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a path is `auto`, `uring`, `mmsg` or `xdp`")]
pub struct ParseTxPathError;

impl FromStr for TxPath {
    type Err = ParseTxPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = Self::ALL.iter().find(|(name, _)| *name == text);
        named.map(|(_, path)| *path).ok_or(ParseTxPathError)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_shown_as_it_is_typed() {
        for (name, path) in TxPath::ALL {
            assert_eq!(path.to_string(), name);
            assert_eq!(name.parse(), Ok(path));
        }
        assert_eq!("sendto".parse::<TxPath>(), Err(ParseTxPathError));
    }
}
