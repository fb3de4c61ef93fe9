//! Least privilege: once links and sockets are open, the process drops what it no longer needs.
//!
//! Linux has privileges for each thread, and a new thread inherits those of the one that starts it.
//! So all of this is done while there is only one thread:
//!
//! ```text
//! root, or cap_net_raw --open links and sockets--> --user, capabilities, Landlock --> threads
//!                                                  workers: seccomp besides
//! ```

#[cfg(target_os = "linux")]
mod capabilities;
#[cfg(target_os = "linux")]
mod files;
#[cfg(target_os = "linux")]
mod landlock;
#[cfg(target_os = "linux")]
mod seccomp;
mod user;

use std::path::{Path, PathBuf};

use boot_backends::TxPath;

use super::events::{Events, What};
use super::options::ServeOptions;
use super::reporting::StatusAddress;
use super::state;
use crate::stderr::record::Level;

/// What is left to the process, and what is still to be taken from its workers.
#[derive(Debug, Default)]
pub(crate) struct Confined {
    /// What to log about it.
    news: Vec<(Level, String)>,
    /// The folders that it may read, if these are not all.
    readable: Option<Vec<PathBuf>>,
    #[cfg(target_os = "linux")]
    workers: Option<seccomp::Filter>,
}

/// Refuses a `--user` that does not exist, or that the process can't become.
///
/// # Errors
///
/// Which of these, and why.
pub(super) fn check(options: &ServeOptions) -> anyhow::Result<()> {
    options.user.as_deref().map(user::find).transpose().map(|_| ())
}

/// Drops what is no longer needed. There must be no other thread yet.
///
/// # Errors
///
/// If the system refuses, or the user may not write the files that the server keeps.
pub(super) fn confine(options: &ServeOptions, tx: TxPath) -> anyhow::Result<Confined> {
    if let Some(name) = &options.user {
        let socket = match &options.reporting.status {
            Some(StatusAddress::Unix(socket)) => Some(socket.as_path()),
            _ => None,
        };
        user::find(name)?.become_it(socket)?;
    }
    let mut confined = Confined::default();
    confined.restrict(options, tx)?;
    // As the user that the process has become.
    if let Some(path) = &options.state {
        state::try_write(path)?;
    }
    Ok(confined)
}

impl Confined {
    #[cfg(target_os = "linux")]
    fn restrict(&mut self, options: &ServeOptions, tx: TxPath) -> anyhow::Result<()> {
        use anyhow::Context;

        let user = user::current();
        match capabilities::drop() {
            Ok(kept) => self.say(Level::Info, format!("runs as {user} {kept}")),
            // A container or an older unit may not permit it.
            Err(error) => {
                let text = format!("runs as {user} and can't give up its capabilities: {error}");
                self.say(Level::Warn, text);
            }
        }
        let reporting = &options.reporting;
        if reporting.on_finish.is_some() || reporting.on_fail.is_some() {
            let text = "commands are run after boots, which no_new_privs and Landlock would \
                        restrict too: only workers are";
            self.say(Level::Info, text.to_owned());
        } else {
            rustix::thread::set_no_new_privs(true).context("no_new_privs")?;
            files::prepare(options)?;
            let files = files::Files::of(options);
            for path in files.missing() {
                let text = format!("{}: does not exist, and can't be read later", path.display());
                self.say(Level::Warn, text);
            }
            match landlock::restrict(&files) {
                Ok(()) => self.readable = Some(files.readable()),
                Err(error) => self.say(Level::Info, format!("no Landlock: {error}")),
            }
        }
        match seccomp::Filter::new(tx) {
            Ok(filter) => {
                self.workers = Some(filter);
                if tx == TxPath::Uring {
                    let text = "io_uring lets workers do what their system calls may not: only \
                                files and privileges are kept from them";
                    self.say(Level::Info, text.to_owned());
                }
            }
            Err(error) => self.say(Level::Info, format!("no seccomp: {error}")),
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unnecessary_wraps, reason = "as on Linux")]
    fn restrict(&mut self, _: &ServeOptions, _: TxPath) -> anyhow::Result<()> {
        self.say(Level::Info, format!("runs as {}", user::current()));
        Ok(())
    }

    fn say(&mut self, level: Level, text: String) {
        self.news.push((level, text));
    }

    /// Reports what is left to the process.
    pub(super) fn tell(&mut self, events: &Events) {
        for (level, text) in self.news.drain(..) {
            events.tell(What::Notice(level, text));
        }
    }

    /// Binds the calling thread, a worker's, to the system calls that workers make.
    #[cfg_attr(not(target_os = "linux"), expect(clippy::unused_self, reason = "as on Linux"))]
    pub(super) fn enter_worker(&self, events: &Events) {
        #[cfg(target_os = "linux")]
        if let Some(Err(error)) = self.workers.as_ref().map(seccomp::Filter::apply) {
            events.tell(What::Notice(Level::Warn, format!("a worker without seccomp: {error}")));
        }
        #[cfg(not(target_os = "linux"))]
        let _ = events;
    }

    /// Whether images can still be read from `path`.
    pub(super) fn may_read(&self, path: &Path) -> bool {
        let Some(readable) = &self.readable else { return true };
        let folder = if path.is_dir() { Some(path) } else { path.parent() };
        let Some(folder) = folder else { return false };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        match folder.canonicalize() {
            Ok(folder) => readable.iter().any(|readable| folder.starts_with(readable)),
            // A missing file is reported where it is looked for.
            Err(_) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_was_given_up_can_not_be_read() {
        let folder = tempfile::tempdir().unwrap();
        let [inside, beside] = ["inside", "inside-not"].map(|name| folder.path().join(name));
        std::fs::create_dir(&inside).unwrap();
        std::fs::create_dir(&beside).unwrap();
        let readable = Some(vec![inside.canonicalize().unwrap()]);
        let confined = Confined { readable, ..Confined::default() };
        for (path, may) in [
            (inside.clone(), true),
            (inside.join("a.img"), true),
            (beside.clone(), false),
            (beside.join("a.img"), false),
            (inside.join("../inside-not/a.img"), false),
            (folder.path().join("a.img"), false),
        ] {
            assert_eq!(confined.may_read(&path), may, "{}", path.display());
        }
        assert!(Confined::default().may_read(&beside));
    }
}
