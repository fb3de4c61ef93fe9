//! What a server needs to know from the start.

use std::collections::BTreeSet;

use boot_format::wire::MacAddr;

use super::{Pace, Together};

/// Which sleds are served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Serve {
    /// Every sled, at the same time.
    All,
    /// The first sled that says HELLO, and no other.
    First,
    /// Those with these addresses.
    These(BTreeSet<MacAddr>),
}

/// What a server needs to know from the start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The link's own address: the source of every frame that is sent.
    pub address: MacAddr,
    /// Which sleds are served.
    pub serve: Serve,
    /// The most sessions at a time; each takes a few KiB.
    pub max_sessions: usize,
    /// How fast DATA frames may go out.
    pub pace: Pace,
    /// Whether to retransmit to a silent sled. Without it a lost frame costs a sled a second, its
    /// own timer; for measuring what retransmission costs.
    pub retransmit: bool,
    /// The key of the hash that places addresses in the server's tables. A secret, random one keeps
    /// strangers from aiming at a sled's place; zero is for simulations.
    pub key: u64,
    /// Whether sleds that want the same image boot in step, and how they are gathered for that.
    pub together: Option<Together>,
}

impl Config {
    /// Enough for several racks.
    pub const MAX_SESSIONS: usize = 1024;

    /// A server at `address`.
    pub fn new(address: MacAddr, serve: Serve) -> Self {
        Self {
            address,
            serve,
            max_sessions: Self::MAX_SESSIONS,
            pace: Pace::Auto,
            retransmit: true,
            key: 0,
            together: None,
        }
    }
}
