//! The library's public functions that carry frames.

use std::ffi::{c_int, c_uchar, c_uint, c_void};
use std::io;
use std::ptr;
use std::time::{Duration, Instant};

use crate::abi::{
    ADDRESS, DL_BADADDR, DL_SYSERR, DlpiNotifyInfo, DlpiRecvInfo, DlpiSendInfo, EBADMSG, EINHANDLE,
    EINVAL, ETHERNET, ETIMEDOUT, PHYSADDR_MAX, QOS_DONT_CARE, SUCCESS, failed_with, system_error,
};
use crate::handle::{Handle, Inner, Watcher};
use crate::knobs::{Count, Fault};
use crate::queue::Message;

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_send(
    handle: *mut Handle,
    destination: *const c_void,
    destination_length: usize,
    message: *const c_void,
    length: usize,
    info: *const DlpiSendInfo,
) -> c_int {
    let work = |inner: &mut Inner| {
        if inner.link.strikes(Fault::InterruptSend) {
            return failed_with(libc::EINTR);
        }
        if inner.link.strikes(Fault::NoMemory) {
            return failed_with(libc::ENOSR);
        }
        if inner.link.strikes(Fault::FullSend) {
            inner.queue.fill_write_queue();
        }
        if inner.queue.is_full() {
            if is_nonblocking(inner.queue.fd()) {
                return failed_with(libc::EAGAIN);
            }
            // Should it fail, the frame goes out early.
            let _ = wait_for(inner.queue.fd(), libc::POLLOUT, -1);
        }
        let limit = inner.packet.facts().map_or(0, |facts| facts.mtu) + ETHERNET;
        // SAFETY: the message is the caller's, and as long as stated.
        let message = unsafe { std::slice::from_raw_parts(message.cast::<u8>(), length) };
        if inner.is_raw() {
            inner.transmit(message, limit);
            return SUCCESS;
        }
        if destination.is_null() || destination_length > PHYSADDR_MAX {
            return EINVAL;
        }
        // SAFETY: the info is the caller's, or null.
        let sap = match unsafe { info.as_ref() } {
            Some(info) => {
                for priority in [info.dsi_prio_min, info.dsi_prio_max] {
                    assert!((0..=100).contains(&priority) || priority == QOS_DONT_CARE);
                }
                u16::try_from(info.dsi_sap).expect("an ethertype")
            }
            None => inner.sap.unwrap_or(0),
        };
        let Ok(facts) = inner.packet.facts() else { return SUCCESS };
        // SAFETY: the address is the caller's, and as long as stated.
        let to =
            unsafe { std::slice::from_raw_parts(destination.cast::<u8>(), destination_length) };
        let frame = [to, &facts.address, &sap.to_be_bytes(), message].concat();
        inner.transmit(&frame, limit);
        SUCCESS
    };
    // SAFETY: the handle is open, or null.
    unsafe { Handle::with(handle, work) }.unwrap_or(EINHANDLE)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_recv(
    handle: *mut Handle,
    source: *mut c_void,
    source_length: *mut usize,
    message: *mut c_void,
    length: *mut usize,
    milliseconds: c_int,
    info: *mut DlpiRecvInfo,
) -> c_int {
    let work = |inner: &mut Inner| {
        if message.is_null() != length.is_null() {
            return EINVAL;
        }
        if inner.link.strikes(Fault::InterruptReceive) {
            return failed_with(libc::EINTR);
        }
        if inner.link.strikes(Fault::EmptyReceive) {
            return failed_with(libc::EAGAIN);
        }
        let until = u64::try_from(milliseconds)
            .ok()
            .map(|milliseconds| Instant::now() + Duration::from_millis(milliseconds));
        let mut left = milliseconds;
        loop {
            match wait_for(inner.queue.fd(), libc::POLLIN | libc::POLLPRI, left) {
                Ok(0) => return ETIMEDOUT,
                // errno is not set.
                Ok(events) if events & libc::POLLHUP != 0 => return DL_SYSERR,
                Ok(_) => {}
                Err(error) => return system_error(&error),
            }
            match inner.queue.take() {
                None => return failed_with(libc::EAGAIN),
                Some(Message::Note(note)) => tell(handle, &inner.watchers, note),
                Some(Message::Frame { bytes }) if !inner.is_raw() || !message.is_null() => {
                    inner.link.count(Count::Received, 1);
                    // SAFETY: all places are the caller's, or null.
                    return unsafe {
                        deliver(inner, &bytes, (source, source_length), (message, length), info)
                    };
                }
                Some(Message::Stray | Message::Frame { .. }) => {}
            }
            // Something other than a frame has used up the time, even a timeout of zero.
            if let Some(until) = until {
                let rest = until.saturating_duration_since(Instant::now());
                left = rest.as_millis() as c_int;
                if left == 0 {
                    return ETIMEDOUT;
                }
            }
        }
    };
    // SAFETY: the handle is open, or null.
    unsafe { Handle::with(handle, work) }.unwrap_or(EINHANDLE)
}

/// Hands over a frame, which is consumed whatever the result.
///
/// # Safety
///
/// Every pointer must be null, or lead to as much space as stated.
unsafe fn deliver(
    inner: &Inner,
    frame: &[u8],
    (source, source_length): (*mut c_void, *mut usize),
    (message, length): (*mut c_void, *mut usize),
    info: *mut DlpiRecvInfo,
) -> c_int {
    let Some((header, body)) = frame.split_at_checked(ETHERNET) else { return ETIMEDOUT };
    let body = if inner.is_raw() { frame } else { body };
    if !message.is_null() {
        // SAFETY: the caller's promise.
        unsafe {
            *length = (*length).min(body.len());
            ptr::copy_nonoverlapping(body.as_ptr(), message.cast(), *length);
        }
    }
    // SAFETY: the caller's promise.
    let info = unsafe { info.as_mut() };
    if inner.is_raw() {
        if let Some(info) = info {
            info.dri_totmsglen = body.len();
        }
        return SUCCESS;
    }
    for (fault, result) in [(Fault::BadMessage, EBADMSG), (Fault::BadAddress, DL_BADADDR)] {
        if inner.link.strikes(fault) {
            return result;
        }
    }
    let kept = if inner.link.strikes(Fault::ShortAddress) { ADDRESS / 2 } else { ADDRESS };
    if !source.is_null() && !source_length.is_null() {
        // SAFETY: the caller's promise.
        unsafe {
            if *source_length < PHYSADDR_MAX {
                return EINVAL;
            }
            ptr::copy_nonoverlapping(header[6..].as_ptr(), source.cast(), kept);
            *source_length = kept;
        }
    }
    if let Some(info) = info {
        info.dri_destaddr[..ADDRESS].copy_from_slice(&header[..ADDRESS]);
        info.dri_destaddrlen = ADDRESS as c_uchar;
        info.dri_destaddrtype = c_uint::from(header[0] & 1);
        info.dri_totmsglen = body.len();
    }
    SUCCESS
}

fn tell(handle: *mut Handle, watchers: &[Watcher], note: u32) {
    for watcher in watchers.iter().filter(|watcher| watcher.notes & note != 0) {
        let mut info =
            DlpiNotifyInfo { dni_note: note, dni_physaddr: [0; PHYSADDR_MAX], dni_physaddrlen: 0 };
        // SAFETY: the function was registered to be called like this.
        unsafe { (watcher.function)(handle, &raw mut info, watcher.argument) };
    }
}

fn is_nonblocking(fd: c_int) -> bool {
    // SAFETY: no memory is involved.
    unsafe { libc::fcntl(fd, libc::F_GETFL) & libc::O_NONBLOCK != 0 }
}

fn wait_for(fd: c_int, events: i16, milliseconds: c_int) -> io::Result<i16> {
    let mut entry = libc::pollfd { fd, events, revents: 0 };
    // SAFETY: there is one entry.
    match unsafe { libc::poll(&raw mut entry, 1, milliseconds) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(entry.revents),
    }
}
