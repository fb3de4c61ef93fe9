//! The `boot_image_csum` file, by which a boot archive names its image (F12).

use std::path::Path;

use anyhow::{Context, anyhow};
use boot_format::Checksum;

use crate::small;

/// Reads the 32 raw bytes of the file at `path`.
///
/// # Errors
///
/// If it can't be read, or does not have 32 bytes.
pub fn read(path: &Path) -> anyhow::Result<Checksum> {
    /// Of a longer file it is not said how long it is.
    const MOST_BYTES: u64 = 1 << 20;
    let bytes = small::read(path, MOST_BYTES).with_context(|| path.display().to_string())?;
    let wrong = |found: String| {
        anyhow!("{}: a boot_image_csum has {} bytes, not {found}", path.display(), Checksum::LEN)
    };
    let bytes = bytes.ok_or_else(|| wrong(format!("more than {MOST_BYTES}")))?;
    let bytes = bytes.try_into().map_err(|bytes: Vec<u8>| wrong(bytes.len().to_string()))?;
    Ok(Checksum::from_bytes(bytes))
}
