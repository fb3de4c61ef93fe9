//! The packet socket under a handle, and what Linux reports about the link.

use std::ffi::{CString, c_int};
use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

const ARPHRD_ETHER: u16 = 1;

pub(crate) struct Packet {
    fd: OwnedFd,
    index: c_int,
    name: CString,
}

pub(crate) struct Facts {
    pub(crate) is_ethernet: bool,
    pub(crate) address: [u8; 6],
    pub(crate) mtu: usize,
}

impl Packet {
    /// A socket for the link of that name, if there is one. It receives nothing yet.
    pub(crate) fn open(name: CString) -> io::Result<Option<Self>> {
        // SAFETY: the name ends in NUL.
        let index = unsafe { libc::if_nametoindex(name.as_ptr()) };
        if index == 0 {
            return Ok(None);
        }
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // SAFETY: no memory is involved.
        let fd = check(unsafe { libc::socket(libc::AF_PACKET, kind, 0) })?;
        // SAFETY: the descriptor is new and exclusively ours.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let size: c_int = 8 << 20;
        // SAFETY: the value is valid for its length. If it is refused, frames are lost sooner.
        unsafe {
            libc::setsockopt(
                fd.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUFFORCE,
                (&raw const size).cast(),
                4,
            )
        };
        Ok(Some(Self { fd, index: index.cast_signed(), name }))
    }

    /// Has frames of this ethertype arrive; with `None`, those of all ethertypes, sent ones
    /// included.
    pub(crate) fn bind(&self, ethertype: Option<u16>) -> io::Result<()> {
        // SAFETY: all zeros is a valid address.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = ethertype.unwrap_or(libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = self.index;
        let length = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the address is valid for its length.
        check(unsafe { libc::bind(self.fd.as_raw_fd(), (&raw const address).cast(), length) })?;
        Ok(())
    }

    pub(crate) fn receive_for_all_addresses(&self) -> io::Result<()> {
        // SAFETY: all zeros is a valid request.
        let mut request: libc::packet_mreq = unsafe { mem::zeroed() };
        request.mr_ifindex = self.index;
        request.mr_type = libc::PACKET_MR_PROMISC as u16;
        let length = size_of_val(&request) as libc::socklen_t;
        // SAFETY: the request is valid for its length.
        check(unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_ADD_MEMBERSHIP,
                (&raw const request).cast(),
                length,
            )
        })?;
        Ok(())
    }

    pub(crate) fn facts(&self) -> io::Result<Facts> {
        // SAFETY: all zeros is a valid request.
        let mut request: libc::ifreq = unsafe { mem::zeroed() };
        for (to, from) in request.ifr_name.iter_mut().zip(self.name.to_bytes()) {
            *to = from.cast_signed();
        }
        let mut ask = |what: libc::Ioctl| {
            // SAFETY: these requests read and write one `ifreq`.
            check(unsafe { system_ioctl(self.fd.as_raw_fd(), what, (&raw mut request).cast()) })?;
            Ok::<_, io::Error>(request.ifr_ifru)
        };
        // SAFETY: the request has filled this member.
        let hardware = unsafe { ask(libc::SIOCGIFHWADDR)?.ifru_hwaddr };
        // SAFETY: the request has filled this member.
        let mtu = unsafe { ask(libc::SIOCGIFMTU)?.ifru_mtu };
        let mut address = [0; 6];
        for (octet, byte) in address.iter_mut().zip(hardware.sa_data) {
            *octet = byte.cast_unsigned();
        }
        let is_ethernet = hardware.sa_family == ARPHRD_ETHER;
        Ok(Facts { is_ethernet, address, mtu: usize::try_from(mtu).unwrap_or(0) })
    }

    /// Sends a frame. If Linux refuses it, it is lost, as in a driver's queue.
    pub(crate) fn send(&self, frame: &[u8]) {
        // SAFETY: the frame is valid for its length.
        unsafe { libc::send(self.fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
    }

    /// Waits briefly for a frame; returns its length and its `sll_pkttype`.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> Option<(usize, u8)> {
        let fd = self.fd.as_raw_fd();
        let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: there is one entry.
        if unsafe { libc::poll(&raw mut entry, 1, 1) } <= 0 {
            return None;
        }
        // SAFETY: all zeros is a valid address.
        let mut from: libc::sockaddr_ll = unsafe { mem::zeroed() };
        let mut length = size_of_val(&from) as libc::socklen_t;
        let (to, room) = (buffer.as_mut_ptr().cast(), buffer.len());
        // SAFETY: buffer and address are valid for their lengths.
        let received =
            unsafe { libc::recvfrom(fd, to, room, 0, (&raw mut from).cast(), &raw mut length) };
        Some((usize::try_from(received).ok()?, from.sll_pkttype))
    }
}

/// The system's own ioctl, bypassing this library's.
///
/// # Safety
///
/// That of the request.
pub(crate) unsafe fn system_ioctl(
    fd: c_int,
    request: libc::Ioctl,
    argument: *mut libc::c_void,
) -> c_int {
    // SAFETY: the caller's promise.
    unsafe { libc::syscall(libc::SYS_ioctl, fd, request, argument) as c_int }
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
