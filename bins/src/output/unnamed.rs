//! Files without a name: they vanish however the process ends.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// A file in a folder, but under no name yet.
#[derive(Debug)]
pub(super) struct Unnamed {
    file: File,
    /// Where the process can still open it.
    path: PathBuf,
}

impl Unnamed {
    /// Makes one in `folder`, if the system and the file system can do that.
    #[cfg(target_os = "linux")]
    pub(super) fn new(folder: &Path) -> Option<Self> {
        use std::fs::OpenOptions;
        use std::os::fd::AsRawFd;
        use std::os::unix::fs::OpenOptionsExt;

        use rustix::fs::OFlags;

        // The mode is that of any new file: the umask applies.
        let mut options = OpenOptions::new();
        options.read(true).write(true).mode(0o666);
        let file = options.custom_flags(OFlags::TMPFILE.bits().cast_signed()).open(folder).ok()?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        path.exists().then_some(Self { file, path })
    }

    /// As on Linux, but other systems can't.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn new(_: &Path) -> Option<Self> {
        None
    }

    /// The file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Where to open it again.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Names it `path`, which must be free.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    #[cfg(target_os = "linux")]
    pub(super) fn link(&self, path: &Path) -> io::Result<()> {
        use rustix::fs::{AtFlags, CWD, linkat};
        Ok(linkat(CWD, &self.path, CWD, path, AtFlags::SYMLINK_FOLLOW)?)
    }

    /// As on Linux, but there is never such a file.
    ///
    /// # Errors
    ///
    /// Always.
    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "as on Linux")]
    pub(super) fn link(&self, _: &Path) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}
