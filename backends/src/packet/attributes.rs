//! What the kernel says of a link over netlink: its queueing discipline and XDP program.

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
    let answer = ask(link)?;
    let name = discipline(&answer).ok_or(io::ErrorKind::InvalidData)?;
    Ok((!PLAIN.contains(&name)).then(|| name.to_owned()))
}

/// Whether the link with this index has an XDP program, of whatever kind.
///
/// # Errors
///
/// If the kernel does not say.
pub(super) fn has_xdp_program(link: i32) -> io::Result<bool> {
    Ok(program(&ask(link)?).ok_or(io::ErrorKind::InvalidData)?)
}

fn ask(link: i32) -> io::Result<Vec<u8>> {
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
    answer.truncate(length);
    Ok(answer)
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
    std::str::from_utf8(find(of_link(answer)?, libc::IFLA_QDISC)?.strip_suffix(&[0])?).ok()
}

/// Whether the attribute IFLA_XDP of an RTM_NEWLINK tells of a program.
fn program(answer: &[u8]) -> Option<bool> {
    /// IFLA_XDP_ATTACHED of linux/if_link.h: 0 is none, and else where it runs.
    const ATTACHED: u16 = 2;
    let attached = find(find(of_link(answer)?, libc::IFLA_XDP)?, ATTACHED)?;
    Some(*attached.first()? != 0)
}

/// The attributes of an RTM_NEWLINK.
fn of_link(answer: &[u8]) -> Option<&[u8]> {
    (answer.get(4..6)? == libc::RTM_NEWLINK.to_ne_bytes()).then_some(())?;
    answer.get(HEADER + INFO..)
}

/// The value of the first attribute of this kind. The upper two bits of a kind tell of its form.
fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
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
    fn the_loopback_has_a_plain_queue_and_no_program() {
        assert_eq!(shaping(1).unwrap(), None);
        assert!(!has_xdp_program(1).unwrap());
    }

    fn push(to: &mut Vec<u8>, kind: u16, value: &[u8]) {
        to.extend((4 + value.len() as u16).to_ne_bytes());
        to.extend(kind.to_ne_bytes());
        to.extend(value);
        to.resize(to.len().next_multiple_of(4), 0);
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
