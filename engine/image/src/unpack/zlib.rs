//! The frame around a deflate stream, and what can be wrong with either.

use super::{ImageErrorKind, ImageFile};

/// What is wrong with a zlib stream. Offsets count from the start of the payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// Invalid bytes.
    #[error("the payload is not a zlib stream near its byte {at}: {what}")]
    Corrupt {
        /// About where, in bytes of payload.
        at: u64,
        /// The inflater's message.
        what: String,
    },
    /// The payload ends before the stream does.
    #[error("the payload ends before its zlib stream does, after {found} of {wanted} bytes")]
    Truncated {
        /// Bytes of output.
        found: u64,
        /// The image size.
        wanted: u64,
    },
    /// The stream ends before the payload does.
    #[error("the zlib stream ends at byte {at} of the payload, and the data size is {data_size}")]
    Trailing {
        /// Bytes of payload that the stream takes.
        at: u64,
        /// The data size.
        data_size: u64,
    },
    /// It has too little output.
    #[error("the payload inflates to {found} bytes, and the image size is {wanted}")]
    Short {
        /// Bytes of output.
        found: u64,
        /// The image size.
        wanted: u64,
    },
    /// It has more output than the image.
    #[error("the payload inflates to more than the {wanted} bytes of the image size")]
    Long {
        /// The image size.
        wanted: u64,
    },
}

/// Bytes of a zlib stream before its deflate stream, and after it.
pub(super) const ZLIB_HEADER: u64 = 2;
pub(super) const ZLIB_TRAILER: u64 = 4;

/// The two bytes at the start, by zlib's rules.
pub(super) fn check_header(image: &ImageFile) -> Result<(), ImageErrorKind> {
    if image.header.data_size < ZLIB_HEADER + ZLIB_TRAILER {
        return Err(InflateError::Truncated { found: 0, wanted: image.header.image_size }.into());
    }
    let mut header = [0; ZLIB_HEADER as usize];
    image.read_payload(&mut header, 0)?;
    let [method, flags] = header;
    let what = if !u16::from_be_bytes(header).is_multiple_of(31) {
        "incorrect header check"
    } else if method & 15 != 8 {
        "unknown compression method"
    } else if method >> 4 > 7 {
        "invalid window size"
    } else if flags & 0x20 != 0 {
        "it needs a preset dictionary"
    } else {
        return Ok(());
    };
    Err(InflateError::Corrupt { at: 0, what: what.to_owned() }.into())
}
