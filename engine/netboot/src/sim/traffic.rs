//! What happened to frames.

/// What happened to the frames of one link, or of a whole segment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames that the station handed to its link.
    pub sent: u64,
    /// Frames handed to the station.
    pub delivered: u64,
    /// Frames dropped because the trunk's queue was full.
    pub trunk_drops: u64,
    /// Frames dropped because the queue of the station's port was full.
    pub port_drops: u64,
    /// Frames lost by chance.
    pub lost: u64,
    /// Frames dropped because of a bad FCS.
    pub bad_fcs: u64,
    /// Frames passed on with a flipped bit that the FCS did not detect.
    pub flipped: u64,
}

impl std::iter::Sum for Traffic {
    fn sum<I: Iterator<Item = Self>>(links: I) -> Self {
        links.fold(Self::default(), |sum, link| Self {
            sent: sum.sent + link.sent,
            delivered: sum.delivered + link.delivered,
            trunk_drops: sum.trunk_drops + link.trunk_drops,
            port_drops: sum.port_drops + link.port_drops,
            lost: sum.lost + link.lost,
            bad_fcs: sum.bad_fcs + link.bad_fcs,
            flipped: sum.flipped + link.flipped,
        })
    }
}
