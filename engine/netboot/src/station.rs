//! The interface that boot servers and sleds share.

use boot_format::wire::MacAddr;

use crate::batch::Batch;
use crate::time::Instant;

/// One end on an Ethernet segment, as a state machine without I/O: the server of [`crate::server`]
/// or the sled of [`crate::sled`].
///
/// The caller hands in frames as they arrive, lets the station fill a batch whenever the link has
/// room, and calls again at [`Station::poll_timeout`] if nothing arrives first. Both the real loop
/// and the simulated segment drive stations through this trait alone.
pub trait Station {
    /// Handles a frame: all its bytes from the destination address on, without the FCS. Any bytes
    /// are allowed; what is not a frame of the protocol is counted and dropped.
    fn handle_frame(&mut self, now: Instant, frame: &[u8]);

    /// Does what has become due by `now` and appends the frames that should go out, until
    /// the batch is full or there are none. Frames left in the batch by an earlier call are
    /// not touched.
    fn poll_transmit(&mut self, now: Instant, batch: &mut Batch);

    /// A frame to `destination` can never be sent: the mapped file that held its payload was
    /// truncated.
    fn handle_unreadable(&mut self, destination: MacAddr) {
        let _ = destination;
    }

    /// When to call [`Station::poll_transmit`] again if no frame arrives first; `None` if only a
    /// frame can change anything. A moment in the past means "at once".
    fn poll_timeout(&self) -> Option<Instant>;
}
