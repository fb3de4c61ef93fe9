//! Opening what may be an image, without blocking.

use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

use super::ImageErrorKind;

/// Opens an image, and returns its length in bytes. A pipe without a writer, or a device without a
/// carrier, would block a plain open.
pub(super) fn open(path: &Path) -> Result<(File, u64), ImageErrorKind> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path);
    let mut file = match opened {
        Ok(file) => file,
        // Another process holds a lease on the file, as file servers do, and is asked to release
        // it.
        Err(error)
            if error.kind() == io::ErrorKind::WouldBlock && fs::metadata(path)?.is_file() =>
        {
            File::open(path)?
        }
        // A socket can't be opened at all, and the system's error does not reveal that it is one.
        Err(error) => return Err(odd_kind_at(path).unwrap_or(error.into())),
    };
    let kind = file.metadata()?.file_type();
    if let Some(found) = odd_kind(kind) {
        return Err(ImageErrorKind::FileKind { found });
    }
    let length = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    if kind.is_char_device() && length == 0 {
        return Err(ImageErrorKind::FileKind { found: "a character device" });
    }
    Ok((file, length))
}

fn odd_kind_at(path: &Path) -> Option<ImageErrorKind> {
    let found = odd_kind(fs::metadata(path).ok()?.file_type())?;
    Some(ImageErrorKind::FileKind { found })
}

/// Its kind, if it can't hold an image. Raw disks are character devices on some systems.
fn odd_kind(kind: FileType) -> Option<&'static str> {
    if kind.is_dir() {
        Some("a folder")
    } else if kind.is_fifo() {
        Some("a pipe")
    } else if kind.is_socket() {
        Some("a socket")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use rustix::fs::{CWD, Mode, mkfifoat};

    use crate::ImageFile;

    #[test]
    fn what_holds_no_image_is_refused_by_its_kind_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let [pipe, socket] = ["pipe", "socket"].map(|name| folder.path().join(name));
        mkfifoat(CWD, &pipe, Mode::RWXU).unwrap();
        let _listener = UnixListener::bind(&socket).unwrap();
        for (path, kind) in [
            (pipe.as_path(), "a pipe"),
            (&socket, "a socket"),
            (folder.path(), "a folder"),
            ("/dev/null".as_ref(), "a character device"),
        ] {
            let error = ImageFile::open(path).unwrap_err().to_string();
            let wanted =
                format!("{}: it is {kind}, neither a file nor a block device", path.display());
            assert_eq!(error, wanted);
        }
    }
}
