//! How to open a link, and the paths that frames can leave by.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// How to open a link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// Whether to receive frames for every address, not only the link's own: for simulated sleds,
    /// which have addresses of their own.
    pub all_addresses: bool,
    /// Whether others may use the link too.
    pub sharing: Sharing,
    /// How frames leave.
    pub tx: TxPath,
    /// How long frames wait for a link that is down; after that, frames are dropped until it is up.
    /// On Linux only; elsewhere they are dropped at once.
    pub patience: Duration,
}

/// Whether others of this network namespace may use a link too. On Linux only; elsewhere no process
/// is refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sharing {
    /// The link is neither held nor refused.
    #[default]
    Open,
    /// The link is refused if another process holds it, and held for as long as it is open. A
    /// holder that may be about to exit is waited for.
    Sole {
        /// How long to wait for it.
        patience: Duration,
    },
    /// The link is held as soon as no other process holds it: the current holder continues, and a
    /// process that wants it for itself is refused.
    Shared,
}

/// How frames get from memory to the kernel. All paths send the same frames, at different costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TxPath {
    /// The cheapest that works on this link and does not bypass its queueing discipline, if that
    /// does more than queue.
    #[default]
    Auto,
    /// AF_PACKET with io_uring.
    Uring,
    /// AF_PACKET with sendmmsg: works wherever packet sockets do.
    Mmsg,
    /// AF_XDP: bypasses the link's queueing discipline, and whatever listens to outgoing frames,
    /// such as tcpdump. Each worker needs a queue of the link. Zero-copy where the driver has it,
    /// even if that needs an XDP program on the card (which [`TxPath::Auto`] does not attach, since
    /// that resets most cards); otherwise in copy mode.
    Xdp,
}

impl TxPath {
    /// Every path, by the name that users type.
    pub const ALL: [(&str, Self); 4] =
        [("auto", Self::Auto), ("uring", Self::Uring), ("mmsg", Self::Mmsg), ("xdp", Self::Xdp)];
}

impl fmt::Display for TxPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = Self::ALL.iter().find(|(_, path)| path == self);
        f.write_str(named.map_or("", |(name, _)| name))
    }
}

/// A name that no path has.
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
