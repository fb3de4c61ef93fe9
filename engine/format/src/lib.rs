//! What a boot image and a frame of the network boot protocol look like, byte by byte.
//!
//! An image starts with a [`Header`], whose [`Checksum`] is the SHA-256 of its raw contents;
//! [`boot_source`] says which of its readers would boot from it, and why not. Frames are in
//! [`wire`]: [`wire::Frame::parse`] takes one apart, [`wire::Head`] builds one.
//!
//! The crate needs neither std nor an allocator, has no unsafe code, and no input makes it
//! panic: it is meant for firmware, dissectors and services that would otherwise write a parser
//! of their own.
//!
//! ```
//! use boot_format::boot_source::{BootSource, Facts};
//! use boot_format::wire::{Frame, FrameType, Head, MacAddr, Message};
//! use boot_format::{Checksum, Header, Name};
//!
//! let header = Header {
//!     compressed: false,
//!     data_size: 1 << 20,
//!     image_size: 1 << 20,
//!     target_size: 1 << 30,
//!     checksum: Checksum::from_bytes([0xab; 32]),
//!     dataset: Name::new("rpool/ROOT/ramdisk")?,
//!     image_name: Name::new("ci")?,
//! };
//! let bytes = header.emit();
//! assert_eq!(Header::parse(&bytes)?, header);
//!
//! let facts = Facts::new(&header, Header::LEN as u64 + header.data_size);
//! assert!(BootSource::Disk.verdict(&facts).is_accepted());
//!
//! let sled = MacAddr::new([0xa8, 0x40, 0x25, 0, 0, 1]);
//! let hello = Head::new(MacAddr::BROADCAST, sled, FrameType::Hello, 0);
//! let frame = Frame::parse(hello.as_bytes())?;
//! assert_eq!((frame.source, frame.message), (sled, Message::Hello(b"")));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

pub mod boot_source;
mod checksum;
mod header;
mod name;
pub mod wire;

pub use checksum::{Checksum, ParseChecksumError};
pub use header::{Header, HeaderError, NameField};
pub use name::{Name, NameError};
