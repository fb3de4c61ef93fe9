//! Boot images as files and in memory: a raw file is packed to an image file, an image file is
//! checked and unpacked, and its raw contents are pinned in memory as [`Contents`].
//!
//! The engine's threads and its unsafe code live here and nowhere else.
//!
//! ```
//! use boot_format::Name;
//! use boot_image::pack::{PackOptions, pack};
//! use boot_image::{Contents, ImageFile};
//!
//! let folder = tempfile::tempdir()?;
//! let raw = folder.path().join("raw");
//! std::fs::write(&raw, vec![7; 2 << 20])?;
//!
//! let place = folder.path().join("image");
//! let options = PackOptions {
//!     image_name: Name::new("ci")?,
//!     dataset: Name::new("rpool/ROOT/ramdisk")?,
//!     target_size: 1 << 30,
//!     level: Some(6),
//!     threads: None,
//!     pad: false,
//! };
//! let (raw, out) = (std::fs::File::open(&raw)?, std::fs::File::create(&place)?);
//! let packed = pack(&raw, 2 << 20, &out, &options, &mut |_| true)?;
//!
//! let image = ImageFile::open(&place)?;
//! assert_eq!(image.header().checksum, packed.header.checksum);
//! assert_eq!(Contents::load(&place)?.size(), 2 << 20);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// They panic when the stream fails.
#![deny(clippy::print_stdout, clippy::print_stderr)]

mod adler;
mod clone;
mod contents;
pub mod deflate;
mod holes;
mod mapping;
pub mod pack;
mod slice_trap;
mod unpack;

pub use contents::{Contents, Payload};
pub use holes::write_sparse;
pub use mapping::MappedSlice;
pub use unpack::{ImageError, ImageErrorKind, ImageFile, InflateError, Sink};
