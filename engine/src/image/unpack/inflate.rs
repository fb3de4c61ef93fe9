//! A zlib stream to raw contents, accepting all that the sled's inflater accepts.

use std::io;

use crossbeam::channel;
use flate2::{Decompress, FlushDecompress, Status};

use super::{ImageErrorKind, ImageFile};

/// What is wrong with a zlib stream. Offsets count from the start of the payload.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InflateError {
    /// Bytes that mean nothing.
    #[error("the payload is no zlib stream near its byte {at}: {what}")]
    Corrupt {
        /// About where, in bytes of payload.
        at: u64,
        /// What the inflater says.
        what: String,
    },
    /// The stream goes on where the payload ends.
    #[error(
        "the payload ends before its zlib stream does, which has given {found} of {wanted} bytes"
    )]
    Truncated {
        /// Bytes that came out.
        found: u64,
        /// The image size.
        wanted: u64,
    },
    /// The stream ends where the payload goes on.
    #[error("the zlib stream ends at byte {at} of the payload, and the data size is {data_size}")]
    Trailing {
        /// Bytes of payload that the stream takes.
        at: u64,
        /// The data size.
        data_size: u64,
    },
    /// It ends with too few bytes.
    #[error("the payload inflates to {found} bytes, and the image size is {wanted}")]
    Short {
        /// Bytes that came out.
        found: u64,
        /// The image size.
        wanted: u64,
    },
    /// It gives more bytes than the image has.
    #[error("the payload inflates to more than the {wanted} bytes of the image size")]
    Long {
        /// The image size.
        wanted: u64,
    },
}

/// Inflates the payload of `image`, and checks that the stream ends where both the payload and
/// the image do.
pub(super) fn inflate(
    image: &ImageFile,
    emit: &mut dyn FnMut(Vec<u8>) -> io::Result<()>,
    fresh: &channel::Receiver<Vec<u8>>,
) -> Result<(), ImageErrorKind> {
    let data_size = image.header.data_size;
    let wanted = image.header.image_size;
    let mut stream = Decompress::new(true);
    let mut input = vec![0; ImageFile::BLOCK];
    let (mut start, mut end) = (0, 0);
    let mut read = 0;
    loop {
        if start == end && read < data_size {
            end = (data_size - read).min(ImageFile::BLOCK as u64) as usize;
            start = 0;
            image.read_payload(&mut input[..end], read)?;
            read += end as u64;
        }
        let mut output = fresh.try_recv().unwrap_or_default();
        output.clear();
        // A byte more than there may be, so that a stream that goes on is found out.
        let left = (wanted - stream.total_out()).saturating_add(1);
        output.reserve_exact(left.min(ImageFile::BLOCK as u64) as usize);
        let before = (stream.total_in(), stream.total_out());
        let flush = FlushDecompress::None;
        let status =
            stream.decompress_vec(&input[start..end], &mut output, flush).map_err(|error| {
                let what = error.message().unwrap_or("broken").to_owned();
                InflateError::Corrupt { at: stream.total_in(), what }
            })?;
        start += (stream.total_in() - before.0) as usize;
        let found = stream.total_out();
        if found > wanted {
            return Err(InflateError::Long { wanted }.into());
        }
        if found > before.1 {
            emit(output)?;
        }
        match status {
            Status::StreamEnd if stream.total_in() < data_size => {
                return Err(InflateError::Trailing { at: stream.total_in(), data_size }.into());
            }
            Status::StreamEnd if found < wanted => {
                return Err(InflateError::Short { found, wanted }.into());
            }
            Status::StreamEnd => return Ok(()),
            _ if (stream.total_in(), found) == before && read == data_size => {
                return Err(InflateError::Truncated { found, wanted }.into());
            }
            _ => {}
        }
    }
}
