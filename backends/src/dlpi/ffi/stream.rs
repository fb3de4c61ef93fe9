//! Calls on an open handle.

use std::ffi::{CStr, c_int, c_uint, c_void};
use std::io;
use std::mem;
use std::os::fd::RawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::{
    DL_NOTE_LINK_DOWN, DL_NOTE_LINK_UP, DL_PROMISC_PHYS, DL_QOS_DONT_CARE, DLPI_EINHANDLE,
    DLPI_PHYSADDR_MAX, Failure, Handle, I_PUSH, I_STR, Info, NotifyInfo, Opaque, Priority,
    RecvInfo, SB_NO_HEADER, SB_NO_PROTO_CVT, SBIOCSCHUNK, SBIOCSFLAGS, SBIOCSTIME, SendInfo,
    StreamIoctl, dlpi_bind, dlpi_close, dlpi_enabnotify, dlpi_fd, dlpi_info, dlpi_open,
    dlpi_promiscon, dlpi_recv, dlpi_send,
};

/// A link's properties.
#[derive(Clone, Debug)]
pub(in super::super) struct LinkInfo {
    pub(in super::super) mac_type: u32,
    /// The most bytes after the Ethernet header.
    pub(in super::super) max_sdu: usize,
    /// Six bytes, if the link is an Ethernet.
    pub(in super::super) address: Vec<u8>,
}

/// A message that arrived: its bytes are in the caller's buffers.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Received {
    /// Bytes of the message in the buffer.
    pub(in super::super) length: usize,
    /// Bytes of the whole message: more, if the buffer was too short for it.
    pub(in super::super) total_length: usize,
    pub(in super::super) source_length: usize,
    pub(in super::super) destination: [u8; DLPI_PHYSADDR_MAX],
    pub(in super::super) destination_length: usize,
}

/// What the link has reported, as far as calls on its handle have seen.
#[derive(Debug, Default)]
pub(in super::super) struct Notes {
    pub(in super::super) down: AtomicBool,
    pub(in super::super) downs: AtomicU64,
}

/// An open handle. It can move between threads, but is used by one at a time: hence `&mut`.
#[derive(Debug)]
pub(in super::super) struct Stream {
    handle: NonNull<Opaque>,
    notes: Box<Notes>,
}

// SAFETY: the library keeps nothing per thread for a handle, and the notes are atomic.
unsafe impl Send for Stream {}

impl Stream {
    pub(in super::super) fn open(link: &CStr, flags: c_uint) -> Result<Self, Failure> {
        let mut handle = ptr::null_mut();
        // SAFETY: the name ends in NUL, and the handle's place is ours.
        Failure::of(unsafe { dlpi_open(link.as_ptr(), &raw mut handle, flags) })?;
        let handle = NonNull::new(handle).ok_or(Failure::Dlpi(DLPI_EINHANDLE))?;
        Ok(Self { handle, notes: Box::default() })
    }

    pub(in super::super) fn info(&mut self) -> Result<LinkInfo, Failure> {
        // SAFETY: all zeros is a valid value of these plain numbers.
        let mut info: Info = unsafe { mem::zeroed() };
        // SAFETY: the handle is open, and the library fills the whole of `info`.
        Failure::of(unsafe { dlpi_info(self.handle.as_ptr(), &raw mut info, 0) })?;
        let length = usize::from(info.address_length).min(DLPI_PHYSADDR_MAX);
        Ok(LinkInfo {
            mac_type: info.mac_type,
            max_sdu: info.max_sdu as usize,
            address: info.address[..length].to_vec(),
        })
    }

    /// From now on, frames of this ethertype arrive, and frames can be sent.
    pub(in super::super) fn bind(&mut self, sap: u16) -> Result<(), Failure> {
        // SAFETY: the handle is open; with a null `bound_sap`, getting another SAP is an error.
        Failure::of(unsafe { dlpi_bind(self.handle.as_ptr(), sap.into(), ptr::null_mut()) })
    }

    /// Receives frames for every address, including those that this host sends.
    pub(in super::super) fn receive_for_all_addresses(&mut self) -> Result<(), Failure> {
        // SAFETY: the handle is open.
        Failure::of(unsafe { dlpi_promiscon(self.handle.as_ptr(), DL_PROMISC_PHYS) })
    }

    /// Makes calls on this handle note when the link goes down or up.
    pub(in super::super) fn watch_link(&mut self) -> Result<(), Failure> {
        let notes = ptr::from_ref(&*self.notes).cast_mut().cast();
        let mut id = ptr::null_mut();
        let which = DL_NOTE_LINK_DOWN | DL_NOTE_LINK_UP;
        // SAFETY: the notes live as long as the handle, and the library reaches them only through
        // it.
        Failure::of(unsafe {
            dlpi_enabnotify(self.handle.as_ptr(), which, take_note, notes, &raw mut id)
        })
    }

    pub(in super::super) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Puts bufmod on the stream. It delivers no frames until it is set up.
    pub(in super::super) fn push_bufmod(&mut self) -> io::Result<()> {
        // SAFETY: the name of the module ends in NUL, and the kernel only reads it.
        check(unsafe { libc::ioctl(self.fd(), I_PUSH as _, c"bufmod".as_ptr()) })?;
        Ok(())
    }

    /// Makes bufmod deliver messages unchanged, one by one and at once, and lets the read queue
    /// hold about four times `chunk` bytes.
    pub(in super::super) fn deepen_queue(&mut self, chunk: u32) -> io::Result<()> {
        self.tell_module(SBIOCSFLAGS, &mut (SB_NO_HEADER | SB_NO_PROTO_CVT))?;
        self.tell_module(SBIOCSCHUNK, &mut { chunk })?;
        // Last: a timeout of zero turns off collecting; the queue keeps its depth.
        self.tell_module(SBIOCSTIME, &mut libc::timeval { tv_sec: 0, tv_usec: 0 })
    }

    fn tell_module<T>(&self, command: c_int, value: &mut T) -> io::Result<()> {
        let data = ptr::from_mut(value).cast();
        let mut request =
            StreamIoctl { command, timeout: -1, length: size_of::<T>() as c_int, data };
        // SAFETY: the request and what it points to are valid for as long as the call takes.
        check(unsafe { libc::ioctl(self.fd(), I_STR as _, &raw mut request) })?;
        Ok(())
    }

    pub(in super::super) fn set_nonblocking(&mut self) -> io::Result<()> {
        // SAFETY: no memory is involved.
        let flags = check(unsafe { libc::fcntl(self.fd(), libc::F_GETFL) })?;
        // SAFETY: no memory is involved.
        check(unsafe { libc::fcntl(self.fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) })?;
        Ok(())
    }

    fn fd(&self) -> RawFd {
        // SAFETY: the handle is open.
        unsafe { dlpi_fd(self.handle.as_ptr()) }
    }

    /// Sends a message, behind an Ethernet header made from these addresses; in raw mode, as it
    /// stands. One that is too long is lost silently.
    pub(in super::super) fn send(
        &mut self,
        to: &[u8],
        sap: u16,
        message: &[u8],
    ) -> Result<(), Failure> {
        let priority = Priority { min: DL_QOS_DONT_CARE, max: DL_QOS_DONT_CARE };
        let info = SendInfo { sap: sap.into(), priority };
        // SAFETY: the handle is open, and the library only reads, while the call lasts.
        Failure::of(unsafe {
            dlpi_send(
                self.handle.as_ptr(),
                to.as_ptr().cast(),
                to.len(),
                message.as_ptr().cast(),
                message.len(),
                &raw const info,
            )
        })
    }

    /// Takes the next message, if one is there: what follows the Ethernet header.
    pub(in super::super) fn receive(
        &mut self,
        source: &mut [u8; DLPI_PHYSADDR_MAX],
        message: &mut [u8],
    ) -> Result<Received, Failure> {
        // SAFETY: all zeros is a valid value of these plain numbers.
        let mut info: RecvInfo = unsafe { mem::zeroed() };
        let mut source_length = source.len();
        let mut length = message.len();
        clear_errno();
        // SAFETY: the handle is open, and all buffers are ours and as long as stated.
        Failure::of(unsafe {
            dlpi_recv(
                self.handle.as_ptr(),
                source.as_mut_ptr().cast(),
                &raw mut source_length,
                message.as_mut_ptr().cast(),
                &raw mut length,
                0,
                &raw mut info,
            )
        })?;
        Ok(Received {
            length: length.min(message.len()),
            total_length: info.total_length,
            source_length,
            destination: info.destination,
            destination_length: info.destination_length.into(),
        })
    }

    /// Takes notifications from the next message, and discards it.
    pub(in super::super) fn take_note(&mut self) -> Result<(), Failure> {
        clear_errno();
        // SAFETY: the handle is open; a call without buffers only takes notifications.
        Failure::of(unsafe {
            dlpi_recv(
                self.handle.as_ptr(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                ptr::null_mut(),
                0,
                ptr::null_mut(),
            )
        })
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: the handle is open, and not used again.
        unsafe { dlpi_close(self.handle.as_ptr()) };
    }
}

/// What can be done with two handles without waiting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Ready {
    /// Something has arrived on the receiving one: a message, or a hangup.
    pub(in super::super) frames: bool,
    /// Something has arrived on the sending one.
    pub(in super::super) notes: bool,
}

/// Waits until something has arrived on one of two handles, or `sending` has room if `want_room`,
/// or `timeout` has passed, or a signal came.
pub(in super::super) fn wait(
    receiving: &Stream,
    sending: &Stream,
    want_room: bool,
    timeout: Duration,
) -> io::Result<Ready> {
    // In whole milliseconds, at most an hour.
    let timeout = timeout.min(Duration::from_hours(1)).as_millis() as c_int;
    let come = libc::POLLIN | libc::POLLPRI;
    let room = if want_room { libc::POLLOUT } else { 0 };
    let mut entries = [
        libc::pollfd { fd: receiving.fd(), events: come, revents: 0 },
        libc::pollfd { fd: sending.fd(), events: come | room, revents: 0 },
    ];
    // SAFETY: there are two entries.
    match check(unsafe { libc::poll(entries.as_mut_ptr(), 2, timeout) }) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(Ready::default()),
        Err(error) => return Err(error),
    }
    let [frames, notes] = entries.map(|entry| entry.revents & !libc::POLLOUT != 0);
    Ok(Ready { frames, notes })
}

/// The library's callback for a notification.
unsafe extern "C" fn take_note(_: Handle, info: *const NotifyInfo, notes: *mut c_void) {
    // SAFETY: the library hands over the notes that `watch_link` gave it, and its own info.
    let (notes, note) = unsafe { (&*notes.cast::<Notes>(), (*info).note) };
    match note {
        DL_NOTE_LINK_DOWN => {
            let again = notes.down.swap(true, Ordering::Relaxed);
            notes.downs.fetch_add(u64::from(!again), Ordering::Relaxed);
        }
        DL_NOTE_LINK_UP => notes.down.store(false, Ordering::Relaxed),
        _ => {}
    }
}

/// A hangup leaves errno as it was.
fn clear_errno() {
    // SAFETY: errno is this thread's own, and lives as long as the thread.
    unsafe {
        #[cfg(target_os = "illumos")]
        let place = libc::___errno();
        #[cfg(not(target_os = "illumos"))]
        let place = libc::__errno_location();
        *place = 0;
    }
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}
