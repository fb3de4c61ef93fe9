//! libdlpi and bufmod, after their manuals and headers: libdlpi(3LIB), dlpi(4P), bufmod(4M). This
//! backend's unsafe code: declarations here, calls in `stream`.
//!
//! Layouts are those of a 64-bit system and are asserted below. Every function that the library
//! offers to the public is declared, and imported whether it is used or not, so a name that the
//! library lacks can't be linked.

#![expect(unsafe_code, reason = "a C library on raw memory has no safe form")]

mod stream;

use std::ffi::{CStr, c_char, c_int, c_uchar, c_uint, c_void};
use std::io;
use std::mem::offset_of;

pub(super) use self::stream::{Received, Stream, wait};

/// Bytes of the longest physical address, which every buffer for one must have space for.
pub(super) const DLPI_PHYSADDR_MAX: usize = 64;
const DLPI_LINKNAME_MAX: usize = 32;
/// A flag of dlpi_open: frames with their Ethernet header, in both directions.
pub(super) const DLPI_RAW: c_uint = 0x0004;

const DLPI_SUCCESS: c_int = 10000;
const DLPI_EINVAL: c_int = 10001;
pub(super) const DLPI_ELINKNAMEINVAL: c_int = 10002;
pub(super) const DLPI_ENOLINK: c_int = 10003;
const DLPI_EBADLINK: c_int = 10004;
const DLPI_EINHANDLE: c_int = 10005;
pub(super) const DLPI_ETIMEDOUT: c_int = 10006;
const DLPI_EVERNOTSUP: c_int = 10007;
const DLPI_EMODENOTSUP: c_int = 10008;
const DLPI_EUNAVAILSAP: c_int = 10009;
const DLPI_FAILURE: c_int = 10010;
const DLPI_ENOTSTYLE2: c_int = 10011;
const DLPI_EBADMSG: c_int = 10012;
const DLPI_ERAWNOTSUP: c_int = 10013;
const DLPI_ENOTEINVAL: c_int = 10014;
pub(super) const DLPI_ENOTENOTSUP: c_int = 10015;
const DLPI_ENOTEIDINVAL: c_int = 10016;
const DLPI_EIPNETINFONOTSUP: c_int = 10017;
/// An address in a message is invalid.
const DL_BADADDR: c_int = 1;
/// The system refused; errno says why, or is 0 if the link hung up.
const DL_SYSERR: c_int = 4;

/// Ethernet, in `di_mactype`.
pub(super) const DL_ETHER: c_uint = 4;
/// Ethernet by its older name, 802.3.
pub(super) const DL_CSMACD: c_uint = 0;
const DL_PROMISC_PHYS: c_uint = 1;
const DL_NOTE_LINK_DOWN: c_uint = 0x0008;
const DL_NOTE_LINK_UP: c_uint = 0x0010;
const DL_QOS_DONT_CARE: i32 = -2;

const I_PUSH: c_int = (b'S' as c_int) << 8 | 2;
const I_STR: c_int = (b'S' as c_int) << 8 | 8;
const SBIOCSTIME: c_int = (b'B' as c_int) << 8 | 1;
const SBIOCSCHUNK: c_int = (b'B' as c_int) << 8 | 4;
const SBIOCSFLAGS: c_int = (b'B' as c_int) << 8 | 8;
const SB_NO_HEADER: c_uint = 2;
const SB_NO_PROTO_CVT: c_uint = 4;

/// A priority range.
#[repr(C)]
struct Priority {
    min: i32,
    max: i32,
}

/// `dlpi_sendinfo_t`.
#[repr(C)]
struct SendInfo {
    sap: c_uint,
    priority: Priority,
}

/// `dlpi_recvinfo_t`.
#[repr(C)]
struct RecvInfo {
    destination: [c_uchar; DLPI_PHYSADDR_MAX],
    destination_length: c_uchar,
    destination_type: c_uint,
    total_length: usize,
}

/// `dlpi_notifyinfo_t`; of the union only its size matters here.
#[repr(C)]
struct NotifyInfo {
    note: c_uint,
    data: [c_uint; 17],
}

/// `dlpi_info_t`; its quality of service does not apply to Ethernet.
#[repr(C)]
struct Info {
    options: c_uint,
    max_sdu: c_uint,
    min_sdu: c_uint,
    state: c_uint,
    mac_type: c_uint,
    link_name: [c_char; DLPI_LINKNAME_MAX],
    address: [c_uchar; DLPI_PHYSADDR_MAX],
    address_length: c_uchar,
    broadcast: [c_uchar; DLPI_PHYSADDR_MAX],
    broadcast_length: c_uchar,
    sap: c_uint,
    timeout: c_int,
    quality: [i32; 5],
    quality_range: [i32; 8],
}

/// `struct strioctl`.
#[repr(C)]
struct StreamIoctl {
    command: c_int,
    timeout: c_int,
    length: c_int,
    data: *mut c_char,
}

const _: () = {
    assert!(size_of::<SendInfo>() == 12);
    assert!(size_of::<RecvInfo>() == 80);
    assert!(offset_of!(RecvInfo, destination_length) == 64);
    assert!(offset_of!(RecvInfo, destination_type) == 68);
    assert!(offset_of!(RecvInfo, total_length) == 72);
    assert!(size_of::<NotifyInfo>() == 72);
    assert!(size_of::<Info>() == 244);
    assert!(offset_of!(Info, max_sdu) == 4);
    assert!(offset_of!(Info, mac_type) == 16);
    assert!(offset_of!(Info, address) == 52);
    assert!(offset_of!(Info, address_length) == 116);
    assert!(offset_of!(Info, broadcast) == 117);
    assert!(offset_of!(Info, broadcast_length) == 181);
    assert!(offset_of!(Info, sap) == 184);
    assert!(offset_of!(Info, timeout) == 188);
    assert!(size_of::<StreamIoctl>() == 24);
    assert!(offset_of!(StreamIoctl, data) == 16);
    assert!(size_of::<libc::timeval>() == 16);
    assert!(DLPI_EIPNETINFONOTSUP - DLPI_SUCCESS == 17);
};

/// `struct __dlpi_handle`, which only the library looks into.
#[repr(C)]
struct Opaque {
    _private: [u8; 0],
}

type Handle = *mut Opaque;
type NotifyId = *mut c_void;
type NotifyFunction = unsafe extern "C" fn(Handle, *const NotifyInfo, *mut c_void);
type WalkFunction = unsafe extern "C" fn(*const c_char, *mut c_void) -> c_int;

/// One function's address.
struct Import(#[expect(dead_code, reason = "only that the linker finds it matters")] *const ());

// SAFETY: nothing is read through it.
unsafe impl Sync for Import {}

macro_rules! libdlpi {
    ($(fn $name:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?;)*) => {
        #[cfg_attr(target_os = "illumos", link(name = "dlpi"))]
        unsafe extern "C" {
            $(fn $name($($argument: $type),*) $(-> $result)?;)*
        }

        #[used]
        static IMPORTS: [Import; 23] = [$(Import($name as *const ())),*];
    };
}

libdlpi! {
    fn dlpi_arptype(mac_type: c_uint) -> c_uint;
    fn dlpi_bind(handle: Handle, sap: c_uint, bound: *mut c_uint) -> c_int;
    fn dlpi_close(handle: Handle);
    fn dlpi_disabmulti(handle: Handle, address: *const c_void, length: usize) -> c_int;
    fn dlpi_disabnotify(handle: Handle, id: NotifyId, argument: *mut *mut c_void) -> c_int;
    fn dlpi_enabmulti(handle: Handle, address: *const c_void, length: usize) -> c_int;
    fn dlpi_enabnotify(
        handle: Handle, notes: c_uint, function: NotifyFunction, argument: *mut c_void,
        id: *mut NotifyId
    ) -> c_int;
    fn dlpi_fd(handle: Handle) -> c_int;
    fn dlpi_get_physaddr(
        handle: Handle, kind: c_uint, address: *mut c_void, length: *mut usize
    ) -> c_int;
    fn dlpi_iftype(mac_type: c_uint) -> c_uint;
    fn dlpi_info(handle: Handle, info: *mut Info, options: c_uint) -> c_int;
    fn dlpi_linkname(handle: Handle) -> *const c_char;
    fn dlpi_mactype(mac_type: c_uint) -> *const c_char;
    fn dlpi_open(link: *const c_char, handle: *mut Handle, flags: c_uint) -> c_int;
    fn dlpi_promiscoff(handle: Handle, level: c_uint) -> c_int;
    fn dlpi_promiscon(handle: Handle, level: c_uint) -> c_int;
    fn dlpi_recv(
        handle: Handle, source: *mut c_void, source_length: *mut usize, message: *mut c_void,
        message_length: *mut usize, milliseconds: c_int, info: *mut RecvInfo
    ) -> c_int;
    fn dlpi_send(
        handle: Handle, destination: *const c_void, destination_length: usize,
        message: *const c_void, message_length: usize, info: *const SendInfo
    ) -> c_int;
    fn dlpi_set_physaddr(
        handle: Handle, kind: c_uint, address: *const c_void, length: usize
    ) -> c_int;
    fn dlpi_set_timeout(handle: Handle, seconds: c_int) -> c_int;
    fn dlpi_strerror(error: c_int) -> *const c_char;
    fn dlpi_unbind(handle: Handle) -> c_int;
    fn dlpi_walk(function: WalkFunction, argument: *mut c_void, flags: c_uint);
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The library's own reason, or the driver's.
    Dlpi(c_int),
    /// The system's errno; 0 is a link that hung up.
    System(c_int),
}

impl Failure {
    fn of(result: c_int) -> Result<(), Self> {
        match result {
            DLPI_SUCCESS => Ok(()),
            DL_SYSERR => Err(Self::System(io::Error::last_os_error().raw_os_error().unwrap_or(0))),
            code => Err(Self::Dlpi(code)),
        }
    }

    /// Whether it only means that nothing was there, or that a signal came.
    pub(super) fn is_nothing(self) -> bool {
        matches!(self, Self::Dlpi(DLPI_ETIMEDOUT) | Self::System(libc::EAGAIN | libc::EINTR))
    }

    /// Whether a broken message arrived: it has been discarded, and the next may be good.
    pub(super) fn is_broken_message(self) -> bool {
        matches!(self, Self::Dlpi(DLPI_EINVAL | DLPI_EBADMSG | DL_BADADDR))
    }

    /// The failure in the library's words, with the manual's name for it.
    pub(super) fn into_error(self) -> io::Error {
        match self {
            Self::System(errno) => io::Error::from_raw_os_error(errno),
            Self::Dlpi(code) => match name_of(code) {
                Some(name) => io::Error::other(format!("{} ({name})", strerror(code))),
                None => io::Error::other(format!("{} (DLPI error {code:#x})", strerror(code))),
            },
        }
    }
}

/// A failure in the library's words.
fn strerror(code: c_int) -> String {
    // SAFETY: the library takes any number.
    text(unsafe { dlpi_strerror(code) })
}

/// What kind of link has this type, in the library's words.
pub(super) fn mac_type_name(mac_type: u32) -> String {
    // SAFETY: the library takes any number.
    text(unsafe { dlpi_mactype(mac_type) })
}

/// The names of all links, in the library's order.
pub(super) fn link_names() -> Vec<String> {
    unsafe extern "C" fn add(name: *const c_char, names: *mut c_void) -> c_int {
        // SAFETY: `names` is what `link_names` has handed to `dlpi_walk`.
        let names = unsafe { &mut *names.cast::<Vec<String>>() };
        names.push(text(name));
        0
    }
    let mut names = Vec::<String>::new();
    // SAFETY: the library calls `add` with our vector, and never after it returns.
    unsafe { dlpi_walk(add, (&raw mut names).cast(), 0) };
    names
}

/// A string from the library.
fn text(of: *const c_char) -> String {
    if of.is_null() {
        return "unknown".to_owned();
    }
    // SAFETY: the library's strings end in NUL, and live until its next call at least.
    unsafe { CStr::from_ptr(of) }.to_string_lossy().into_owned()
}

/// The name of one of the library's own results.
fn name_of(code: c_int) -> Option<&'static str> {
    Some(match code {
        DLPI_EINVAL => "DLPI_EINVAL",
        DLPI_ELINKNAMEINVAL => "DLPI_ELINKNAMEINVAL",
        DLPI_ENOLINK => "DLPI_ENOLINK",
        DLPI_EBADLINK => "DLPI_EBADLINK",
        DLPI_EINHANDLE => "DLPI_EINHANDLE",
        DLPI_ETIMEDOUT => "DLPI_ETIMEDOUT",
        DLPI_EVERNOTSUP => "DLPI_EVERNOTSUP",
        DLPI_EMODENOTSUP => "DLPI_EMODENOTSUP",
        DLPI_EUNAVAILSAP => "DLPI_EUNAVAILSAP",
        DLPI_FAILURE => "DLPI_FAILURE",
        DLPI_ENOTSTYLE2 => "DLPI_ENOTSTYLE2",
        DLPI_EBADMSG => "DLPI_EBADMSG",
        DLPI_ERAWNOTSUP => "DLPI_ERAWNOTSUP",
        DLPI_ENOTEINVAL => "DLPI_ENOTEINVAL",
        DLPI_ENOTENOTSUP => "DLPI_ENOTENOTSUP",
        DLPI_ENOTEIDINVAL => "DLPI_ENOTEIDINVAL",
        DLPI_EIPNETINFONOTSUP => "DLPI_EIPNETINFONOTSUP",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks the numbers against the library itself. The real library has swapped the texts of the
    /// two errors about notifications.
    #[test]
    fn the_library_means_the_same_by_its_results() {
        for (code, word) in [
            (DLPI_SUCCESS, "succeeded"),
            (DLPI_EINVAL, "invalid argument"),
            (DLPI_ELINKNAMEINVAL, "linkname"),
            (DLPI_ENOLINK, "not exist"),
            (DLPI_EBADLINK, "bad DLPI link"),
            (DLPI_EINHANDLE, "handle"),
            (DLPI_ETIMEDOUT, "timed out"),
            (DLPI_EVERNOTSUP, "ersion"),
            (DLPI_EMODENOTSUP, "connection mode"),
            (DLPI_EUNAVAILSAP, "SAP"),
            (DLPI_FAILURE, "failed"),
            (DLPI_ENOTSTYLE2, "style-2"),
            (DLPI_EBADMSG, "message"),
            (DLPI_ERAWNOTSUP, "raw mode"),
            (DLPI_ENOTEINVAL, "notification not supported"),
            (DLPI_ENOTENOTSUP, "notification type"),
            (DLPI_ENOTEIDINVAL, "notification id"),
            (DLPI_EIPNETINFONOTSUP, "IPNETINFO"),
        ] {
            let text = strerror(code);
            assert!(text.contains(word), "{code}: {text}");
        }
        let error = Failure::Dlpi(DLPI_EBADMSG).into_error().to_string();
        assert!(error.contains("bad DLPI message (DLPI_EBADMSG)"), "{error}");
        let error = Failure::Dlpi(3).into_error().to_string();
        assert!(error.contains("(DLPI error 0x3)"), "{error}");
    }

    #[test]
    fn the_library_calls_an_ethernet_one() {
        assert_eq!(mac_type_name(DL_ETHER), "Ethernet");
        assert_eq!(mac_type_name(DL_CSMACD), "CSMA/CD");
    }
}
