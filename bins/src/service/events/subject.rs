//! What an event of a sled is about.

use boot_netboot::server::EventKind;

/// What an event is about. Each has its own share of queue and log, so that a flood of one does not
/// drown the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Subject {
    Hello,
    Offer,
    Reset,
    Eviction,
    Boot,
}

impl Subject {
    pub(crate) const ALL: [Self; 5] =
        [Self::Hello, Self::Offer, Self::Reset, Self::Eviction, Self::Boot];

    pub(crate) fn of(kind: &EventKind) -> Self {
        match kind {
            EventKind::Hello { .. } | EventKind::NotServed => Self::Hello,
            EventKind::Offered { .. } => Self::Offer,
            EventKind::Reset => Self::Reset,
            EventKind::Evicted => Self::Eviction,
            _ => Self::Boot,
        }
    }

    /// Lines in a second at most. An event that costs a station a single frame gets fewer than one
    /// of a boot.
    pub(super) fn most_lines(self) -> u32 {
        match self {
            Self::Boot => 200,
            _ => 40,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Hello => "sleds that say hello",
            Self::Offer => "offers",
            Self::Reset => "sleds that were told to start over",
            Self::Eviction => "sleds that were forgotten",
            Self::Boot => "boots",
        }
    }

    /// Its name, for programs.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Offer => "offer",
            Self::Reset => "reset",
            Self::Eviction => "eviction",
            Self::Boot => "boot",
        }
    }
}
