//! One server on a link: a name that one process of a network namespace can have at a time.

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::Arc;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

/// The hold on a link, which goes with the last who has it, or with the process.
#[derive(Clone, Debug)]
pub(super) struct Hold {
    name: Arc<UnixListener>,
}

/// Why there is no hold to have.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Another has it: the process with this number, if it can be seen from here.
    Held(Option<i32>),
    System(io::Error),
}

impl Hold {
    /// Takes the hold on the link with this number.
    pub(super) fn take(link: i32) -> Result<Self, Refusal> {
        let address = SocketAddr::from_abstract_name(format!("bootserver-link-{link}"));
        let address = address.map_err(Refusal::System)?;
        match UnixListener::bind_addr(&address) {
            Ok(name) => {
                name.set_nonblocking(true).map_err(Refusal::System)?;
                Ok(Self { name: Arc::new(name) })
            }
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                Err(Refusal::Held(holder(&address)))
            }
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

/// The process that listens there. The kernel knows without its help.
fn holder(address: &SocketAddr) -> Option<i32> {
    let stream = UnixStream::connect_addr(address).ok()?;
    let pid = getsockopt(&stream, PeerCredentials).ok()?.pid();
    // Of a process in another container.
    (pid != 0).then_some(pid)
}
