//! The file in which the server keeps which sled took which image.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use boot_engine::image::Checksum;
use boot_engine::wire::MacAddr;

/// What the file says: a line for each sled, its address and a checksum. A file that does not
/// exist says nothing.
///
/// # Errors
///
/// If the file can't be read or has a line of another form.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<(MacAddr, Checksum)>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let line = |(number, line): (usize, &str)| {
        let place = || format!("{}, line {}", path.display(), number + 1);
        let (sled, image) = line.split_once(' ').with_context(place)?;
        anyhow::Ok((sled.parse().with_context(place)?, image.trim().parse().with_context(place)?))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(line).collect()
}

/// Replaces the file, whole or not at all.
///
/// # Errors
///
/// If it can't be written.
pub(crate) fn write(
    path: &Path,
    taken: impl Iterator<Item = (MacAddr, Checksum)>,
) -> anyhow::Result<()> {
    let mut taken: Vec<_> = taken.collect();
    taken.sort_unstable();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let replace = || {
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        for (sled, image) in &taken {
            writeln!(file, "{sled} {image}")?;
        }
        file.persist(path)?;
        io::Result::Ok(())
    };
    replace().with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert_eq!(read(&path).unwrap(), []);
        let taken: Vec<_> = (0..3)
            .map(|n| (MacAddr::new([2, 0, 0, 0, 0, n]), Checksum::from_bytes([n; 32])))
            .collect();
        write(&path, taken.iter().rev().copied()).unwrap();
        assert_eq!(read(&path).unwrap(), taken);
    }

    #[test]
    fn a_line_of_another_form_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        fs::write(&path, "\n02:00:00:00:00:01 abc\n").unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("line 2") && error.contains("64 hexadecimal digits"), "{error}");
    }
}
