//! What netlink says about a link: its queueing discipline, its XDP program, and whether its driver
//! has zero-copy AF_XDP.

use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// Disciplines that only queue, such as the system's defaults: they neither shape nor sort, so
/// bypassing them loses nothing.
const PLAIN: [&str; 8] =
    ["noqueue", "noop", "mq", "pfifo_fast", "pfifo", "bfifo", "fq_codel", "fq"];

/// The name of the discipline at the root of the link with this index, if it is more than a
/// plain queue.
///
/// # Errors
///
/// If the kernel does not say.
pub(super) fn shaping(link: i32) -> io::Result<Option<String>> {
    let answer = ask(SockProtocol::NetlinkRoute, &about(link))?;
    let name = discipline(&answer).ok_or(io::ErrorKind::InvalidData)?;
    Ok((!PLAIN.contains(&name)).then(|| name.to_owned()))
}

/// Whether the link with this index has an XDP program of any kind.
///
/// # Errors
///
/// If the kernel does not say.
pub(super) fn has_xdp_program(link: i32) -> io::Result<bool> {
    Ok(program(&ask(SockProtocol::NetlinkRoute, &about(link))?)
        .ok_or(io::ErrorKind::InvalidData)?)
}

/// Whether the driver of the link with this index has AF_XDP in zero-copy mode.
///
/// # Errors
///
/// If the kernel does not say: Linux does from 6.3 on.
pub(super) fn has_zero_copy(link: i32) -> io::Result<bool> {
    // From linux/genetlink.h and linux/netdev.h.
    const CONTROL: u16 = 16;
    const GET_FAMILY: u8 = 3;
    const FAMILY_NAME: u16 = 2;
    const FAMILY_ID: u16 = 1;
    const GET_DEVICE: u8 = 1;
    const INDEX: u16 = 1;
    const XDP_FEATURES: u16 = 3;
    const ZERO_COPY: u64 = 8;
    let value = |kind, command, attribute: (u16, &[u8]), wanted| {
        let request = message(kind, &[command, 1, 0, 0], &[attribute]);
        let answer = ask(SockProtocol::NetlinkGeneric, &request)?;
        let of_kind = answer.get(4..6) == Some(&kind.to_ne_bytes()[..]);
        let attributes = answer.get(HEADER + 4..).filter(|_| of_kind);
        let value = attributes.and_then(|attributes| find(attributes, wanted)).map(Vec::from);
        value.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
    };
    let family = value(CONTROL, GET_FAMILY, (FAMILY_NAME, b"netdev\0"), FAMILY_ID)?;
    let family = family.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
    let family = u16::from_ne_bytes(family);
    let features = value(family, GET_DEVICE, (INDEX, &link.to_ne_bytes()), XDP_FEATURES)?;
    let features = features.try_into().map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(u64::from_ne_bytes(features) & ZERO_COPY != 0)
}

fn ask(whom: SockProtocol, request: &[u8]) -> io::Result<Vec<u8>> {
    let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, whom)?;
    send(fd.as_raw_fd(), request, MsgFlags::empty())?;
    let mut answer = vec![0; 64 << 10];
    // The kernel has answered before it returns from the request.
    let length = recv(fd.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT)?;
    answer.truncate(length);
    match refusal(&answer) {
        Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        None => Ok(answer),
    }
}

/// The error number in an answer, if it is an error.
fn refusal(answer: &[u8]) -> Option<i32> {
    (answer.get(4..6)? == (libc::NLMSG_ERROR as u16).to_ne_bytes()).then_some(())?;
    let errno = i32::from_ne_bytes(answer.get(HEADER..HEADER + 4)?.try_into().ok()?);
    Some(errno.wrapping_neg())
}

/// The RTM_NEWLINK of the link with this index.
///
/// # Errors
///
/// ENODEV if there is no such link.
pub(super) fn link_at(index: i32) -> io::Result<Vec<u8>> {
    ask(SockProtocol::NetlinkRoute, &about(index))
}

/// The RTM_NEWLINK of the link with this name, which may be one of its other names.
///
/// # Errors
///
/// ENODEV if there is no such link.
pub(super) fn link_named(name: &str) -> io::Result<Vec<u8>> {
    /// ALTIFNAMSIZ of linux/if.h, with the NUL at the end.
    const LONGEST: usize = 128;
    if name.is_empty() || name.len() >= LONGEST {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    // Systems before Linux 5.5 know only the first attribute; the name is looked for among all
    // names.
    let is_short = name.len() < libc::IFNAMSIZ;
    let attribute = if is_short { libc::IFLA_IFNAME } else { libc::IFLA_ALT_IFNAME };
    let name = [name.as_bytes(), &[0]].concat();
    let request = message(libc::RTM_GETLINK, &[0; INFO], &[(attribute, &name)]);
    ask(SockProtocol::NetlinkRoute, &request).map_err(|error| match error.raw_os_error() {
        Some(libc::EINVAL) if !is_short => io::Error::from_raw_os_error(libc::ENODEV),
        _ => error,
    })
}

/// Bytes of a `nlmsghdr`, and of an `ifinfomsg`.
pub(super) const HEADER: usize = 16;
pub(super) const INFO: usize = 16;

/// A request of this kind: the headers, and its attributes.
fn message(kind: u16, fixed: &[u8], attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes[4..6].copy_from_slice(&kind.to_ne_bytes());
    bytes[6..8].copy_from_slice(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
    bytes.extend(fixed);
    for &(kind, value) in attributes {
        push(&mut bytes, kind, value);
    }
    let length = bytes.len() as u32;
    bytes[..4].copy_from_slice(&length.to_ne_bytes());
    bytes
}

fn push(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
    to.extend((4 + value.len() as u16).to_ne_bytes());
    to.extend(kind.to_ne_bytes());
    to.extend(value);
    to.resize(to.len().next_multiple_of(4), 0);
}

/// RTM_GETLINK for one link.
fn about(link: i32) -> Vec<u8> {
    let mut info = [0; INFO];
    info[4..8].copy_from_slice(&link.to_ne_bytes());
    message(libc::RTM_GETLINK, &info, &[])
}

/// The attribute IFLA_QDISC of an RTM_NEWLINK.
fn discipline(answer: &[u8]) -> Option<&str> {
    std::str::from_utf8(find(of_link(answer)?, libc::IFLA_QDISC)?.strip_suffix(&[0])?).ok()
}

/// Whether the attribute IFLA_XDP of an RTM_NEWLINK names a program.
fn program(answer: &[u8]) -> Option<bool> {
    /// IFLA_XDP_ATTACHED of linux/if_link.h: 0 for none, otherwise where it runs.
    const ATTACHED: u16 = 2;
    let attached = find(find(of_link(answer)?, libc::IFLA_XDP)?, ATTACHED)?;
    Some(*attached.first()? != 0)
}

/// The attributes of an RTM_NEWLINK.
fn of_link(answer: &[u8]) -> Option<&[u8]> {
    (answer.get(4..6)? == libc::RTM_NEWLINK.to_ne_bytes()).then_some(())?;
    answer.get(HEADER + INFO..)
}

/// The value of the first attribute of this kind. The upper two bits of a kind are flags.
pub(super) fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let (length, kind) = (attributes.get(..2)?, attributes.get(2..4)?);
        let length = usize::from(u16::from_ne_bytes(length.try_into().ok()?));
        let value = attributes.get(4..length)?;
        if u16::from_ne_bytes(kind.try_into().ok()?) & 0x3fff == wanted {
            return Some(value);
        }
        attributes = attributes.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_has_a_plain_queue_no_program_and_no_zero_copy() {
        assert_eq!(shaping(1).unwrap(), None);
        assert!(!has_xdp_program(1).unwrap());
        // Before Linux 6.3 the kernel does not say.
        assert!(!has_zero_copy(1).unwrap_or(false));
    }

    #[test]
    fn an_answer_cut_anywhere_is_no_answer() {
        let mut answer = vec![0; HEADER + INFO];
        answer[4..6].copy_from_slice(&libc::RTM_NEWLINK.to_ne_bytes());
        push(&mut answer, 3, b"net0\0");
        push(&mut answer, libc::IFLA_QDISC, b"tbf\0");
        assert_eq!(discipline(&answer), Some("tbf"));
        for length in 0..answer.len() {
            assert_eq!(discipline(&answer[..length]), None);
        }
        assert_eq!(program(&answer), None);
        // An attribute shorter than its own header.
        answer[HEADER + INFO] = 3;
        assert_eq!(discipline(&answer), None);
    }

    #[test]
    fn a_program_is_seen_wherever_it_runs() {
        const NESTED: u16 = 1 << 15;
        for (attached, seen) in [(0, false), (1, true), (2, true), (3, true), (4, true)] {
            let mut answer = vec![0; HEADER + INFO];
            answer[4..6].copy_from_slice(&libc::RTM_NEWLINK.to_ne_bytes());
            push(&mut answer, libc::IFLA_QDISC, b"mq\0");
            let mut inner = Vec::new();
            push(&mut inner, 2, &[attached]);
            push(&mut answer, libc::IFLA_XDP | NESTED, &inner);
            assert_eq!(program(&answer), Some(seen));
            for length in 0..answer.len() - 3 {
                assert_eq!(program(&answer[..length]), None);
            }
        }
    }
}
