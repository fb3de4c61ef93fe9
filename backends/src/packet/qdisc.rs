//! Which queueing discipline stands before a link, asked of the kernel over netlink.

use std::io;
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

/// Disciplines that only queue, such as the system's defaults: nobody asked for them to shape or
/// to sort, so nothing is lost by going past them.
const PLAIN: [&str; 8] =
    ["noqueue", "noop", "mq", "pfifo_fast", "pfifo", "bfifo", "fq_codel", "fq"];

/// The name of the discipline at the root of the link with this index, if it is more than a
/// plain queue.
///
/// # Errors
///
/// If the kernel does not say.
pub(super) fn shaping(link: i32) -> io::Result<Option<String>> {
    let fd = socket(
        AddressFamily::Netlink,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC,
        SockProtocol::NetlinkRoute,
    )?;
    send(fd.as_raw_fd(), &request(link), MsgFlags::empty())?;
    let mut answer = vec![0; 64 << 10];
    // The kernel has answered before it returns from the request.
    let length = recv(fd.as_raw_fd(), &mut answer, MsgFlags::MSG_DONTWAIT)?;
    let name = discipline(&answer[..length]).ok_or(io::ErrorKind::InvalidData)?;
    Ok((!PLAIN.contains(&name)).then(|| name.to_owned()))
}

/// Bytes of a `nlmsghdr`, and of an `ifinfomsg`.
const HEADER: usize = 16;
const INFO: usize = 16;

/// RTM_GETLINK for one link.
fn request(link: i32) -> [u8; HEADER + INFO] {
    let mut bytes = [0; HEADER + INFO];
    bytes[..4].copy_from_slice(&((HEADER + INFO) as u32).to_ne_bytes());
    bytes[4..6].copy_from_slice(&libc::RTM_GETLINK.to_ne_bytes());
    bytes[6..8].copy_from_slice(&(libc::NLM_F_REQUEST as u16).to_ne_bytes());
    bytes[HEADER + 4..HEADER + 8].copy_from_slice(&link.to_ne_bytes());
    bytes
}

/// The attribute IFLA_QDISC of an RTM_NEWLINK.
fn discipline(answer: &[u8]) -> Option<&str> {
    let kind = answer.get(4..6)?;
    if kind != libc::RTM_NEWLINK.to_ne_bytes() {
        return None;
    }
    let mut rest = answer.get(HEADER + INFO..)?;
    loop {
        let (length, kind) = (rest.get(..2)?, rest.get(2..4)?);
        let length = usize::from(u16::from_ne_bytes(length.try_into().ok()?));
        let value = rest.get(4..length)?;
        if kind == libc::IFLA_QDISC.to_ne_bytes() {
            return std::str::from_utf8(value.strip_suffix(&[0])?).ok();
        }
        rest = rest.get(length.next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loopback_has_a_plain_queue() {
        assert_eq!(shaping(1).unwrap(), None);
    }

    #[test]
    fn an_answer_cut_anywhere_is_no_answer() {
        let mut answer = vec![0; HEADER + INFO];
        answer[4..6].copy_from_slice(&libc::RTM_NEWLINK.to_ne_bytes());
        for (kind, value) in [(3_u16, &b"net0\0"[..]), (libc::IFLA_QDISC, b"tbf\0")] {
            answer.extend((4 + value.len() as u16).to_ne_bytes());
            answer.extend(kind.to_ne_bytes());
            answer.extend(value);
            answer.resize(answer.len().next_multiple_of(4), 0);
        }
        assert_eq!(discipline(&answer), Some("tbf"));
        for length in 0..answer.len() {
            assert_eq!(discipline(&answer[..length]), None);
        }
        // An attribute shorter than its own header.
        answer[HEADER + INFO] = 3;
        assert_eq!(discipline(&answer), None);
    }
}
