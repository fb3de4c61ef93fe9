//! Numbers and layouts of libdlpi.h, sys/dlpi.h and sys/bufmod.h, on a 64-bit system.
#![expect(clippy::struct_field_names, reason = "these names are the headers'")]

use std::ffi::{c_char, c_int, c_uchar, c_uint, c_void};
use std::io;

use crate::handle::Handle;

/// Bytes of an Ethernet header, and of an address in it.
pub(crate) const ETHERNET: usize = 14;
pub(crate) const ADDRESS: usize = 6;

pub(crate) const PHYSADDR_MAX: usize = 64;
pub(crate) const LINKNAME_MAX: usize = 32;

pub(crate) const EXCL: c_uint = 0x1;
pub(crate) const PASSIVE: c_uint = 0x2;
pub(crate) const RAW: c_uint = 0x4;
pub(crate) const NATIVE: c_uint = 0x20;
pub(crate) const DEVONLY: c_uint = 0x40;

pub(crate) const SUCCESS: c_int = 10000;
pub(crate) const EINVAL: c_int = 10001;
pub(crate) const ELINKNAMEINVAL: c_int = 10002;
pub(crate) const ENOLINK: c_int = 10003;
pub(crate) const EINHANDLE: c_int = 10005;
pub(crate) const ETIMEDOUT: c_int = 10006;
pub(crate) const EBADMSG: c_int = 10012;
pub(crate) const ENOTEINVAL: c_int = 10014;
pub(crate) const ENOTEIDINVAL: c_int = 10016;

/// The texts of the results from [`SUCCESS`] on; two of them are the wrong way round in illumos.
pub(crate) const TEXTS: [&[u8]; 18] = [
    b"DLPI operation succeeded\0",
    b"invalid argument\0",
    b"invalid DLPI linkname\0",
    b"DLPI link does not exist\0",
    b"bad DLPI link\0",
    b"invalid DLPI handle\0",
    b"DLPI operation timed out\0",
    b"unsupported DLPI version\0",
    b"unsupported DLPI connection mode\0",
    b"unavailable DLPI SAP\0",
    b"DLPI operation failed\0",
    b"DLPI style-2 node reports style-1\0",
    b"bad DLPI message\0",
    b"DLPI raw mode not supported\0",
    b"DLPI notification not supported by link\0",
    b"invalid DLPI notification type\0",
    b"invalid DLPI notification id\0",
    b"DLPI_IPNETINFO not supported\0",
];

pub(crate) const DL_BADADDR: c_int = 1;
pub(crate) const DL_OUTSTATE: c_int = 3;
pub(crate) const DL_SYSERR: c_int = 4;
pub(crate) const DL_UNSUPPORTED: c_int = 7;

pub(crate) const DL_CSMACD: c_uint = 0;
pub(crate) const DL_ETHER: c_uint = 4;
pub(crate) const DL_OTHER: c_uint = 9;
pub(crate) const DL_IDLE: c_uint = 3;
pub(crate) const DL_UNBOUND: c_uint = 0;
pub(crate) const PROMISC_PHYS: c_uint = 1;
pub(crate) const PROMISC_MULTI: c_uint = 3;
pub(crate) const NOTE_LINK_DOWN: c_uint = 0x8;
pub(crate) const NOTE_LINK_UP: c_uint = 0x10;
/// All that dlpi_enabnotify takes.
pub(crate) const NOTES: c_uint = 0x1 | 0x2 | 0x4 | NOTE_LINK_DOWN | NOTE_LINK_UP | 0x80 | 0x100;
pub(crate) const DL_UNKNOWN: i32 = -1;
pub(crate) const QOS_DONT_CARE: i32 = -2;

pub(crate) const I_PUSH: c_int = 0x5302;
pub(crate) const I_STR: c_int = 0x5308;
pub(crate) const SBIOCSTIME: c_int = 0x4201;
pub(crate) const SBIOCSCHUNK: c_int = 0x4204;
pub(crate) const SBIOCSFLAGS: c_int = 0x4208;
/// SB_NO_HEADER and SB_NO_PROTO_CVT: without both, libdlpi can't read what bufmod delivers.
pub(crate) const HARMLESS: c_uint = 2 | 4;

#[repr(C)]
pub(crate) struct DlpiInfo {
    pub(crate) di_opts: c_uint,
    pub(crate) di_max_sdu: c_uint,
    pub(crate) di_min_sdu: c_uint,
    pub(crate) di_state: c_uint,
    pub(crate) di_mactype: c_uint,
    pub(crate) di_linkname: [c_char; LINKNAME_MAX],
    pub(crate) di_physaddr: [c_uchar; PHYSADDR_MAX],
    pub(crate) di_physaddrlen: c_uchar,
    pub(crate) di_bcastaddr: [c_uchar; PHYSADDR_MAX],
    pub(crate) di_bcastaddrlen: c_uchar,
    pub(crate) di_sap: c_uint,
    pub(crate) di_timeout: c_int,
    pub(crate) di_qos_sel: QosSelection,
    pub(crate) di_qos_range: QosRange,
}

#[repr(C)]
pub(crate) struct QosSelection {
    pub(crate) dl_qos_type: c_uint,
    pub(crate) dl_trans_delay: i32,
    pub(crate) dl_priority: i32,
    pub(crate) dl_protection: i32,
    pub(crate) dl_residual_error: i32,
}

#[repr(C)]
pub(crate) struct QosRange {
    pub(crate) dl_qos_type: c_uint,
    pub(crate) dl_trans_delay: [i32; 2],
    pub(crate) dl_priority: [i32; 2],
    pub(crate) dl_protection: [i32; 2],
    pub(crate) dl_residual_error: i32,
}

#[repr(C)]
pub(crate) struct DlpiSendInfo {
    pub(crate) dsi_sap: c_uint,
    pub(crate) dsi_prio_min: i32,
    pub(crate) dsi_prio_max: i32,
}

#[repr(C)]
pub(crate) struct DlpiRecvInfo {
    pub(crate) dri_destaddr: [c_uchar; PHYSADDR_MAX],
    pub(crate) dri_destaddrlen: c_uchar,
    pub(crate) dri_destaddrtype: c_uint,
    pub(crate) dri_totmsglen: usize,
}

#[repr(C)]
pub(crate) struct DlpiNotifyInfo {
    pub(crate) dni_note: c_uint,
    pub(crate) dni_physaddr: [c_uchar; PHYSADDR_MAX],
    pub(crate) dni_physaddrlen: c_uchar,
}

#[repr(C)]
pub(crate) struct StrIoctl {
    pub(crate) ic_cmd: c_int,
    pub(crate) ic_timout: c_int,
    pub(crate) ic_len: c_int,
    pub(crate) ic_dp: *const c_char,
}

pub(crate) type NotifyFunction =
    unsafe extern "C" fn(*mut Handle, *mut DlpiNotifyInfo, *mut c_void);
pub(crate) type WalkFunction = unsafe extern "C" fn(*const c_char, *mut c_void) -> c_int;

/// The result of a call that the system has refused, with the error's number in errno.
pub(crate) fn system_error(error: &io::Error) -> c_int {
    failed_with(error.raw_os_error().unwrap_or(libc::EIO))
}

/// The result of a call that the system has refused, with errno set.
pub(crate) fn failed_with(errno: c_int) -> c_int {
    // SAFETY: errno is this thread's own.
    unsafe { *libc::__errno_location() = errno };
    DL_SYSERR
}
