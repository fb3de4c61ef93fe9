//! The network boot protocol of rack-scale sleds, without I/O: the server, the sled, and a
//! segment to try them on.
//!
//! Nothing here uses a socket, reads a clock or sleeps. Time comes in as an argument
//! ([`time::Instant`]), frames come in as byte slices, frames go out as descriptors
//! ([`batch::Batch`]), and events come out as values. So a test can run a whole rack in virtual
//! time, from a seed ([`sim`]).
//!
//! Imports go one way, from later modules in this list to earlier ones: [`batch`] (frame
//! descriptors over [`boot_image::Contents`]), [`server`] and [`sled`] (two [`station::Station`]s),
//! [`sim`].
//!
//! ```
//! use boot_format::wire::{Frame, FrameType, Head, MacAddr, Message};
//! use boot_image::Contents;
//! use boot_netboot::batch::Batch;
//! use boot_netboot::server::{Config, Serve, Server};
//! use boot_netboot::station::Station;
//! use boot_netboot::time::Instant;
//!
//! let image = Contents::build(1 << 20, 1 << 30, "ci", "rpool/ROOT/ramdisk", |_| {})?;
//! let address = MacAddr::new([2, 0, 0, 0, 0, 1]);
//! let mut server = Server::new(Config::new(address, Serve::All));
//! server.set_images(vec![image]);
//!
//! let sled = MacAddr::new([0xa8, 0x40, 0x25, 0, 0, 1]);
//! let hello = Head::new(MacAddr::BROADCAST, sled, FrameType::Hello, 0);
//! server.handle_frame(Instant::ZERO, hello.as_bytes());
//!
//! let mut batch = Batch::with_capacity(16);
//! server.poll_transmit(Instant::ZERO, &mut batch);
//! let frame = batch.get(0).expect("the server answers a HELLO").to_vec();
//! assert!(matches!(Frame::parse(&frame)?.message, Message::Offer(_)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
// A stream that fails would make them panic.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod batch;
pub mod server;
pub mod sim;
pub mod sled;
pub mod station;
pub mod time;
