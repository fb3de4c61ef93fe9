//! Linux AF_PACKET: raw frames on an Ethernet link, with CAP_NET_RAW; and AF_XDP, for
//! sending past it.

mod attributes;
mod backoff;
mod filter;
mod hold;
mod link;
mod mmsg;
mod outage;
mod socket;
mod until;
mod uring;
mod watch;
mod xdp;

use std::env;
use std::io;

use nix::net::if_::if_nameindex;

use self::hold::{Hold, Holding, Refusal};
use self::link::{PacketLink, Transmit};
use self::mmsg::Mmsg;
use self::socket::Socket;
use self::uring::Uring;
use self::watch::{LinkFacts, Watch};
use self::xdp::Opener;
use crate::{Datalink, LEAST_MTU, LinkError, OpenOptions, Sharing, TxPath};

/// Bytes of the socket's buffers, which the kernel doubles (socket(7)). It charges 2,304 bytes for
/// the protocol's longest frame (a buffer of 2,048 and its `sk_buff`), so 28 batches can wait to be
/// sent, and 7,000 READs to be read: more than a rack sends while a worker is held up for 0.1 s.
const SEND_BUFFER: usize = 4 << 20;
const RECEIVE_BUFFER: usize = 8 << 20;
/// ARPHRD_ETHER of linux/if_arp.h.
const ETHERNET: u16 = 1;

/// Makes the calling thread's timers end on time. By default the kernel lets them be 50 us late
/// (timer_slack in prctl(2)), which is longer than most waits on a fast link.
pub(crate) fn wake_on_time() {
    const SLACK_NS: u64 = 1;
    // If the kernel refuses, waits only end later.
    let _ = nix::sys::prctl::set_timerslack(SLACK_NS);
}

/// Opens the link `name` once for each worker.
///
/// # Errors
///
/// If there is no such link, it is not Ethernet, it can't carry the protocol's frames, or the
/// process lacks the privilege.
pub(crate) fn open(
    name: &str,
    options: OpenOptions,
    workers: usize,
) -> Result<Vec<Box<dyn Datalink + Send>>, LinkError> {
    let fail =
        |what| move |source| LinkError::System { link: name.to_owned(), what, cause: source };
    let facts = look(name)?;
    let (mut holding, unheld) = hold(name, facts.index, options.sharing)?;
    let mut sockets = Vec::new();
    let mut group = None;
    for _ in 0..workers {
        let mut socket = new_socket(name)?;
        let watch = Watch::new(facts.clone()).map_err(fail("watch the link"))?;
        // No frame may wait in a socket before all workers are there: which one gets a frame
        // depends on their number.
        socket.attach_filter(&filter::nothing()).map_err(fail("attach a filter"))?;
        socket.ignore_outgoing().map_err(fail("ignore own frames"))?;
        socket.set_buffers(SEND_BUFFER, RECEIVE_BUFFER).map_err(fail("set buffer sizes"))?;
        socket.bind(&facts).map_err(fail("bind to the link"))?;
        if options.all_addresses {
            socket.receive_for_all_addresses().map_err(fail("receive for all addresses"))?;
        }
        if workers > 1 {
            let joined = socket.share(group, &filter::worker_of_source());
            group = Some(joined.map_err(fail("spread frames over workers"))?);
        }
        sockets.push((socket, watch));
    }
    for (socket, watch) in &sockets {
        let filter = if options.all_addresses {
            filter::frames_for_all()
        } else {
            filter::frames_for(watch.facts().address, &[])
        };
        socket.attach_filter(&filter).map_err(fail("attach a filter"))?;
    }
    let mut links: Vec<Box<dyn Datalink + Send>> = Vec::new();
    let mut queues = Opener::new(options.tx == TxPath::Xdp);
    for (queue, (socket, watch)) in (0..).zip(sockets) {
        let (path, mut described) = choose(options, &mut queues, (&socket, watch.facts()), queue);
        described.push_str(&unheld);
        let path = (path, described);
        let others = holding.of_another();
        let mine = std::mem::replace(&mut holding, others);
        links.push(Box::new(PacketLink::new(name, (watch, mine), socket, path, options)));
    }
    Ok(links)
}

/// The first name of the link `name`.
///
/// # Errors
///
/// If there is no such link.
pub(crate) fn system_name(name: &str) -> Result<String, LinkError> {
    find(name).map(|facts| facts.name)
}

/// The first worker's part in the hold on a link, unless another server has it; and if there is
/// none, why.
fn hold(name: &str, index: i32, sharing: Sharing) -> Result<(Holding, String), LinkError> {
    let patience = match sharing {
        Sharing::Open => return Ok((Holding::Nothing, String::new())),
        Sharing::Shared => {
            let mut holding = Holding::Wants(index);
            holding.look();
            return Ok((holding, String::new()));
        }
        Sharing::Sole { patience } => patience,
    };
    let link = name.to_owned();
    match Hold::take(index, patience) {
        Ok(hold) => Ok((Holding::Has(hold), String::new())),
        Err(Refusal::Held(holder)) => Err(LinkError::Held { link, holder }),
        Err(Refusal::Usurped(by)) => {
            let unheld = format!(
                "; {by} has the name by which servers detect each other, but serves nothing: \
                 a second server would not be refused"
            );
            Ok((Holding::Nothing, unheld))
        }
        Err(Refusal::System(cause)) => {
            Err(LinkError::System { link, what: "take the hold on it", cause })
        }
    }
}

/// A packet socket for the link `name`, not bound yet.
fn new_socket(name: &str) -> Result<Socket, LinkError> {
    let link = name.to_owned();
    Socket::new().map_err(|source| match source.kind() {
        io::ErrorKind::PermissionDenied => {
            let program = env::current_exe()
                .map_or_else(|_| "PROGRAM".to_owned(), |path| path.display().to_string());
            let remedy =
                format!("run as root, or grant the capability: setcap cap_net_raw+ep {program}");
            LinkError::NotPermitted { link: link.clone(), remedy }
        }
        _ => LinkError::System { link: link.clone(), what: "open a packet socket", cause: source },
    })
}

fn find(name: &str) -> Result<LinkFacts, LinkError> {
    let link = name.to_owned();
    LinkFacts::of(name).map_err(|cause| match cause.raw_os_error() {
        Some(libc::ENODEV) => LinkError::NoSuchLink { link, known: known_links() },
        _ => LinkError::System { link, what: "look for the link", cause },
    })
}

/// The facts of the link if it is fit for use.
fn look(name: &str) -> Result<LinkFacts, LinkError> {
    let link = name.to_owned();
    let facts = find(name)?;
    if facts.hardware != ETHERNET {
        let found = format!("hardware type {}, Ethernet is 1", facts.hardware);
        return Err(LinkError::NotEthernet { link, found });
    }
    if facts.mtu < LEAST_MTU {
        return Err(LinkError::MtuTooSmall { link, found: facts.mtu, wanted: LEAST_MTU });
    }
    Ok(facts)
}

/// The path by which frames leave, and its description. If the one that was asked for does not
/// work here, the next cheapest: AF_XDP, then sendmmsg, which io_uring has not been seen to beat.
fn choose(
    options: OpenOptions,
    queues: &mut Opener,
    (socket, facts): (&Socket, &LinkFacts),
    queue: u32,
) -> (Box<dyn Transmit>, String) {
    let refused = match options.tx {
        TxPath::Mmsg => String::new(),
        TxPath::Uring => match Uring::open() {
            Ok(uring) => {
                let described = format!("AF_PACKET with io_uring, {}", uring.flavour());
                return (Box::new(uring), described);
            }
            Err(error) => format!(" (io_uring: {})", why(&error)),
        },
        // A shaper is there for a reason. If the kernel does not say, there usually is none.
        TxPath::Auto if let Ok(Some(shaper)) = attributes::shaping(facts.index) => {
            format!(" (not AF_XDP: it would bypass the link's queueing discipline, {shaper})")
        }
        TxPath::Auto | TxPath::Xdp => match queues.open(socket, facts, queue) {
            Ok(xdp) => {
                let why = if options.tx == TxPath::Auto { ", the cheapest path here" } else { "" };
                let described = xdp.describe(queue, why);
                return (Box::new(xdp), described);
            }
            Err(error) => format!(" (AF_XDP, queue {queue}: {})", why(&error)),
        },
    };
    (Box::new(Mmsg::new()), format!("AF_PACKET with sendmmsg{refused}"))
}

/// Why the kernel refuses one of the faster paths.
fn why(error: &io::Error) -> String {
    let meaning = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => "not permitted here",
        Some(libc::ENOSYS | libc::EAFNOSUPPORT) => "not in this kernel",
        Some(libc::EINVAL) => "not in this kernel, or not on this link",
        Some(libc::ENOPROTOOPT | libc::EOPNOTSUPP) => "not supported here",
        Some(libc::EBUSY) => "another program has it",
        Some(libc::ENOBUFS | libc::ENOMEM) => "not enough lockable memory, see ulimit -l",
        _ => "not available",
    };
    format!("{meaning}: {error}")
}

/// The names of all links, for the error about an unknown one.
fn known_links() -> String {
    let Ok(links) = if_nameindex() else { return "none".to_owned() };
    let mut names: Vec<_> =
        links.iter().map(|link| link.name().to_string_lossy().into_owned()).collect();
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
