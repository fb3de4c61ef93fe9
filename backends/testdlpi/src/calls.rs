//! The library's public functions, by the names that its manual has: all but those that carry
//! frames.

use std::ffi::{CStr, c_char, c_int, c_uchar, c_uint, c_void};
use std::ptr;

use crate::abi::{
    ADDRESS, DEVONLY, DL_CSMACD, DL_ETHER, DL_IDLE, DL_OTHER, DL_OUTSTATE, DL_SYSERR, DL_UNBOUND,
    DL_UNKNOWN, DL_UNSUPPORTED, DlpiInfo, EINHANDLE, EINVAL, ELINKNAMEINVAL, ENOLINK, ENOTEIDINVAL,
    ENOTEINVAL, EXCL, LINKNAME_MAX, NATIVE, NOTES, NotifyFunction, PASSIVE, PHYSADDR_MAX,
    PROMISC_MULTI, PROMISC_PHYS, QosRange, QosSelection, RAW, SUCCESS, TEXTS, WalkFunction,
    failed_with, system_error,
};
use crate::handle::{Handle, Inner, Watcher};
use crate::link::Link;
use crate::modules;
use crate::packet::Packet;

macro_rules! or_fail {
    ($result:expr) => {
        match $result {
            SUCCESS => {}
            failure => return failure,
        }
    };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_open(
    link: *const c_char,
    handle: *mut *mut Handle,
    flags: c_uint,
) -> c_int {
    if link.is_null() {
        return ELINKNAMEINVAL;
    }
    // SAFETY: the caller passes a C string.
    let name = unsafe { CStr::from_ptr(link) };
    let bytes = name.to_bytes();
    let numbered = bytes.last().is_some_and(u8::is_ascii_digit);
    if !numbered || bytes.contains(&b':') || bytes.len() >= LINKNAME_MAX {
        return ELINKNAMEINVAL;
    }
    if flags & !(EXCL | PASSIVE | RAW | NATIVE | DEVONLY) != 0 {
        return EINVAL;
    }
    let exclusive = flags & EXCL != 0;
    if exclusive && Link::named(&name.to_string_lossy()).is_open() {
        return failed_with(libc::EBUSY);
    }
    let opened = match Packet::open(name.to_owned()) {
        Ok(Some(packet)) => Handle::new(name.to_owned(), packet, flags),
        Ok(None) => return ENOLINK,
        Err(error) => Err(error),
    };
    let mut opened = match opened {
        Ok(opened) => opened,
        Err(error) => return system_error(&error),
    };
    // The real one asks the link what it is.
    or_fail!(opened.inner.control());
    modules::opened(&opened.inner.queue);
    // SAFETY: the place is the caller's.
    unsafe { *handle = Box::into_raw(Box::new(opened)) };
    SUCCESS
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_close(handle: *mut Handle) {
    // SAFETY: the handle is open, or null.
    if unsafe { Handle::with(handle, |_| ()) }.is_some() {
        // SAFETY: it came from a box, and is no longer used.
        let handle = unsafe { Box::from_raw(handle) };
        modules::closed(handle.inner.queue.fd());
    }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_info(handle: *mut Handle, info: *mut DlpiInfo, options: c_uint) -> c_int {
    let work = |inner: &mut Inner| {
        if info.is_null() || options != 0 {
            return EINVAL;
        }
        or_fail!(inner.control());
        let facts = match inner.packet.facts() {
            Ok(facts) => facts,
            Err(error) => return system_error(&error),
        };
        let mut filled = DlpiInfo {
            di_opts: 0,
            di_max_sdu: facts.mtu as c_uint,
            di_min_sdu: 0,
            di_state: if inner.sap.is_some() { DL_IDLE } else { DL_UNBOUND },
            di_mactype: if facts.is_ethernet { DL_ETHER } else { DL_OTHER },
            di_linkname: [0; LINKNAME_MAX],
            di_physaddr: [0; PHYSADDR_MAX],
            di_physaddrlen: ADDRESS as c_uchar,
            di_bcastaddr: [0; PHYSADDR_MAX],
            di_bcastaddrlen: ADDRESS as c_uchar,
            di_sap: inner.sap.unwrap_or(0).into(),
            di_timeout: inner.timeout,
            di_qos_sel: QosSelection {
                dl_qos_type: DL_UNKNOWN.cast_unsigned(),
                dl_trans_delay: DL_UNKNOWN,
                dl_priority: DL_UNKNOWN,
                dl_protection: DL_UNKNOWN,
                dl_residual_error: DL_UNKNOWN,
            },
            di_qos_range: QosRange {
                dl_qos_type: DL_UNKNOWN.cast_unsigned(),
                dl_trans_delay: [DL_UNKNOWN; 2],
                dl_priority: [DL_UNKNOWN; 2],
                dl_protection: [DL_UNKNOWN; 2],
                dl_residual_error: DL_UNKNOWN,
            },
        };
        for (to, from) in filled.di_linkname.iter_mut().zip(inner.name.to_bytes()) {
            *to = from.cast_signed();
        }
        filled.di_physaddr[..ADDRESS].copy_from_slice(&facts.address);
        filled.di_bcastaddr[..ADDRESS].fill(0xff);
        // SAFETY: the place is the caller's.
        unsafe { info.write(filled) };
        SUCCESS
    };
    // SAFETY: the handle is open, or null.
    unsafe { Handle::with(handle, work) }.unwrap_or(EINHANDLE)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_bind(handle: *mut Handle, sap: c_uint, bound: *mut c_uint) -> c_int {
    let work = |inner: &mut Inner| {
        if inner.sap.is_some() {
            return DL_OUTSTATE;
        }
        let sap = if sap == c_uint::MAX { 0 } else { sap };
        let Ok(short) = u16::try_from(sap) else { return EINVAL };
        if let Err(error) = inner.begin(short) {
            return system_error(&error);
        }
        or_fail!(inner.control());
        if !bound.is_null() {
            // SAFETY: the place is the caller's.
            unsafe { bound.write(sap) };
        }
        SUCCESS
    };
    // SAFETY: the handle is open, or null.
    unsafe { Handle::with(handle, work) }.unwrap_or(EINHANDLE)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_unbind(handle: *mut Handle) -> c_int {
    let work = |inner: &mut Inner| {
        if inner.sap.is_none() {
            return DL_OUTSTATE;
        }
        inner.end();
        inner.control()
    };
    // SAFETY: the handle is open, or null.
    unsafe { Handle::with(handle, work) }.unwrap_or(EINHANDLE)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_enabmulti(handle: *mut Handle, _: *const c_void, length: usize) -> c_int {
    let work = |inner: &mut Inner| if length == ADDRESS { inner.control() } else { EINVAL };
    // SAFETY: the handle is open, or null.
    unsafe { Handle::with(handle, work) }.unwrap_or(EINHANDLE)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_disabmulti(
    handle: *mut Handle,
    address: *const c_void,
    length: usize,
) -> c_int {
    // SAFETY: both have the same contract.
    unsafe { dlpi_enabmulti(handle, address, length) }
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_promiscon(handle: *mut Handle, level: c_uint) -> c_int {
    let work = |inner: &mut Inner| {
        if !(PROMISC_PHYS..=PROMISC_MULTI).contains(&level) {
            return DL_UNSUPPORTED;
        }
        if level == PROMISC_PHYS {
            inner.promiscuous = true;
            if let Err(error) = inner.packet.receive_for_all_addresses() {
                return system_error(&error);
            }
        }
        inner.control()
    };
    // SAFETY: the handle is open, or null.
    unsafe { Handle::with(handle, work) }.unwrap_or(EINHANDLE)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_promiscoff(handle: *mut Handle, _: c_uint) -> c_int {
    let work = |inner: &mut Inner| {
        inner.promiscuous = false;
        inner.control()
    };
    // SAFETY: the handle is open, or null.
    unsafe { Handle::with(handle, work) }.unwrap_or(EINHANDLE)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_get_physaddr(
    handle: *mut Handle,
    _: c_uint,
    address: *mut c_void,
    length: *mut usize,
) -> c_int {
    let work = |inner: &mut Inner| {
        // SAFETY: the places are the caller's, or null.
        if address.is_null() || unsafe { length.as_ref() }.is_none_or(|&room| room < PHYSADDR_MAX) {
            return EINVAL;
        }
        or_fail!(inner.control());
        let Ok(facts) = inner.packet.facts() else { return EINVAL };
        // SAFETY: there is room for more.
        unsafe {
            ptr::copy_nonoverlapping(facts.address.as_ptr(), address.cast(), ADDRESS);
            *length = ADDRESS;
        }
        SUCCESS
    };
    // SAFETY: the handle is open, or null.
    unsafe { Handle::with(handle, work) }.unwrap_or(EINHANDLE)
}

#[unsafe(no_mangle)]
extern "C" fn dlpi_set_physaddr(_: *mut Handle, _: c_uint, _: *const c_void, _: usize) -> c_int {
    DL_UNSUPPORTED
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_enabnotify(
    handle: *mut Handle,
    notes: c_uint,
    function: Option<NotifyFunction>,
    argument: *mut c_void,
    id: *mut *mut c_void,
) -> c_int {
    let work = |inner: &mut Inner| {
        // The real one asks the link what it is here too.
        or_fail!(inner.control());
        let Some(function) = function else { return EINVAL };
        if id.is_null() {
            return EINVAL;
        }
        if notes & !NOTES != 0 || notes == 0 {
            return ENOTEINVAL;
        }
        or_fail!(inner.control());
        inner.watchers.push(Watcher { notes, function, argument });
        inner.queue.watch(notes);
        // SAFETY: the place is the caller's.
        unsafe { *id = ptr::without_provenance_mut(inner.watchers.len()) };
        SUCCESS
    };
    // SAFETY: the handle is open, or null.
    unsafe { Handle::with(handle, work) }.unwrap_or(EINHANDLE)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_disabnotify(
    handle: *mut Handle,
    id: *mut c_void,
    argument: *mut *mut c_void,
) -> c_int {
    let work = |inner: &mut Inner| {
        let Some(watcher) = id.addr().checked_sub(1).and_then(|at| inner.watchers.get_mut(at))
        else {
            return ENOTEIDINVAL;
        };
        watcher.notes = 0;
        if !argument.is_null() {
            // SAFETY: the place is the caller's.
            unsafe { *argument = watcher.argument };
        }
        SUCCESS
    };
    // SAFETY: the handle is open, or null.
    unsafe { Handle::with(handle, work) }.unwrap_or(EINHANDLE)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_fd(handle: *mut Handle) -> c_int {
    // SAFETY: the handle is open, or null.
    unsafe { Handle::with(handle, |inner| inner.queue.fd()) }.unwrap_or(-1)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_set_timeout(handle: *mut Handle, seconds: c_int) -> c_int {
    let work = |inner: &mut Inner| {
        inner.timeout = seconds;
        SUCCESS
    };
    // SAFETY: the handle is open, or null.
    unsafe { Handle::with(handle, work) }.unwrap_or(EINHANDLE)
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_linkname(handle: *mut Handle) -> *const c_char {
    // SAFETY: the handle is open, or null.
    unsafe { Handle::with(handle, |inner| inner.name.as_ptr()) }.unwrap_or(ptr::null())
}

#[unsafe(no_mangle)]
extern "C" fn dlpi_mactype(mac_type: c_uint) -> *const c_char {
    let name = match mac_type {
        DL_CSMACD => c"CSMA/CD",
        DL_ETHER => c"Ethernet",
        _ => c"Unknown MAC Type",
    };
    name.as_ptr()
}

#[unsafe(no_mangle)]
extern "C" fn dlpi_arptype(mac_type: c_uint) -> c_uint {
    c_uint::from(mac_type == DL_ETHER)
}

#[unsafe(no_mangle)]
extern "C" fn dlpi_iftype(mac_type: c_uint) -> c_uint {
    if mac_type == DL_ETHER { 6 } else { 1 }
}

#[unsafe(no_mangle)]
extern "C" fn dlpi_strerror(error: c_int) -> *const c_char {
    if error == DL_SYSERR {
        // SAFETY: errno is this thread's own.
        return unsafe { libc::strerror(*libc::__errno_location()) };
    }
    let own = usize::try_from(error - SUCCESS).ok().and_then(|index| TEXTS.get(index));
    own.map_or(c"Unknown DLPI error".as_ptr(), |text| text.as_ptr().cast())
}

#[unsafe(no_mangle)]
unsafe extern "C" fn dlpi_walk(function: WalkFunction, argument: *mut c_void, _: c_uint) {
    // SAFETY: the list is the system's, ends with a link without a name, and is given back.
    unsafe {
        let links = libc::if_nameindex();
        if links.is_null() {
            return;
        }
        let mut link = links;
        while !(*link).if_name.is_null() && function((*link).if_name, argument) == 0 {
            link = link.add(1);
        }
        libc::if_freenameindex(links);
    }
}
