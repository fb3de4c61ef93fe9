//! The AF_PACKET socket: the file with this backend's unsafe code.

#![expect(unsafe_code, reason = "system calls on raw memory have no safe form")]

use std::ffi::CString;
use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::time::Duration;

use boot_format::wire::{ETHERTYPE, MacAddr};
use boot_netboot::batch::FrameSlices;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::socket::sockopt::{RcvBuf, RcvBufForce, SndBuf, SndBufForce, SocketError};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, getsockopt, setsockopt, socket};

use super::watch::LinkFacts;
use crate::BATCH;

/// A packet socket that is bound to one link and to the boot protocol's ethertype.
#[derive(Debug)]
pub(super) struct Socket {
    fd: OwnedFd,
    /// The link that the socket is bound to.
    index: i32,
}

impl Socket {
    /// A socket that is not bound yet and so receives nothing.
    pub(super) fn new() -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
        Ok(Self { fd, index: 0 })
    }

    /// Binds the socket to a link: from now on it sends and receives there.
    pub(super) fn bind(&mut self, link: &LinkFacts) -> io::Result<()> {
        self.index = link.index;
        // SAFETY: all zeros is a valid address.
        let mut address: libc::sockaddr_ll = unsafe { mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = ETHERTYPE.to_be();
        address.sll_ifindex = self.index;
        let length = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the address is valid for `length` bytes, and the kernel only reads it.
        check(unsafe { libc::bind(self.fd.as_raw_fd(), (&raw const address).cast(), length) })?;
        Ok(())
    }

    /// Whether the link that the socket is bound to still exists, under any name.
    pub(super) fn link_exists(&self) -> io::Result<bool> {
        // nix 0.31's call takes a NULL for success.
        let mut name = [0; libc::IFNAMSIZ];
        // SAFETY: the kernel's names, with their NUL, fit.
        let found = unsafe { libc::if_indextoname(self.index.cast_unsigned(), name.as_mut_ptr()) };
        if !found.is_null() {
            return Ok(true);
        }
        let error = io::Error::last_os_error();
        match error.raw_os_error() {
            Some(libc::ENXIO | libc::ENODEV) => Ok(false),
            _ => Err(error),
        }
    }

    /// The size in frames of one queue's receive ring of the link `name`. `None` if the driver does
    /// not report it.
    pub(super) fn receive_ring(&self, name: &str) -> Option<usize> {
        /// ETHTOOL_GRINGPARAM, and `ethtool_ringparam`, from linux/ethtool.h.
        const GET_RINGS: u32 = 0x10;
        const RECEIVE: usize = 5;
        let mut rings = [GET_RINGS, 0, 0, 0, 0, 0, 0, 0, 0];
        let mut request = request_for(name).ok()?;
        request.ifr_ifru.ifru_data = (&raw mut rings).cast();
        // The request's address of `rings` is valid until the call returns.
        self.ioctl(libc::SIOCETHTOOL as libc::Ioctl, &mut request).ok()?;
        usize::try_from(rings[RECEIVE]).ok().filter(|&frames| frames > 0)
    }

    /// Makes the kernel drop what this program does not accept, before it costs anything.
    pub(super) fn attach_filter(&self, program: &[libc::sock_filter]) -> io::Result<()> {
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &as_program(program))
    }

    /// Keeps the frames that this host sends on the link from coming back.
    pub(super) fn ignore_outgoing(&self) -> io::Result<()> {
        self.set(libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &1_i32)
    }

    /// Makes the link deliver frames for other addresses than its own too, for as long as the
    /// socket lives.
    pub(super) fn receive_for_all_addresses(&self) -> io::Result<()> {
        // SAFETY: all zeros is a valid request.
        let mut request: libc::packet_mreq = unsafe { mem::zeroed() };
        request.mr_ifindex = self.index;
        request.mr_type = libc::PACKET_MR_PROMISC as u16;
        self.set(libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
    }

    /// Makes the link deliver frames for `address` too, or no longer, whatever its own is.
    pub(super) fn receive_for(&self, address: MacAddr, wanted: bool) -> io::Result<()> {
        // SAFETY: all zeros is a valid request.
        let mut request: libc::packet_mreq = unsafe { mem::zeroed() };
        let octets = address.octets();
        request.mr_ifindex = self.index;
        request.mr_type = libc::PACKET_MR_UNICAST as u16;
        request.mr_alen = octets.len() as u16;
        request.mr_address[..octets.len()].copy_from_slice(&octets);
        let option =
            if wanted { libc::PACKET_ADD_MEMBERSHIP } else { libc::PACKET_DROP_MEMBERSHIP };
        self.set(libc::SOL_PACKET, option, &request)
    }

    /// Joins the sockets that share the frames of a link, `group` or a new one, and returns the
    /// group. `program` picks the member that gets a frame.
    pub(super) fn share(
        &self,
        group: Option<u16>,
        program: &[libc::sock_filter],
    ) -> io::Result<u16> {
        // From linux/if_packet.h.
        const PACKET_FANOUT: i32 = 18;
        const PACKET_FANOUT_DATA: i32 = 22;
        const CBPF: u16 = 6;
        const UNIQUE_ID: u16 = 0x2000;
        const IGNORE_OUTGOING: u16 = 0x4000;
        let unique = if group.is_none() { UNIQUE_ID } else { 0 };
        let kind = u32::from(CBPF | IGNORE_OUTGOING | unique);
        let request = u32::from(group.unwrap_or(0)) | kind << 16;
        self.set(libc::SOL_PACKET, PACKET_FANOUT, &request)?;
        self.set(libc::SOL_PACKET, PACKET_FANOUT_DATA, &as_program(program))?;
        let joined: u32 = self.get(libc::SOL_PACKET, PACKET_FANOUT, 0)?;
        Ok(joined as u16)
    }

    /// How many frames have been lost to a full buffer since the last call.
    pub(super) fn take_missed(&self) -> io::Result<u64> {
        /// `tp_packets` and `tp_drops` from linux/if_packet.h.
        const PACKET_STATISTICS: i32 = 6;
        let [_, missed] = self.get(libc::SOL_PACKET, PACKET_STATISTICS, [0_u32; 2])?;
        Ok(missed.into())
    }

    /// Asks for buffers of these sizes in bytes, beyond the system's limits if permitted.
    pub(super) fn set_buffers(&self, send: usize, receive: usize) -> io::Result<()> {
        if setsockopt(&self.fd, SndBufForce, &send).is_err() {
            setsockopt(&self.fd, SndBuf, &send)?;
        }
        if setsockopt(&self.fd, RcvBufForce, &receive).is_err() {
            setsockopt(&self.fd, RcvBuf, &receive)?;
        }
        Ok(())
    }

    /// The socket's pending error, such as ENETDOWN; taking it clears it.
    pub(super) fn take_error(&self) -> io::Result<Option<io::Error>> {
        let error = getsockopt(&self.fd, SocketError)?;
        Ok((error != 0).then(|| io::Error::from_raw_os_error(error)))
    }

    /// Waits until frames can be received, or sent too if `writable`, or `timeout` has passed.
    /// A signal ends the wait. Returns whether the socket has a pending error.
    pub(super) fn wait(&self, timeout: Duration, writable: bool) -> io::Result<bool> {
        /// No longer than the system's type can hold.
        const LONGEST: Duration = Duration::from_secs(u32::MAX as u64);
        let room = if writable { PollFlags::POLLOUT } else { PollFlags::empty() };
        let mut entries = [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN | room)];
        match ppoll(&mut entries, Some(timeout.min(LONGEST).into()), None) {
            Ok(_) => {
                let found = entries[0].revents();
                Ok(found.is_some_and(|events| events.contains(PollFlags::POLLERR)))
            }
            Err(Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends frames with one call, straight from where their bytes are. Returns how many the kernel
    /// took; an error concerns the first.
    pub(super) fn send<'a>(
        &self,
        scratch: &mut SendScratch,
        frames: impl Iterator<Item = FrameSlices<'a>>,
    ) -> io::Result<usize> {
        scratch.vectors.clear();
        for frame in frames.take(SendScratch::MOST) {
            scratch.vectors.extend([frame.head, frame.payload.as_raw()].map(vector_of));
        }
        let count = scratch.vectors.len() / 2;
        for (index, message) in scratch.messages[..count].iter_mut().enumerate() {
            message.msg_hdr.msg_iov = &raw mut scratch.vectors[2 * index];
            message.msg_hdr.msg_iovlen = 2;
        }
        let messages = scratch.messages.as_mut_ptr();
        // Not through the C library: musl sends the messages one by one, to clear the padding of
        // its structures. Here the padding is zero. SAFETY: the first `count` messages have two
        // vectors each, which point to slices that `frames` borrows until this function returns;
        // the kernel reads them and is done.
        counted(unsafe {
            let descriptor = self.fd.as_raw_fd();
            libc::syscall(libc::SYS_sendmmsg, descriptor, messages, count, libc::MSG_DONTWAIT)
        })
    }

    /// Receives the frames that have arrived, as many as fit the scratch.
    pub(super) fn receive(
        &self,
        scratch: &mut ReceiveScratch,
        sink: &mut dyn FnMut(&[u8]),
    ) -> io::Result<usize> {
        for (index, message) in scratch.messages.iter_mut().enumerate() {
            scratch.vectors[index] = libc::iovec {
                iov_base: scratch.bytes[index * ReceiveScratch::FRAME..].as_mut_ptr().cast(),
                iov_len: ReceiveScratch::FRAME,
            };
            message.msg_hdr.msg_iov = &raw mut scratch.vectors[index];
            message.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: each message has one vector, for a part of `bytes` that no other has.
        let received = counted(unsafe {
            libc::syscall(
                libc::SYS_recvmmsg,
                self.fd.as_raw_fd(),
                scratch.messages.as_mut_ptr(),
                ReceiveScratch::MOST,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut::<libc::timespec>(),
            )
        })?;
        for (index, message) in scratch.messages[..received].iter().enumerate() {
            let length = (message.msg_len as usize).min(ReceiveScratch::FRAME);
            sink(&scratch.bytes[index * ReceiveScratch::FRAME..][..length]);
        }
        Ok(received)
    }

    fn ioctl(&self, number: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
        // SAFETY: the number used here, SIOCETHTOOL, reads and writes one `ifreq` and what it
        // points to, which the caller guarantees.
        check(unsafe { libc::ioctl(self.fd.as_raw_fd(), number, std::ptr::from_mut(request)) })?;
        Ok(())
    }

    /// Reads an option whose value is plain numbers, as `value` is.
    fn get<T: Copy>(&self, level: i32, option: i32, mut value: T) -> io::Result<T> {
        let mut length = size_of::<T>() as libc::socklen_t;
        let to = (&raw mut value).cast();
        // SAFETY: `value` is valid for `length` bytes, and any bytes are valid numbers.
        check(unsafe {
            libc::getsockopt(self.fd.as_raw_fd(), level, option, to, &raw mut length)
        })?;
        Ok(value)
    }

    fn set<T>(&self, level: i32, option: i32, value: &T) -> io::Result<()> {
        let length = size_of::<T>() as libc::socklen_t;
        let value = std::ptr::from_ref(value).cast();
        // SAFETY: the value is valid for `length` bytes, and the kernel only reads it.
        check(unsafe { libc::setsockopt(self.fd.as_raw_fd(), level, option, value, length) })?;
        Ok(())
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.fd.as_raw_fd()
    }
}

/// The program in the kernel's form; the kernel only reads it.
fn as_program(program: &[libc::sock_filter]) -> libc::sock_fprog {
    libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() }
}

/// What a send call needs, kept from call to call.
pub(super) struct SendScratch {
    messages: Box<[libc::mmsghdr]>,
    vectors: Vec<libc::iovec>,
}

// SAFETY: every call sets the pointers inside before the kernel reads them.
unsafe impl Send for SendScratch {}

impl SendScratch {
    /// The most frames in a call.
    pub(super) const MOST: usize = BATCH;

    pub(super) fn new() -> Self {
        Self { messages: messages(Self::MOST), vectors: Vec::with_capacity(2 * Self::MOST) }
    }
}

/// What a receive call needs, kept from call to call.
pub(super) struct ReceiveScratch {
    messages: Box<[libc::mmsghdr]>,
    vectors: Box<[libc::iovec]>,
    bytes: Box<[u8]>,
}

// SAFETY: every call sets the pointers inside before the kernel reads them.
unsafe impl Send for ReceiveScratch {}

impl ReceiveScratch {
    /// The most frames in a call.
    pub(super) const MOST: usize = 64;
    /// Bytes kept of a frame; no frame of the protocol is longer, and longer ones are cut.
    const FRAME: usize = 2048;

    pub(super) fn new() -> Self {
        let vector = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self {
            messages: messages(Self::MOST),
            vectors: vec![vector; Self::MOST].into(),
            bytes: vec![0; Self::MOST * Self::FRAME].into(),
        }
    }
}

/// What the kernel gathers from: a head, or a payload that this process may not be able to read.
pub(super) fn vector_of(bytes: *const [u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.cast_mut().cast(), iov_len: bytes.len() }
}

fn messages(count: usize) -> Box<[libc::mmsghdr]> {
    // SAFETY: all zeros is a valid message without an address, vectors or control data.
    let empty = || unsafe { MaybeUninit::<libc::mmsghdr>::zeroed().assume_init() };
    std::iter::repeat_with(empty).take(count).collect()
}

fn request_for(name: &str) -> io::Result<libc::ifreq> {
    let name = CString::new(name).map_err(|_| io::ErrorKind::InvalidInput)?;
    let name = name.as_bytes_with_nul();
    if name.len() > libc::IFNAMSIZ {
        return Err(io::Error::from_raw_os_error(libc::ENODEV));
    }
    // SAFETY: all zeros is a valid request.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (to, &from) in request.ifr_name.iter_mut().zip(name) {
        *to = from.cast_signed();
    }
    Ok(request)
}

/// The count that a system call returned.
fn counted(result: libc::c_long) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
