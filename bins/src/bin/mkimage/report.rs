//! The report on an image, for programs.

use std::path::Path;
use std::time::{Duration, Instant};

use boot_image::ImageFile;
use boot_image::pack::Packed;
use boot_tools::describe::Description;
use boot_tools::output::Output;
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    path: String,
    #[serde(flatten)]
    image: Description,
    padding: u64,
    incompressible: bool,
    verified: bool,
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

/// One JSON object about `image`, which will stand at `path`.
pub(crate) fn json(
    image: &Output,
    path: &Path,
    packed: &Packed,
    verified: Option<Duration>,
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
        verified: verified.is_some(),
        seconds,
    };
    Ok(serde_json::to_string_pretty(&report)?)
}
