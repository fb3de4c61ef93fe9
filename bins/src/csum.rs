//! The `boot_image_csum` file, by which a boot archive names its image (F12).

use std::fs;
use std::path::Path;

use anyhow::Context;
use boot_format::Checksum;

/// Reads the 32 raw bytes of the file at `path`.
///
/// # Errors
///
/// If it can't be read, or does not have 32 bytes.
pub fn read(path: &Path) -> anyhow::Result<Checksum> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    let found = bytes.len();
    let bytes = bytes.try_into().ok().with_context(|| {
        format!("{}: a boot_image_csum has {} bytes, not {found}", path.display(), Checksum::LEN)
    })?;
    Ok(Checksum::from_bytes(bytes))
}
