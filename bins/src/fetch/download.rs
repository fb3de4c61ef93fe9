//! One try to get an image: from its beginning, or from where the last try broke off.

use std::fs::File;
use std::io::{self, Write};

use boot_format::{Checksum, Header};
use boot_image::ImageErrorKind;

use super::cache::Cache;
use super::check::{Wanted, Wrong, check_header, check_image, check_length};
use super::fault::Fault;
use super::part::{Part, PartOf};
use super::remote::{Answer, Remote, Version};
use crate::service::events::FetchEvent;

/// The result of a try.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Got {
    /// It is still the version that was known.
    Unchanged,
    /// The image with this checksum is in the cache.
    Image(Checksum, Version),
}

/// Why a try failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum DownloadError {
    /// The bytes that arrived are kept for the next try.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// It is not what is wanted, and nothing of it is kept.
    #[error("{wrong}")]
    Wrong {
        /// Why.
        wrong: Wrong,
        /// Which version is not.
        version: Version,
    },
    #[error("{0:#}")]
    NoRoom(anyhow::Error),
    #[error("the cache: {0}")]
    Io(#[from] io::Error),
}

/// Gets the image at `remote` into the cache by way of `part`, unless it is the version that is
/// `known`.
///
/// # Errors
///
/// If it breaks off or is not what is wanted.
pub(super) async fn download(
    cache: &Cache,
    remote: &Remote,
    part: Part,
    wanted: Wanted,
    known: &Version,
) -> Result<Got, DownloadError> {
    let begun = match part.there() {
        Some((there, of)) => go_on(remote, &part, there, of).await?,
        None => None,
    };
    let (of, checked) = match begun {
        Some(of) => (of, None),
        None => match begin(cache, remote, &part, wanted, known).await? {
            Some(begun) => begun,
            None => return Ok(Got::Unchanged),
        },
    };
    let version = of.version;
    if let Some(sum) = checked {
        part.discard();
        if !is_kept(cache, sum).await? {
            return Err(Fault::Other("the cache's copy of it is broken".to_owned()).into());
        }
        return Ok(Got::Image(sum, version));
    }
    let path = part.path.clone();
    let checking = tokio::task::spawn_blocking(move || check_image(&path, wanted));
    match checking.await.map_err(io::Error::other)? {
        Ok(sum) => {
            cache.adopt(&part, sum)?;
            Ok(Got::Image(sum, version))
        }
        Err(wrong) => {
            part.discard();
            Err(DownloadError::Wrong { wrong, version })
        }
    }
}

/// Whether the cache has the image with this checksum; one that is broken is removed.
pub(super) async fn is_kept(cache: &Cache, sum: Checksum) -> io::Result<bool> {
    let path = cache.image(sum);
    let wanted = Wanted { contents: Some(sum), ..Wanted::default() };
    let checked = path.clone();
    let checking = tokio::task::spawn_blocking(move || check_image(&checked, wanted));
    match checking.await.map_err(io::Error::other)? {
        Ok(_) => Ok(true),
        Err(Wrong::Image(ImageErrorKind::Io(error))) if error.kind() == io::ErrorKind::NotFound => {
            Ok(false)
        }
        Err(wrong) => {
            std::fs::remove_file(&path)?;
            cache.tell(FetchEvent::Broken { path, reason: wrong.to_string(), removed: true });
            Ok(false)
        }
    }
}

/// Gets the rest of a part. `None` if there is no rest to this part any more.
async fn go_on(
    remote: &Remote,
    part: &Part,
    there: u64,
    of: PartOf,
) -> Result<Option<PartOf>, DownloadError> {
    if there == of.size {
        return Ok(Some(of));
    }
    let etag = of.version.strong().unwrap_or_default();
    let mut answer = match remote.rest(etag, there).await {
        Ok(answer) if answer.size == of.size => answer,
        Ok(_) | Err(Fault::Changed | Fault::NoParts(_)) => return Ok(None),
        Err(fault) => return Err(fault.into()),
    };
    fill(&mut part.go_on()?, &mut answer, of.size - there, |_| Ok(false)).await?;
    Ok(Some(of))
}

/// Gets all of it. `None` if it is the version that is known; and a checksum, if its header shows
/// that the cache has it already.
async fn begin(
    cache: &Cache,
    remote: &Remote,
    part: &Part,
    wanted: Wanted,
    known: &Version,
) -> Result<Option<(PartOf, Option<Checksum>)>, DownloadError> {
    let mut answer = match remote.whole(known).await {
        Ok(answer) => answer,
        Err(Fault::Unchanged) => return Ok(None),
        Err(fault) => return Err(fault.into()),
    };
    let of = PartOf { version: answer.version.clone(), size: answer.size };
    let wrong = |wrong| DownloadError::Wrong { wrong, version: of.version.clone() };
    check_length(of.size, wanted).map_err(wrong)?;
    part.discard();
    cache.make_room(of.size).map_err(DownloadError::NoRoom)?;
    let mut file = part.begin(&of)?;
    let mut there = None;
    let filled = fill(&mut file, &mut answer, of.size, |file| {
        // A file that can't be the wanted image is not fetched to the end.
        let sum = check_header(file, of.size, wanted).map_err(wrong)?;
        there = Some(sum).filter(|sum| cache.image(*sum).exists());
        Ok(there.is_some())
    });
    if let Err(error) = filled.await {
        if matches!(error, DownloadError::Wrong { .. }) {
            part.discard();
        }
        return Err(error);
    }
    Ok(Some((of, there)))
}

/// Writes what arrives, `size` bytes, to `file`. As soon as the whole header is there, `look`
/// decides whether that is enough.
async fn fill(
    file: &mut File,
    answer: &mut Answer,
    size: u64,
    mut look: impl FnMut(&File) -> Result<bool, DownloadError>,
) -> Result<(), DownloadError> {
    let mut came = 0;
    let mut looked = false;
    while let Some(bytes) = answer.next().await? {
        came += bytes.len() as u64;
        if came > size {
            break;
        }
        file.write_all(&bytes)?;
        if !looked && (came >= Header::LEN as u64 || came == size) {
            looked = true;
            if look(file)? {
                return Ok(());
            }
        }
    }
    if came == size {
        return Ok(());
    }
    Err(Fault::Other(format!("broke off: {came} of {size} bytes arrived")).into())
}
