//! The file in which the server keeps which sled took which image.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::path::Path;

use anyhow::Context;
use boot_engine::image::Checksum;

use crate::sled_at::SledAt;

/// What the file says: a line for each sled, with its link and address, and a checksum. Lines
/// without a link, as files of old have them, are about the sled on every link. A file that does
/// not exist says nothing.
///
/// # Errors
///
/// If the file can't be read or has a line of another form.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<(SledAt, Checksum)>> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    let line = |(number, line): (usize, &str)| {
        let place = || format!("{}, line {}", path.display(), number + 1);
        let (sled, image) = line.split_once(' ').with_context(place)?;
        let sled = sled.parse().map_err(anyhow::Error::msg).with_context(place)?;
        anyhow::Ok((sled, image.trim().parse().with_context(place)?))
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(line).collect()
}

/// Replaces the file, whole or not at all.
///
/// # Errors
///
/// If it can't be written.
pub(crate) fn write(path: &Path, taken: &BTreeMap<SledAt, Checksum>) -> anyhow::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let replace = || {
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        for (sled, image) in taken {
            writeln!(file, "{sled} {image}")?;
        }
        file.persist(path)?;
        io::Result::Ok(())
    };
    replace().with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use boot_engine::wire::MacAddr;

    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        assert_eq!(read(&path).unwrap(), []);
        let address = MacAddr::new([2, 0, 0, 0, 0, 1]);
        let taken = [None, Some("net0"), Some("net1")].map(|link| {
            let sled = SledAt { link: link.map(str::to_owned), address };
            (sled, Checksum::from_bytes([7; 32]))
        });
        let lines = BTreeMap::from(taken.clone());
        write(&path, &lines).unwrap();
        assert_eq!(read(&path).unwrap(), taken);
    }

    #[test]
    fn a_file_of_old_names_no_links() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        fs::write(&path, format!("02:00:00:00:00:01 {}\n", "07".repeat(32))).unwrap();
        let sled = SledAt { link: None, address: MacAddr::new([2, 0, 0, 0, 0, 1]) };
        assert_eq!(read(&path).unwrap(), [(sled, Checksum::from_bytes([7; 32]))]);
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
