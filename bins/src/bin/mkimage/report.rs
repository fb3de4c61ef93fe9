//! The report on an image, for programs.

use std::path::Path;
use std::time::{Duration, Instant};

use boot_image::ImageFile;
use boot_image::pack::Packed;
use boot_tools::describe::{Description, recovery_seconds};
use boot_tools::output::Output;
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    path: String,
    #[serde(flatten)]
    image: Description,
    padding: u64,
    incompressible: bool,
    /// Those that compressed, if any did.
    threads: Option<usize>,
    verified: bool,
    /// Of a compressed image that replaces another one.
    recovery_seconds_saved: Option<f64>,
    seconds: Seconds,
}

/// How long it took. The stages of packing overlap, on several threads, so their sum can exceed
/// that.
#[derive(Serialize)]
struct Seconds {
    pack: f64,
    hash: f64,
    compress: f64,
    write: f64,
    verify: f64,
    file_sum: f64,
}

/// The payload bytes of the compressed image at `path`, if there is one.
pub(crate) fn last_payload(path: &Path) -> Option<u64> {
    let last = ImageFile::open(path).ok().filter(|last| last.header().compressed)?;
    last.check_sizes().ok()?;
    Some(last.header().data_size)
}

/// The seconds that `packed` saves in every recovery, compared with a payload of `last` bytes.
pub(crate) fn saved(packed: &Packed, last: Option<u64>) -> Option<f64> {
    let header = &packed.header;
    let last = last.filter(|_| header.compressed)?;
    Some(recovery_seconds(last) - recovery_seconds(header.data_size))
}

/// Compares `packed` with what it replaces.
pub(crate) fn gain(packed: &Packed, saved: f64) -> String {
    let takes = recovery_seconds(packed.header.data_size);
    let (seconds, word) = (saved.abs(), if saved < 0.0 { "more" } else { "less" });
    format!(
        "a recovery takes {takes:.1} s, {seconds:.1} s {word} than with the image that this replaces"
    )
}

/// One JSON object about `image`, which will stand at `path`.
pub(crate) fn json(
    image: &Output,
    path: &Path,
    packed: &Packed,
    threads: Option<usize>,
    verified: Option<Duration>,
    saved: Option<f64>,
) -> anyhow::Result<String> {
    let started = Instant::now();
    let image = ImageFile::open(image.path())?;
    let description = Description::with_hashes(&image)?;
    let seconds = Seconds {
        pack: packed.time.as_secs_f64(),
        hash: packed.stages.hash.as_secs_f64(),
        compress: packed.stages.compress.as_secs_f64(),
        write: packed.stages.write.as_secs_f64(),
        verify: verified.unwrap_or_default().as_secs_f64(),
        file_sum: started.elapsed().as_secs_f64(),
    };
    let report = Report {
        path: path.display().to_string(),
        image: description,
        padding: packed.padding,
        incompressible: packed.incompressible,
        threads,
        verified: verified.is_some(),
        recovery_seconds_saved: saved.map(|seconds| (seconds * 10.0).round() / 10.0),
        seconds,
    };
    Ok(serde_json::to_string_pretty(&report)?)
}
