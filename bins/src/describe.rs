//! Everything known about an image, for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use boot_format::boot_source::{BootSource, Facts, SliceTraps, Verdict};
use boot_format::{Checksum, Header};
use boot_image::{ImageError, ImageFile};
use serde::Serialize;

/// An image, as JSON shows it. Sizes are in bytes.
#[derive(Debug, Serialize)]
pub struct Description {
    image_name: String,
    compressed: bool,
    data_size: u64,
    image_size: u64,
    target_size: u64,
    ratio: Option<f64>,
    image_sum: String,
    /// SHA-256 of header and payload.
    file_sum: Option<String>,
    /// SHA-256 of the stored payload.
    payload_sum: Option<String>,
    dataset_name: String,
    boot_sources: BTreeMap<String, SourceVerdict>,
    seconds_to_boot: BTreeMap<&'static str, f64>,
}

#[derive(Debug, Serialize)]
struct SourceVerdict {
    accepted: bool,
    meant: bool,
    reason: String,
}

/// The hashes of an image that are not in its header.
#[derive(Clone, Copy, Debug)]
pub struct StoredHashes {
    /// SHA-256 of the stored payload.
    pub payload: Checksum,
    /// SHA-256 of header and payload.
    pub whole: Checksum,
}

/// The hashes of an image whose contents are known to be good; reads the file.
///
/// # Errors
///
/// If it can't be read.
pub fn hashes_of_good(image: &ImageFile) -> Result<StoredHashes, ImageError> {
    if image.header().compressed {
        let (payload, whole) = image.stored_hashes()?;
        return Ok(StoredHashes { payload, whole });
    }
    // The payload is the contents.
    Ok(StoredHashes { payload: image.header().checksum, whole: image.whole_hash()? })
}

impl Description {
    /// Describes `image`, whose contents are known to be good, with the hashes of its file.
    ///
    /// # Errors
    ///
    /// If it can't be read.
    pub fn with_hashes(image: &ImageFile) -> Result<Self, ImageError> {
        Ok(Self::new(image, Some(hashes_of_good(image)?), SliceTraps::default()))
    }

    /// Describes `image` by its header and what else is known: its hashes, and for a compressed
    /// one where a sled would give up.
    pub fn new(image: &ImageFile, hashes: Option<StoredHashes>, traps: SliceTraps) -> Self {
        let header = image.header();
        let verdicts = verdicts(image, hashes, traps).map(|(source, verdict)| {
            let (accepted, reason) = (verdict.is_accepted(), verdict.to_string());
            let meant = source.is_meant_for(header.compressed);
            (source.to_string(), SourceVerdict { accepted, meant, reason })
        });
        Self {
            image_name: header.image_name.to_string(),
            compressed: header.compressed,
            data_size: header.data_size,
            image_size: header.image_size,
            target_size: header.target_size,
            ratio: header.compressed.then(|| ratio(header)),
            image_sum: header.checksum.to_string(),
            file_sum: hashes.map(|hashes| hashes.whole.to_string()),
            payload_sum: hashes.map(|hashes| hashes.payload.to_string()),
            dataset_name: header.dataset.to_string(),
            boot_sources: verdicts.collect(),
            seconds_to_boot: boot_times(header)
                .map(|(way, time)| (way, (time.as_secs_f64() * 10.0).round() / 10.0))
                .into(),
        }
    }
}

/// Each boot source's verdict on `image`.
pub fn verdicts(
    image: &ImageFile,
    hashes: Option<StoredHashes>,
    traps: SliceTraps,
) -> impl Iterator<Item = (BootSource, Verdict)> {
    let facts = Facts {
        stored: hashes.map(|hashes| hashes.payload),
        whole: hashes.map(|hashes| hashes.whole),
        traps,
        ..image.facts()
    };
    BootSource::ALL.into_iter().map(move |source| (source, source.verdict(&facts)))
}

/// Bytes of contents per byte of payload.
pub fn ratio(header: &Header) -> f64 {
    header.image_size as f64 / header.data_size.max(1) as f64
}

/// About how many seconds the recovery of a payload of `bytes` bytes takes: over the service
/// processor's line, with one slice of 974 bytes in flight, which reaches 175 kB/s.
pub fn recovery_seconds(bytes: u64) -> f64 {
    bytes as f64 / 175e3
}

/// About how long a sled takes to get the image from each source, at the speeds that sleds have
/// reached (F20), with the fixed waits of a network boot.
pub fn boot_times(header: &Header) -> [(&'static str, Duration); 4] {
    /// At best, over 1 Gbit/s; ten times that at 10 Gbit/s, where the sled's own checksum and
    /// copying begin to count.
    const GIGABIT: f64 = 115e6;
    const SLED: f64 = 900e6;
    const DISK: f64 = 2e9;
    const WAITS: f64 = 0.15;
    let (contents, payload) = (header.image_size as f64, header.data_size as f64);
    let network = |rate: f64| contents / rate.min(SLED) + WAITS;
    let times = [
        ("disk", payload / DISK + contents / SLED),
        ("network_1g", network(GIGABIT)),
        ("network_10g", network(10.0 * GIGABIT)),
        ("sp", recovery_seconds(header.data_size)),
    ];
    times.map(|(way, seconds)| (way, Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)))
}
