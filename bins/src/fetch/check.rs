//! What must be true of an image before it is offered.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use boot_format::boot_source::refusal_of_contents;
use boot_format::{Checksum, Header, HeaderError};
use boot_image::{ImageError, ImageErrorKind, ImageFile};

/// What is wanted of an image besides being a good one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// The checksum of its contents.
    pub(super) contents: Option<Checksum>,
    /// The checksum of its file.
    pub(super) file: Option<Checksum>,
    /// Bytes of its file.
    pub(super) size: Option<u64>,
}

/// What is wrong with what was fetched.
#[derive(Debug, thiserror::Error)]
pub(super) enum Wrong {
    #[error("it has {found} bytes, and should have {wanted}")]
    Size { found: u64, wanted: u64 },
    #[error("{0}")]
    Header(#[from] HeaderError),
    #[error("its contents' SHA-256 is {found} by its header, and should be {wanted}")]
    Contents { found: Checksum, wanted: Checksum },
    #[error("its file's SHA-256 is {found}, and should be {wanted}")]
    File { found: Checksum, wanted: Checksum },
    #[error("{0}")]
    Image(ImageErrorKind),
}

impl From<ImageError> for Wrong {
    fn from(error: ImageError) -> Self {
        // The path is that of a hidden file, which means nothing to a user.
        Self::Image(error.kind)
    }
}

/// Reads the header of the image in `file`, which is `length` bytes long once it is all there.
///
/// # Errors
///
/// If that can't be the image that is wanted.
pub(super) fn check_header(file: &File, length: u64, wanted: Wanted) -> Result<Checksum, Wrong> {
    if length < Header::LEN as u64 {
        return Err(HeaderError::Short { found: length as usize }.into());
    }
    let mut start = vec![0; Header::LEN];
    file.read_exact_at(&mut start, 0).map_err(|error| Wrong::Image(error.into()))?;
    let header = Header::parse(&start)?;
    header.check()?;
    check_length(length, wanted)?;
    let found = length.saturating_sub(Header::LEN as u64);
    if found < header.data_size {
        return Err(Wrong::Image(ImageErrorKind::Short { found, wanted: header.data_size }));
    }
    check_contents(header.checksum, wanted)?;
    Ok(header.checksum)
}

/// Whether a file of `found` bytes can be the one that is wanted.
///
/// # Errors
///
/// If it can't.
pub(super) fn check_length(found: u64, Wanted { size, .. }: Wanted) -> Result<(), Wrong> {
    match size {
        Some(wanted) if wanted != found => Err(Wrong::Size { found, wanted }),
        _ => Ok(()),
    }
}

/// Reads the whole image at `path` and returns the checksum of its contents.
///
/// # Errors
///
/// If it is broken, no sled could boot it over the network, or it is not the one that is wanted.
pub(super) fn check_image(path: &Path, wanted: Wanted) -> Result<Checksum, Wrong> {
    let image = ImageFile::open(path)?;
    let contents = check_header(&File::open(path).map_err(image_error)?, image.length(), wanted)?;
    image.check_sizes()?;
    if let Some(reason) = refusal_of_contents(&image.facts()) {
        return Err(Wrong::Image(ImageErrorKind::Network(reason)));
    }
    if let Some(wanted) = wanted.file {
        let found = image.whole_hash()?;
        if found != wanted {
            return Err(Wrong::File { found, wanted });
        }
    }
    image.unpack(&mut |_| Ok(()))?;
    Ok(contents)
}

fn image_error(error: io::Error) -> Wrong {
    Wrong::Image(error.into())
}

fn check_contents(found: Checksum, Wanted { contents, .. }: Wanted) -> Result<(), Wrong> {
    match contents {
        Some(wanted) if wanted != found => Err(Wrong::Contents { found, wanted }),
        _ => Ok(()),
    }
}
