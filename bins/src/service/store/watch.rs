//! Noticing that files have changed before a sled asks: inotify where there is one, and else a
//! look from time to time.

#[cfg(target_os = "linux")]
use std::path::Path;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crate::say;
use crossbeam::channel::Sender;

use super::keeper::Note;

/// What comes within this time is one change.
#[cfg(target_os = "linux")]
const TOGETHER: Duration = Duration::from_millis(50);
/// How often to look where the system tells nothing. A HELLO has it looked at too.
const POLL: Duration = Duration::from_secs(2);

/// Begins to watch the `sources`, files and folders.
pub(super) fn start(sources: &[PathBuf], notes: Sender<Note>) {
    let sources = sources.to_vec();
    // Without this thread a HELLO still has the files looked at.
    let _ = thread::Builder::new().name("watch".to_owned()).spawn(move || {
        let Err(error) = watch(&sources, &notes);
        say!("bootserver: images are looked at every {} s: {error}", POLL.as_secs());
        while notes.send(Note::Changed).is_ok() {
            thread::sleep(POLL);
        }
    });
}

/// The folder to watch for `source`.
#[cfg(target_os = "linux")]
fn folder_of(source: &Path) -> &Path {
    match source.parent() {
        _ if source.is_dir() => source,
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(target_os = "linux")]
fn watch(sources: &[PathBuf], notes: &Sender<Note>) -> std::io::Result<std::convert::Infallible> {
    use std::io::{Error, Read};

    use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};

    let inotify = init(CreateFlags::CLOEXEC)?;
    let what = WatchFlags::CLOSE_WRITE
        | WatchFlags::MOVE
        | WatchFlags::CREATE
        | WatchFlags::DELETE
        | WatchFlags::DELETE_SELF
        | WatchFlags::MOVE_SELF;
    for source in sources {
        let folder = folder_of(source);
        add_watch(&inotify, folder, what).map_err(|error| {
            let error = Error::from(error);
            Error::new(error.kind(), format!("{}: {error}", folder.display()))
        })?;
    }
    let mut events = std::fs::File::from(inotify);
    // Which file it was does not matter: all are looked at.
    let mut text = [0; 4096];
    loop {
        let _ = events.read(&mut text)?;
        thread::sleep(TOGETHER);
        let _ = notes.send(Note::Changed);
    }
}

#[cfg(not(target_os = "linux"))]
fn watch(_: &[PathBuf], _: &Sender<Note>) -> std::io::Result<std::convert::Infallible> {
    Err(std::io::Error::new(std::io::ErrorKind::Unsupported, "this system has no inotify"))
}
