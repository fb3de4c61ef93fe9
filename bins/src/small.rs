//! Small files, read with a limit: a name may lead to a device that never ends.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// All bytes of the file at `path`; `None` if there are more than `most`.
///
/// # Errors
///
/// If it can't be read.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok((bytes.len() as u64 <= most).then_some(bytes))
}

/// The file's text, with the same limit.
///
/// # Errors
///
/// If it can't be read, or is not UTF-8.
pub(crate) fn read_text(path: &Path, most: u64) -> io::Result<Option<String>> {
    let mut text = String::new();
    let Some(bytes) = read(path, most)? else { return Ok(None) };
    bytes.as_slice().read_to_string(&mut text)?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::csum;

    use super::*;

    #[test]
    fn files_are_read_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "1234").unwrap();
        assert_eq!(read_text(&path, 4).unwrap().as_deref(), Some("1234"));
        assert_eq!(read_text(&path, 3).unwrap(), None);
        std::fs::write(&path, b"\xff").unwrap();
        assert_eq!(read_text(&path, 3).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn what_never_ends_is_refused() {
        let endless = Path::new("/dev/zero");
        let config = Config::read(endless).unwrap_err().to_string();
        assert!(config.starts_with("/dev/zero: more than "), "{config}");
        let sum = csum::read(endless).unwrap_err().to_string();
        assert!(sum.starts_with("/dev/zero: a boot_image_csum has 32 bytes"), "{sum}");
        #[cfg(feature = "fetch")]
        crate::fetch::check_key("/dev/zero").unwrap_err();
    }
}
