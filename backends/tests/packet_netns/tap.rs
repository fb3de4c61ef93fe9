//! A link whose far end is this process: a driver with a short queue that we empty at will.

#![expect(unsafe_code, reason = "system calls on raw memory have no safe form")]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;

/// The far end of a tap link.
pub(crate) struct Tap {
    file: File,
}

impl Tap {
    /// Makes the link `name` in the caller's namespace; it is still down.
    pub(crate) fn new(name: &str) -> Self {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/net/tun")
            .expect("making a tap link takes root");
        // SAFETY: all zeros is a valid request.
        let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
        for (to, &from) in request.ifr_name.iter_mut().zip(name.as_bytes()) {
            *to = from.cast_signed();
        }
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as i16;
        // SAFETY: TUNSETIFF reads and writes one `ifreq`.
        let made = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        assert_eq!(made, 0, "{}", io::Error::last_os_error());
        Self { file }
    }

    /// Has a frame arrive at the link.
    pub(crate) fn put(&mut self, frame: &[u8]) {
        self.file.write_all(frame).expect("the link is up");
    }

    /// Takes the frames that wait, at most `most`, and returns how many there were.
    pub(crate) fn take(&mut self, most: usize) -> usize {
        let mut frame = [0; 2048];
        (0..most).take_while(|_| self.file.read(&mut frame).is_ok()).count()
    }
}
