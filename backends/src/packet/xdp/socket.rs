//! The AF_XDP socket: system calls only.

use std::io;
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::umem::Umem;

/// Who copies frames from the UMEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    /// The kernel.
    Copy,
    /// No one: the card reads them there. The driver may ask to be woken.
    ZeroCopy,
}

/// A socket of the address family XDP.
pub(super) struct XdpSocket {
    fd: OwnedFd,
}

impl XdpSocket {
    /// A socket that belongs to no link yet.
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: no memory is involved.
        let fd =
            check(unsafe { libc::socket(libc::AF_XDP, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) })?;
        // SAFETY: the descriptor is new and exclusively ours.
        Ok(Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// Has the kernel pin `umem` and read frames from there.
    pub(super) fn register(&self, umem: &Umem) -> io::Result<()> {
        // SAFETY: all zeros is a valid registration, of nothing.
        let mut request: libc::xdp_umem_reg_v1 = unsafe { mem::zeroed() };
        request.addr = umem.address();
        request.len = umem.len() as u64;
        request.chunk_size = umem.chunk() as u32;
        self.set(libc::XDP_UMEM_REG, &request)
    }

    /// Sets the size of the ring that `option` names.
    pub(super) fn make_ring(&self, option: i32, entries: u32) -> io::Result<()> {
        self.set(option, &entries)
    }

    /// Where the parts of each ring lie in its mapping.
    pub(super) fn ring_offsets(&self) -> io::Result<libc::xdp_mmap_offsets> {
        let mut offsets = MaybeUninit::<libc::xdp_mmap_offsets>::zeroed();
        let mut length = size_of_val(&offsets) as libc::socklen_t;
        // SAFETY: the kernel writes at most `length` bytes to `offsets`.
        check(unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_XDP,
                libc::XDP_MMAP_OFFSETS,
                offsets.as_mut_ptr().cast(),
                &raw mut length,
            )
        })?;
        if length as usize != size_of_val(&offsets) {
            return Err(io::Error::from_raw_os_error(libc::ENOPROTOOPT));
        }
        // SAFETY: the kernel has filled all of it.
        Ok(unsafe { offsets.assume_init() })
    }

    /// Binds the socket to a queue of the link with this index.
    pub(super) fn bind(&self, link: i32, queue: u32, how: How) -> io::Result<()> {
        let flags = match how {
            How::Copy => libc::XDP_COPY,
            How::ZeroCopy => libc::XDP_ZEROCOPY | libc::XDP_USE_NEED_WAKEUP,
        };
        let address = libc::sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: flags,
            sxdp_ifindex: link.cast_unsigned(),
            sxdp_queue_id: queue,
            sxdp_shared_umem_fd: 0,
        };
        let length = size_of_val(&address) as libc::socklen_t;
        // SAFETY: the address is valid for `length` bytes, and the kernel only reads it.
        check(unsafe { libc::bind(self.fd.as_raw_fd(), (&raw const address).cast(), length) })?;
        Ok(())
    }

    /// Has the kernel take up to `frames` with each [`XdpSocket::kick`].
    pub(super) fn set_budget(&self, frames: u32) -> io::Result<()> {
        /// XDP_MAX_TX_SKB_BUDGET from linux/if_xdp.h.
        const MAX_TX_BUDGET: i32 = 9;
        self.set(MAX_TX_BUDGET, &frames)
    }

    /// Has the kernel send what is in the ring: in copy mode a limited number of frames for each
    /// call; in zero-copy mode the call only wakes the driver.
    pub(super) fn kick(&self) -> io::Result<()> {
        let fd = self.fd.as_raw_fd();
        // SAFETY: no memory is involved.
        let sent = unsafe {
            libc::sendto(fd, std::ptr::null(), 0, libc::MSG_DONTWAIT, std::ptr::null(), 0)
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    fn set<T>(&self, option: i32, value: &T) -> io::Result<()> {
        let length = size_of::<T>() as libc::socklen_t;
        let value = std::ptr::from_ref(value).cast();
        let fd = self.fd.as_raw_fd();
        // SAFETY: the value is valid for `length` bytes, and the kernel only reads it.
        check(unsafe { libc::setsockopt(fd, libc::SOL_XDP, option, value, length) })?;
        Ok(())
    }
}

impl AsFd for XdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
