//! What can be plugged into a segment.

use super::{Flood, Naive, Stranger};
use crate::batch::Batch;
use crate::server::Server;
use crate::sled::Sled;
use crate::station::Station;
use crate::time::Instant;

/// A station of any kind.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "a segment has few stations, and they stay put")]
pub enum Actor {
    /// A boot server.
    Server(Server),
    /// A model of the boot server that this project replaces.
    Naive(Naive),
    /// A sled.
    Sled(Sled),
    /// A flood of READs.
    Flood(Flood),
    /// A station that sends in the name of others.
    Stranger(Stranger),
}

impl Actor {
    /// The boot server, if it is one.
    pub fn server(&self) -> Option<&Server> {
        match self {
            Self::Server(server) => Some(server),
            _ => None,
        }
    }

    /// The sled, if it is one.
    pub fn sled(&self) -> Option<&Sled> {
        match self {
            Self::Sled(sled) => Some(sled),
            _ => None,
        }
    }

    /// The boot server, if it is one.
    pub fn server_mut(&mut self) -> Option<&mut Server> {
        match self {
            Self::Server(server) => Some(server),
            _ => None,
        }
    }

    /// The sled, if it is one.
    pub fn sled_mut(&mut self) -> Option<&mut Sled> {
        match self {
            Self::Sled(sled) => Some(sled),
            _ => None,
        }
    }
}

impl Station for Actor {
    fn handle_frame(&mut self, now: Instant, frame: &[u8]) {
        match self {
            Self::Server(server) => server.handle_frame(now, frame),
            Self::Naive(server) => server.handle_frame(now, frame),
            Self::Sled(sled) => sled.handle_frame(now, frame),
            Self::Flood(flood) => flood.handle_frame(now, frame),
            Self::Stranger(stranger) => stranger.handle_frame(now, frame),
        }
    }

    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch) {
        match self {
            Self::Server(server) => server.poll_transmit(now, batch),
            Self::Naive(server) => server.poll_transmit(now, batch),
            Self::Sled(sled) => sled.poll_transmit(now, batch),
            Self::Flood(flood) => flood.poll_transmit(now, batch),
            Self::Stranger(stranger) => stranger.poll_transmit(now, batch),
        }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Server(server) => server.poll_timeout(),
            Self::Naive(server) => server.poll_timeout(),
            Self::Sled(sled) => sled.poll_timeout(),
            Self::Flood(flood) => flood.poll_timeout(),
            Self::Stranger(stranger) => stranger.poll_timeout(),
        }
    }
}
