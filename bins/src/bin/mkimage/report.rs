//! What was made, for programs to read.

use std::path::Path;

use boot_engine::image::ImageFile;
use boot_engine::image::pack::Packed;
use boot_tools::describe::Description;
use serde::Serialize;

#[derive(Serialize)]
struct Report {
    #[serde(flatten)]
    image: Description,
    padding: u64,
    incompressible: bool,
    seconds: f64,
}

/// One JSON object about the image that now stands at `path`.
pub(crate) fn json(path: &Path, packed: &Packed) -> anyhow::Result<String> {
    let image = ImageFile::open(path)?;
    let report = Report {
        image: Description::with_hashes(&image)?,
        padding: packed.padding,
        incompressible: packed.incompressible,
        seconds: packed.time.as_secs_f64(),
    };
    Ok(serde_json::to_string_pretty(&report)?)
}
