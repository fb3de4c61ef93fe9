//! Checks that the library enforces its contract: otherwise no test on it would show that the
//! backend obeys it.
#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "the library has a C interface")]

#[path = "../src/knobs.rs"]
mod knobs;
#[path = "../../tests/netns/mod.rs"]
mod netns;

use std::env;
use std::ffi::{c_char, c_int, c_uint, c_void};
use std::process::Command;
use std::ptr;
use std::sync::{Mutex, PoisonError};
use std::thread;

use knobs::Count;
use netns::{inside, ip};

const LINK: *const c_char = c"net0".as_ptr();
const SUCCESS: c_int = 10000;

#[link(name = "testdlpi")]
unsafe extern "C" {
    fn dlpi_open(link: *const c_char, handle: *mut *mut c_void, flags: c_uint) -> c_int;
    fn dlpi_close(handle: *mut c_void);
    fn dlpi_bind(handle: *mut c_void, sap: c_uint, bound: *mut c_uint) -> c_int;
    fn dlpi_send(
        handle: *mut c_void,
        destination: *const c_void,
        destination_length: usize,
        message: *const c_void,
        length: usize,
        info: *const c_void,
    ) -> c_int;
    fn dlpi_recv(
        handle: *mut c_void,
        source: *mut c_void,
        source_length: *mut usize,
        message: *mut c_void,
        length: *mut usize,
        milliseconds: c_int,
        info: *mut c_void,
    ) -> c_int;
    fn testdlpi_count(link: *const c_char, what: u32) -> u64;
}

/// The library counts by the link's name, which is the same in every test.
static NAMES: Mutex<()> = Mutex::new(());

/// Runs `body` with a handle on a link whose far end sends back nothing.
fn with_a_handle(name: *const c_char, body: impl FnOnce(*mut c_void) + Send) {
    let _mine = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    let name = name.expose_provenance();
    inside(1, || {
        for (old, new) in [("near", "net0"), ("far", "net1")] {
            ip(&format!("link set {old} down"));
            ip(&format!("link set {old} name {new}"));
            ip(&format!("link set {new} up"));
        }
        netns::wait_for("net0");
        let mut handle = ptr::null_mut();
        let name = ptr::with_exposed_provenance(name);
        // SAFETY: the name ends in NUL.
        assert_eq!(unsafe { dlpi_open(name, &raw mut handle, 0) }, SUCCESS);
        // SAFETY: the handle is open.
        assert_eq!(unsafe { dlpi_bind(handle, 0x1de0, ptr::null_mut()) }, SUCCESS);
        body(handle);
        // SAFETY: the handle is open.
        unsafe { dlpi_close(handle) };
    });
}

fn count(what: Count) -> u64 {
    // SAFETY: the name ends in NUL.
    unsafe { testdlpi_count(LINK, what as u32) }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn it_ends_whoever_uses_a_handle_twice_at_once() {
    let mut command = Command::new(env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "uses_a_handle_twice_at_once", "--nocapture"]);
    let child = command.env("BREAK_THE_CONTRACT", "1").output().unwrap();
    let said = String::from_utf8_lossy(&child.stderr);
    assert!(said.contains("two threads use a handle at the same time"), "{said}");
    assert!(!child.status.success());
}

/// The other half of the test above: one thread waits in a call, another makes one too.
#[test]
#[ignore = "needs root and network namespaces"]
fn uses_a_handle_twice_at_once() {
    if env::var_os("BREAK_THE_CONTRACT").is_some() {
        with_a_handle(LINK, |handle| {
            let handle = handle.expose_provenance();
            let wait = move || {
                let (handle, none) = (ptr::with_exposed_provenance_mut(handle), ptr::null_mut());
                let no_length = ptr::null_mut();
                // SAFETY: the handle is open; the library must stop two threads from doing this.
                unsafe { dlpi_recv(handle, none, no_length, none, no_length, 1000, none) }
            };
            let other = thread::spawn(wait);
            wait();
            other.join().unwrap();
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_frame_that_is_too_long_is_lost_with_a_word_of_success() {
    with_a_handle(LINK, |handle| {
        let (to, message) = ([2_u8, 0, 0, 0, 0, 9], [7_u8; 1501]);
        let (before, lost) = (count(Count::Sent), count(Count::Oversize));
        for length in [1500, 1501] {
            let (to, message) = (to.as_ptr().cast(), message.as_ptr().cast());
            // SAFETY: address and message are as long as stated.
            let result = unsafe { dlpi_send(handle, to, 6, message, length, ptr::null()) };
            assert_eq!(result, SUCCESS);
        }
        assert_eq!((count(Count::Sent) - before, count(Count::Oversize) - lost), (1, 1));
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_short_buffer_for_the_source_costs_the_frame() {
    with_a_handle(LINK, |handle| {
        let mut far = ptr::null_mut();
        // SAFETY: the name ends in NUL, and the handle is open thereafter.
        unsafe {
            assert_eq!(dlpi_open(c"net1".as_ptr(), &raw mut far, 0), SUCCESS);
            assert_eq!(dlpi_bind(far, 0x1de0, ptr::null_mut()), SUCCESS);
        }
        let send = || {
            let (to, message) = ([0xff_u8; 6], [7_u8; 46]);
            let (to, message) = (to.as_ptr().cast(), message.as_ptr().cast());
            // SAFETY: address and message are as long as stated.
            assert_eq!(unsafe { dlpi_send(far, to, 6, message, 46, ptr::null()) }, SUCCESS);
        };
        let receive = |room: usize| {
            let (mut source, mut message) = ([0_u8; 64], [0_u8; 100]);
            let (mut source_length, mut length) = (room, message.len());
            // SAFETY: the buffers are as large as stated.
            unsafe {
                dlpi_recv(
                    handle,
                    source.as_mut_ptr().cast(),
                    &raw mut source_length,
                    message.as_mut_ptr().cast(),
                    &raw mut length,
                    1000,
                    ptr::null_mut(),
                )
            }
        };
        send();
        assert_eq!(receive(6), 10001);
        send();
        assert_eq!(receive(64), SUCCESS);
        // SAFETY: the handle is open.
        unsafe { dlpi_close(far) };
    });
}
