//! An Ethernet segment in virtual time: servers, sleds, and the queues and faults between them.
//!
//! A run is determined by its setup and seed, so it can be repeated exactly. A [`Segment`] joins
//! any stations, an [`Actor`] is a station of any kind, and a [`Scenario`] is a whole rack, from a
//! few parameters to its figures.
//!
//! ```text
//! server -> its own port -> trunk -> switch -> the switch's port -> sled
//!        <- the switch's port <------ switch <------ its own port <-
//! ```
//!
//! A station is asked for frames only while its own port has room, as with a socket. The trunk and
//! the switch drop what their queues can't hold.

mod actor;
mod bounds;
mod flood;
mod frames;
mod hostile;
mod judged;
mod line;
mod naive;
mod scenario;
mod segment;
mod stranger;
mod traffic;

pub use actor::Actor;
pub use bounds::{Against, Bound, bounds};
pub use flood::{Flood, FloodConfig};
pub use judged::judged;
pub use line::{Faults, Line, PortConfig, wire_bytes, wire_time};
pub use naive::Naive;
pub use scenario::{Outcome, Scenario};
pub use segment::{Link, PlugId, Segment};
pub use stranger::{Stranger, StrangerConfig};
pub use traffic::Traffic;
