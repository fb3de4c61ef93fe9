//! What a sled is made with.

use std::time::Duration;

use boot_format::Checksum;
use boot_format::wire::MacAddr;
use boot_image::Contents;

use super::AnswerTimes;
use crate::time::Instant;

/// What a sled is made with.
#[derive(Clone, Debug)]
pub struct SledConfig {
    /// Its Ethernet address.
    pub address: MacAddr,
    /// When it is switched on.
    pub power_on: Instant,
    /// The checksum in its boot archive; without one it takes the first image that is offered.
    pub wanted: Option<Checksum>,
    /// If set, what arrives is compared with these contents instead of being hashed: a tenth
    /// of the work, for simulations that would otherwise do little else.
    pub compare: Option<Contents>,
    /// What a line on the serial console costs: time in which the sled does nothing else (P15).
    pub console: Duration,
    /// Frames that can wait while the sled is busy.
    pub ring: usize,
    /// From a batch's last frame to the next READ.
    pub answers: AnswerTimes,
    /// How long it stands still now and then, and how often: another program has its core.
    pub pause: Option<(Duration, Duration)>,
    /// What its answer times follow from, beside its address.
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
