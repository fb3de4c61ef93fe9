//! One server on a link: a name that one process of a network namespace can have at a time.
//!
//! Every user can take such a name. So it counts only in the hands of a process that may use links
//! for raw frames, as every server may.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, UnixCredentials, connect, getsockopt, socket,
};

/// The hold on a link, which goes with the last who has it, or with the process.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    name: Arc<UnixListener>,
}

/// Why there is no hold to have.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Another has it: which process.
    Held(String),
    /// The name has been taken by somebody who serves nothing: by whom.
    Usurped(String),
    System(io::Error),
}

impl Hold {
    /// Takes the hold on the link with this number.
    pub(super) fn take(link: i32) -> Result<Self, Refusal> {
        let name = format!("bootserver-link-{link}");
        let address = SocketAddr::from_abstract_name(&name).map_err(Refusal::System)?;
        match UnixListener::bind_addr(&address) {
            Ok(name) => {
                name.set_nonblocking(true).map_err(Refusal::System)?;
                Ok(Self { name: Arc::new(name) })
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Err(refusal(&name)),
            Err(error) => Err(Refusal::System(error)),
        }
    }

    /// Lets those go who came to see whose the hold is, so that more can come.
    pub(super) fn dismiss(&self) {
        /// As many as can wait for a listener of the standard library.
        const MOST: usize = 128;
        (0..MOST).map_while(|_| self.name.accept().ok()).for_each(drop);
    }
}

/// What it means that somebody has the name.
fn refusal(name: &str) -> Refusal {
    match holder(name) {
        // Of a process in another container one hears neither its number nor what it may do.
        Ok(peer) if peer.pid() == 0 && peer.uid() == 0 => {
            Refusal::Held("a process that is not visible from here".to_owned())
        }
        Ok(peer) if may_use_links(peer.pid()) => Refusal::Held(process(peer.pid())),
        Ok(peer) => Refusal::Usurped(format!("{} of user {}", process(peer.pid()), peer.uid())),
        Err(error) => Refusal::Usurped(format!("an unknown process ({error})")),
    }
}

/// The process that listens there. The kernel knows without its help, as long as few ask.
fn holder(name: &str) -> nix::Result<UnixCredentials> {
    /// A server dismisses who came to ask several times a second.
    const ATTEMPTS: u32 = 20;
    const PAUSE: Duration = Duration::from_millis(50);
    let address = UnixAddr::new_abstract(name.as_bytes())?;
    for _ in 1..ATTEMPTS {
        match ask(&address) {
            // Too many wait to be dismissed, or it does not listen yet.
            Err(Errno::EAGAIN | Errno::ECONNREFUSED) => thread::sleep(PAUSE),
            answer => return answer,
        }
    }
    ask(&address)
}

fn ask(address: &UnixAddr) -> nix::Result<UnixCredentials> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(fd.as_raw_fd(), address)?;
    getsockopt(&fd, PeerCredentials)
}

/// Whether the process has the capability that every server needs.
fn may_use_links(process: i32) -> bool {
    /// CAP_NET_RAW of linux/capability.h.
    const NET_RAW: u64 = 1 << 13;
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & NET_RAW != 0)
}

/// A process by its number and, as far as that fits a line, its command line.
fn process(number: i32) -> String {
    const LONGEST: usize = 200;
    let line = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
    let line = String::from_utf8_lossy(&line).trim_end_matches('\0').replace('\0', " ");
    let shown: String = line.chars().take(LONGEST).collect();
    if shown.is_empty() {
        format!("process {number}")
    } else {
        format!("process {number} ({shown})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hold_ends_with_its_value_and_counts_only_for_those_who_may_use_links() {
        // No link has a number below one, and no other test this one.
        let link = -std::process::id().cast_signed();
        let me = std::process::id().cast_signed();
        let hold = Hold::take(link).unwrap();
        match Hold::take(link).unwrap_err() {
            Refusal::Held(who) => assert!(may_use_links(me) && who == process(me), "{who}"),
            Refusal::Usurped(who) => {
                assert!(!may_use_links(me) && who.starts_with(&process(me)), "{who}");
            }
            Refusal::System(error) => panic!("{error}"),
        }
        drop(hold);
        Hold::take(link).unwrap();
    }
}
