//! One server per link: an abstract socket name, which one process of a network namespace can have
//! at a time.
//!
//! Any user can take such a name. So it counts only if its holder has the capability for raw
//! frames, as every server has at its start, or if its user has opened a packet socket on that
//! link, as a server has that gave up its privileges since.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use boot_format::wire::ETHERTYPE;
use nix::errno::Errno;
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, UnixAddr, UnixCredentials, connect, getsockopt, socket,
};

/// The hold on a link, which is released with its last clone, or with the process.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    name: Arc<UnixListener>,
}

/// Why the hold cannot be taken.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Another process has it: which one.
    Held(String),
    /// A process that serves nothing has taken the name: which one.
    Usurped(String),
    System(io::Error),
}

impl Hold {
    /// Between two tries to take the hold: a twentieth of a second is not noticed when a server is
    /// restarted, and costs nothing.
    const PAUSE: Duration = Duration::from_millis(50);
    /// A server empties its backlog several times a second. If asking fails for this long, it stays
    /// unknown which process has the name.
    const UNCLEAR: Duration = Duration::from_secs(1);

    /// Takes the hold on the link with this number as soon as its holder releases it, waiting for
    /// `patience` at most.
    pub(super) fn take(link: i32, patience: Duration) -> Result<Self, Refusal> {
        // Counted in pauses: no backend reads a clock, and a try takes almost no time.
        let mut waited = Duration::ZERO;
        loop {
            if let Some(hold) = Self::try_take(link).map_err(Refusal::System)? {
                return Ok(hold);
            }
            let (refusal, patience) = match ask(&name_of(link)) {
                // Its backlog is full, or it does not listen yet, or no longer.
                Err(error @ (Errno::EAGAIN | Errno::ECONNREFUSED)) => {
                    (unclear(error), Self::UNCLEAR)
                }
                Err(error) => (unclear(error), Duration::ZERO),
                Ok(peer) => match judge(peer, link) {
                    held @ Refusal::Held(_) => (held, patience),
                    refusal => (refusal, Duration::ZERO),
                },
            };
            if waited >= patience {
                return Err(refusal);
            }
            thread::sleep(Self::PAUSE);
            waited += Self::PAUSE;
        }
    }

    /// Takes the hold on the link with this number if no process has it.
    fn try_take(link: i32) -> io::Result<Option<Self>> {
        let name = match UnixListener::bind_addr(&SocketAddr::from_abstract_name(name_of(link))?) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => return Ok(None),
            bound => bound?,
        };
        name.set_nonblocking(true)?;
        Ok(Some(Self { name: Arc::new(name) }))
    }

    /// Closes the connections of processes that asked who has the hold, so that others can ask.
    fn dismiss(&self) {
        /// The backlog of a listener of the standard library.
        const MOST: usize = 128;
        (0..MOST).map_while(|_| self.name.accept().ok()).for_each(drop);
    }
}

/// A worker's part in the hold on its link.
#[derive(Clone, Debug)]
pub(super) enum Holding {
    Nothing,
    Has(Hold),
    /// It takes the hold on the link with this number as soon as it can.
    Wants(i32),
}

impl Holding {
    /// To be called several times a second: empties the backlog, or tries to take the hold.
    pub(super) fn look(&mut self) {
        match self {
            Self::Nothing => {}
            Self::Has(hold) => hold.dismiss(),
            Self::Wants(link) => {
                if let Ok(Some(hold)) = Hold::try_take(*link) {
                    *self = Self::Has(hold);
                }
            }
        }
    }

    /// What another worker of the link has.
    pub(super) fn of_another(&self) -> Self {
        match self {
            Self::Has(hold) => Self::Has(hold.clone()),
            Self::Nothing | Self::Wants(_) => Self::Nothing,
        }
    }
}

fn name_of(link: i32) -> String {
    format!("bootserver-link-{link}")
}

/// What it means that `peer` has the name for the link with this number.
fn judge(peer: UnixCredentials, link: i32) -> Refusal {
    // The kernel reveals neither the number nor the privileges of a process in another container.
    if peer.pid() == 0 && peer.uid() == 0 {
        Refusal::Held("a process that is not visible from here".to_owned())
    } else if may_use_links(peer.pid()) || serves(peer.uid(), link) {
        // Checked in this order: a server opens its sockets before it gives up the capability.
        Refusal::Held(process(peer.pid()))
    } else {
        Refusal::Usurped(format!("{} of user {}", process(peer.pid()), peer.uid()))
    }
}

fn unclear(error: Errno) -> Refusal {
    Refusal::Usurped(format!("an unknown process ({error})"))
}

/// Which process has the name: the kernel answers without the owner's help, unless the backlog is
/// full.
fn ask(name: &str) -> nix::Result<UnixCredentials> {
    let address = UnixAddr::new_abstract(name.as_bytes())?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let fd: OwnedFd = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(fd.as_raw_fd(), &address)?;
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

/// Whether a user has opened a packet socket for boot frames on the link with this number, which
/// takes the capability. Both the name's user and the socket's are the one that the server started
/// as, even if it has changed users since.
fn serves(user: u32, link: i32) -> bool {
    let table = fs::read_to_string("/proc/thread-self/net/packet").unwrap_or_default();
    table.lines().skip(1).any(|socket| is_on(socket, user, link))
}

/// Whether a line of /proc/net/packet describes such a socket: address, references, type, protocol,
/// link, whether it runs, memory, user and inode.
fn is_on(socket: &str, user: u32, link: i32) -> bool {
    let columns: Vec<_> = socket.split_whitespace().collect();
    let [_, _, _, protocol, index, _, _, owner, _] = columns[..] else { return false };
    u16::from_str_radix(protocol, 16) == Ok(ETHERTYPE)
        && index.parse() == Ok(link)
        && owner.parse() == Ok(user)
}

/// A process by its number and as much of its command line as fits.
fn process(number: i32) -> String {
    /// Two rows of a terminal of 100 columns: enough to tell two servers apart.
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

    /// No link has a number below one, and no two tests the same.
    fn no_link(test: i32) -> i32 {
        -2 * std::process::id().cast_signed() - test
    }

    #[test]
    fn a_hold_ends_with_its_value_and_counts_only_for_those_who_may_use_links() {
        let link = no_link(0);
        let me = std::process::id().cast_signed();
        let hold = Hold::take(link, Duration::ZERO).unwrap();
        match Hold::take(link, Duration::ZERO).unwrap_err() {
            Refusal::Held(who) => assert!(may_use_links(me) && who == process(me), "{who}"),
            Refusal::Usurped(who) => {
                assert!(!may_use_links(me) && who.starts_with(&process(me)), "{who}");
            }
            Refusal::System(error) => panic!("{error}"),
        }
        drop(hold);
        Hold::take(link, Duration::ZERO).unwrap();
    }

    #[test]
    fn a_packet_socket_counts_with_its_protocol_its_link_and_its_user() {
        let line = "ffff8880055d3000 3      3    1de0   7     1 0      1001   4223";
        assert!(is_on(line, 1001, 7));
        assert!(!is_on(line, 0, 7) && !is_on(line, 1001, 8));
        assert!(!is_on(&line.replace("1de0", "0003"), 1001, 7));
        assert!(!is_on("", 0, 0) && !serves(0, no_link(2)));
    }

    #[test]
    fn who_shares_a_link_takes_the_hold_when_it_is_let_go() {
        let link = no_link(1);
        let hold = Hold::take(link, Duration::ZERO).unwrap();
        let mut holding = Holding::Wants(link);
        holding.look();
        assert!(matches!(holding, Holding::Wants(_)));
        drop(hold);
        holding.look();
        assert!(matches!(holding, Holding::Has(_)));
        assert!(Hold::try_take(link).unwrap().is_none());
    }
}
