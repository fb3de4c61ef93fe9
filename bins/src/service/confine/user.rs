//! Whose privileges the process has.

use std::ffi::CString;
use std::os::unix::fs::lchown;
use std::path::Path;

use anyhow::{Context, ensure};
use nix::unistd::{Uid, User, geteuid, initgroups, setgid, setuid};

/// A user that the process can become, or is.
#[derive(Debug)]
pub(super) struct Wanted(User);

/// The user `name`, for `--user`.
///
/// # Errors
///
/// If there is no such user, or the process can't become it.
pub(super) fn find(name: &str) -> anyhow::Result<Wanted> {
    let shown = || format!("--user {name}");
    let user = User::from_name(name).with_context(shown)?;
    let user = user.with_context(|| format!("{}: there is no such user", shown()))?;
    ensure!(
        geteuid().is_root() || geteuid() == user.uid,
        "{}: only root can become another user, and this is {}",
        shown(),
        current()
    );
    Ok(Wanted(user))
}

impl Wanted {
    /// Gives up being any other user, for good. The user gets the `socket` in the file system.
    ///
    /// # Errors
    ///
    /// If the system refuses.
    pub(super) fn become_it(&self, socket: Option<&Path>) -> anyhow::Result<()> {
        let Self(user) = self;
        if geteuid() == user.uid {
            return Ok(());
        }
        let shown = || format!("--user {}", user.name);
        if let Some(socket) = socket {
            let (uid, gid) = (user.uid.as_raw(), user.gid.as_raw());
            lchown(socket, Some(uid), Some(gid)).with_context(shown)?;
        }
        let name = CString::new(user.name.as_bytes())?;
        // Groups first: only root may change them.
        initgroups(&name, user.gid).with_context(shown)?;
        setgid(user.gid).with_context(shown)?;
        // For root this changes the real and the saved user too.
        setuid(user.uid).with_context(shown)?;
        ensure!(setuid(Uid::from_raw(0)).is_err(), "{}: could become root again", shown());
        Ok(())
    }
}

/// The name of the user that the process runs as.
pub(super) fn current() -> String {
    let uid = geteuid();
    match User::from_uid(uid) {
        Ok(Some(user)) => user.name,
        _ => format!("user {uid}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_becomes_a_user_that_there_is_not() {
        let error = find("no-such-user").unwrap_err().to_string();
        assert_eq!(error, "--user no-such-user: there is no such user");
    }

    #[test]
    fn everybody_is_who_they_are() {
        if let Some(me) = User::from_uid(geteuid()).unwrap() {
            find(&me.name).unwrap().become_it(None).unwrap();
        }
    }
}
