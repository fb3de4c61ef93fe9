//! The peer that packet paths are compared with: a copy and a system call for every frame.

#![expect(unsafe_code, reason = "system calls on raw memory have no safe form")]

use std::io;
use std::mem;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use boot_format::wire::ETHERTYPE;
use boot_netboot::batch::Batch;
use nix::net::if_::if_nametoindex;

/// A packet socket that sends each frame from a vector that it was copied to.
pub struct Naive {
    fd: OwnedFd,
    to: libc::sockaddr_ll,
}

impl Naive {
    /// Sends on the link `name`.
    ///
    /// # Errors
    ///
    /// If there is no such link, or for want of privilege.
    pub fn open(name: &str) -> io::Result<Self> {
        // SAFETY: no memory is involved.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor is new and exclusively ours.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: all zeros is a valid address.
        let mut to: libc::sockaddr_ll = unsafe { mem::zeroed() };
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_protocol = ETHERTYPE.to_be();
        to.sll_ifindex = if_nametoindex(name)?.cast_signed();
        to.sll_halen = 6;
        Ok(Self { fd, to })
    }

    /// Sends all frames of `batch`, one after another.
    ///
    /// # Errors
    ///
    /// What the kernel answers to the first frame that it does not take.
    pub fn send(&mut self, batch: &mut Batch) -> io::Result<()> {
        for frame in batch.iter() {
            self.send_one(frame.head, frame.payload.held().expect("it sends from memory"))?;
        }
        batch.clear();
        Ok(())
    }

    /// Sends one frame, which it copies from two parts.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn send_one(&mut self, head: &[u8], payload: &[u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(head.len() + payload.len());
        bytes.extend_from_slice(head);
        bytes.extend_from_slice(payload);
        self.to.sll_addr[..6].copy_from_slice(&bytes[..6]);
        // SAFETY: frame and address are valid for their lengths; the kernel only reads.
        let sent = unsafe {
            libc::sendto(
                self.fd.as_raw_fd(),
                bytes.as_ptr().cast(),
                bytes.len(),
                0,
                (&raw const self.to).cast(),
                size_of_val(&self.to) as libc::socklen_t,
            )
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Has the socket receive frames of the boot protocol.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn listen(&self) -> io::Result<()> {
        let to = (&raw const self.to).cast();
        // SAFETY: the address is valid for its length; the kernel only reads it.
        let bound = unsafe {
            libc::bind(self.fd.as_raw_fd(), to, size_of_val(&self.to) as libc::socklen_t)
        };
        if bound < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Receives one frame, and returns its length.
    ///
    /// # Errors
    ///
    /// What the kernel answers.
    pub fn receive(&self, frame: &mut [u8]) -> io::Result<usize> {
        nix::unistd::read(&self.fd, frame).map_err(io::Error::from)
    }
}

impl AsFd for Naive {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
