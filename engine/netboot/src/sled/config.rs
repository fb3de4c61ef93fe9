//! A sled's configuration.

use std::time::Duration;

use boot_format::Checksum;
use boot_format::wire::MacAddr;
use boot_image::Contents;

use super::AnswerTimes;
use crate::time::Instant;

/// A sled's configuration.
#[derive(Clone, Debug)]
pub struct SledConfig {
    /// Its Ethernet address.
    pub address: MacAddr,
    /// When it is switched on.
    pub power_on: Instant,
    /// The checksum in its boot archive; without one it takes the first offer.
    pub wanted: Option<Checksum>,
    /// If set, received bytes are compared with these contents instead of being hashed: a tenth of
    /// the work, which would otherwise dominate simulations.
    pub compare: Option<Contents>,
    /// What a line on the serial console costs: time in which the sled does nothing else (P15).
    pub console: Duration,
    /// The size of its receive ring, in frames.
    pub ring: usize,
    /// From a batch's last frame to the next READ.
    pub answers: AnswerTimes,
    /// How long it pauses now and then, and how often: another program has its core.
    pub pause: Option<(Duration, Duration)>,
    /// The seed of its answer times, together with its address.
    pub seed: u64,
    /// From a panic to the next HELLO.
    pub reboot: Duration,
}

impl SledConfig {
    /// A sled on a quiet machine: 45 characters on a console of 3 Mbaud cost 150 us (P15).
    pub fn new(address: MacAddr) -> Self {
        Self {
            address,
            power_on: Instant::ZERO,
            wanted: None,
            compare: None,
            console: Duration::from_micros(150),
            ring: 256,
            answers: AnswerTimes::default(),
            pause: None,
            seed: 0,
            reboot: Duration::from_secs(2),
        }
    }
}
