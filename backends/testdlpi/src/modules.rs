//! Modules that are pushed onto a stream, by the system's ioctl: only bufmod exists.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::{Arc, Mutex, Weak};

use crate::abi::{I_PUSH, I_STR, SBIOCSCHUNK, SBIOCSFLAGS, SBIOCSTIME, StrIoctl, failed_with};
use crate::link::lock;
use crate::packet::system_ioctl;
use crate::queue::ReadQueue;

/// The streams of all open handles, by their descriptors.
static OPEN: Mutex<Vec<(c_int, Weak<ReadQueue>)>> = Mutex::new(Vec::new());

pub(crate) fn opened(stream: &Arc<ReadQueue>) {
    lock(&OPEN).push((stream.fd(), Arc::downgrade(stream)));
}

pub(crate) fn closed(fd: c_int) {
    lock(&OPEN).retain(|(open, _)| *open != fd);
}

/// The system's ioctl, which also handles a stream's modules if the descriptor is a stream's.
#[unsafe(no_mangle)]
unsafe extern "C" fn ioctl(fd: c_int, request: libc::Ioctl, argument: *mut c_void) -> c_int {
    let stream = lock(&OPEN).iter().find(|(open, _)| *open == fd).and_then(|(_, q)| q.upgrade());
    match (stream, c_int::try_from(request)) {
        // SAFETY: these requests carry the arguments that stropts.h defines for them.
        (Some(stream), Ok(I_PUSH)) => unsafe { push(&stream, argument.cast()) },
        // SAFETY: these requests carry the arguments that stropts.h defines for them.
        (Some(stream), Ok(I_STR)) => unsafe { tell_module(&stream, &*argument.cast()) },
        // SAFETY: the caller's promise, whatever the request.
        _ => unsafe { system_ioctl(fd, request, argument) },
    }
}

unsafe fn push(stream: &ReadQueue, module: *const c_char) -> c_int {
    // SAFETY: the caller passes a C string.
    if unsafe { CStr::from_ptr(module) } != c"bufmod" || stream.has_no_bufmod() {
        return refused(libc::EINVAL);
    }
    stream.push_bufmod();
    0
}

unsafe fn tell_module(stream: &ReadQueue, request: &StrIoctl) -> c_int {
    // SAFETY: the data are the caller's, and as long as stated.
    let data = unsafe {
        std::slice::from_raw_parts(
            request.ic_dp.cast::<u8>(),
            request.ic_len.cast_unsigned() as usize,
        )
    };
    let known = match (request.ic_cmd, data) {
        (SBIOCSFLAGS, &[a, b, c, d]) => stream.set_flags(u32::from_ne_bytes([a, b, c, d])),
        (SBIOCSCHUNK, &[a, b, c, d]) => stream.set_chunk(u32::from_ne_bytes([a, b, c, d])),
        (SBIOCSTIME, time) => time.len() == 16,
        _ => false,
    };
    if known && request.ic_timout >= -1 { 0 } else { refused(libc::EINVAL) }
}

fn refused(errno: c_int) -> c_int {
    failed_with(errno);
    -1
}
