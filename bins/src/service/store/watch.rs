//! Noticing that files have changed before a sled asks: inotify where it exists, otherwise a look
//! from time to time.

#[cfg(target_os = "linux")]
use std::fs::File;
use std::io::{self, Error};
#[cfg(target_os = "linux")]
use std::path::Path;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use crossbeam::channel::Sender;

use super::super::events::{Events, What};
use super::keeper::Note;
use crate::stderr::record::Level;

/// Events within this time are one change.
#[cfg(target_os = "linux")]
const TOGETHER: Duration = Duration::from_millis(50);
/// How often to look where the system reports nothing. A HELLO causes a look too.
const POLL: Duration = Duration::from_secs(2);

/// The watch over files and folders.
#[derive(Debug)]
pub(super) struct Watch {
    notes: Sender<Note>,
    system: Option<System>,
    events: Events,
}

impl Watch {
    /// Begins to watch the `sources`, files and folders. `events` are told if the system can't.
    pub(super) fn start(sources: &[PathBuf], notes: Sender<Note>, events: Events) -> Self {
        let mut watch = Self { notes, system: None, events };
        let started = System::start(watch.notes.clone());
        match started.and_then(|system| system.add(sources).map(|()| system)) {
            Ok(system) => watch.system = Some(system),
            Err(error) => watch.poll(&error),
        }
        watch
    }

    /// Watches `sources` too.
    pub(super) fn add(&mut self, sources: &[PathBuf]) {
        if let Some(Err(error)) = self.system.as_ref().map(|system| system.add(sources)) {
            self.system = None;
            self.poll(&error);
        }
    }

    /// Looks from time to time, as `error` keeps the system from reporting.
    fn poll(&self, error: &Error) {
        let text = format!("images are looked at every {} s: {error}", POLL.as_secs());
        self.events.tell(What::Notice(Level::Warn, text));
        let notes = self.notes.clone();
        // Without this thread a HELLO still causes a look at the files.
        let _ = thread::Builder::new().name("watch".to_owned()).spawn(move || {
            while notes.send(Note::Changed).is_ok() {
                thread::sleep(POLL);
            }
        });
    }
}

/// The source of notifications.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct System(File);

#[cfg(target_os = "linux")]
impl System {
    /// Starts a thread that notes all changes.
    fn start(notes: Sender<Note>) -> io::Result<Self> {
        use std::io::Read;

        use rustix::fs::inotify::{CreateFlags, init};

        let events = File::from(init(CreateFlags::CLOEXEC)?);
        let mut coming = events.try_clone()?;
        thread::Builder::new().name("watch".to_owned()).spawn(move || {
            // Which file it was does not matter: all are looked at.
            let mut text = [0; 4096];
            while coming.read(&mut text).is_ok() {
                thread::sleep(TOGETHER);
                if notes.send(Note::Changed).is_err() {
                    break;
                }
            }
        })?;
        Ok(Self(events))
    }

    /// Watches the folders of `sources`; those that are watched already stay so.
    fn add(&self, sources: &[PathBuf]) -> io::Result<()> {
        use rustix::fs::inotify::{WatchFlags, add_watch};

        let what = WatchFlags::CLOSE_WRITE
            | WatchFlags::MOVE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        for source in sources {
            let folder = folder_of(source);
            add_watch(&self.0, folder, what).map_err(|error| {
                let error = Error::from(error);
                Error::new(error.kind(), format!("{}: {error}", folder.display()))
            })?;
        }
        Ok(())
    }
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

#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct System;

#[cfg(not(target_os = "linux"))]
impl System {
    fn start(_: Sender<Note>) -> io::Result<Self> {
        Err(Error::new(io::ErrorKind::Unsupported, "this system has no inotify"))
    }

    #[expect(clippy::unused_self, clippy::unnecessary_wraps, reason = "as where there is inotify")]
    fn add(&self, _: &[PathBuf]) -> io::Result<()> {
        Ok(())
    }
}
