//! Links under the test library, with names that illumos could have, and their traffic.

#![expect(unsafe_code, reason = "the test library has a C interface")]

use std::ffi::{CStr, c_char};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use boot_backends::TxPath;
use boot_format::wire::{FrameType, Head, MacAddr};
use boot_image::Contents;
use boot_netboot::batch::Batch;

use crate::knobs::{Count, Fault};
use crate::netns::{FAR, NEAR, SOON, inside, ip, wait_for};
use crate::{Datalink, LinkError, OpenOptions, dlpi};

#[link(name = "testdlpi")]
unsafe extern "C" {
    fn testdlpi_fault(link: *const c_char, fault: u32, value: u64);
    fn testdlpi_count(link: *const c_char, what: u32) -> u64;
    fn testdlpi_forget();
}

pub(crate) type Link = Box<dyn Datalink + Send>;

/// The near end of the cable; what is sent there arrives at [`NET1`].
pub(crate) const NET0: &CStr = c"net0";
/// The far end.
pub(crate) const NET1: &CStr = c"net1";
pub(crate) const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 2]);

/// The library knows links by their names, which are the same in every test.
static NAMES: Mutex<()> = Mutex::new(());

/// Runs `body` in a namespace of its own, where a cable joins [`NET0`] and [`NET1`].
pub(crate) fn on_a_cable<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    let _mine = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    inside(1, || {
        // SAFETY: no memory is involved.
        unsafe { testdlpi_forget() };
        for (old, new) in [(NEAR, NET0), (FAR, NET1)] {
            ip(&format!("link set {old} down"));
            ip(&format!("link set {old} name {}", name(new)));
        }
        for link in [NET0, NET1] {
            ip(&format!("link set {} up", name(link)));
        }
        for link in [NET0, NET1] {
            wait_for(name(link));
        }
        body()
    })
}

pub(crate) fn name(link: &CStr) -> &str {
    link.to_str().expect("ASCII")
}

pub(crate) fn ask(link: &CStr, fault: Fault, value: u64) {
    // SAFETY: the name ends in NUL.
    unsafe { testdlpi_fault(link.as_ptr(), fault as u32, value) };
}

pub(crate) fn count(link: &CStr, what: Count) -> u64 {
    // SAFETY: the name ends in NUL.
    unsafe { testdlpi_count(link.as_ptr(), what as u32) }
}

pub(crate) fn try_open(link: &CStr, workers: usize) -> Result<Vec<Link>, LinkError> {
    dlpi::open(name(link), OpenOptions::default(), workers)
}

pub(crate) fn open(link: &CStr) -> Link {
    try_open(link, 1).unwrap().remove(0)
}

pub(crate) fn open_for_all_addresses(link: &CStr) -> Link {
    dlpi::open(name(link), for_all_addresses(), 1).unwrap().remove(0)
}

fn for_all_addresses() -> OpenOptions {
    OpenOptions { all_addresses: true, ..OpenOptions::default() }
}

/// The same link, not through DLPI.
pub(crate) fn open_plainly(link: &CStr) -> Link {
    let options = OpenOptions { tx: TxPath::Mmsg, ..for_all_addresses() };
    boot_backends::open(name(link), options).unwrap()
}

/// Sends a frame with this body, and waits while there is no room.
pub(crate) fn say(link: &mut Link, to: MacAddr, from: MacAddr, body: &[u8]) {
    let mut batch = Batch::with_capacity(1);
    batch.push_body(Head::new(to, from, FrameType::Hello, body.len()), body);
    send_all(link, &mut batch);
}

pub(crate) fn send_all(link: &mut Link, batch: &mut Batch) {
    let until = Instant::now() + SOON;
    loop {
        link.send(batch).unwrap();
        if batch.is_empty() {
            return;
        }
        assert!(Instant::now() < until, "there is never any room");
        link.receive(Duration::from_secs(1), true, &mut |_| {}).unwrap();
    }
}

/// The next `count` frames that arrive, or are missed.
pub(crate) fn frames_at(link: &mut Link, count: usize) -> Vec<Vec<u8>> {
    let missed = link.counters().missed;
    frames_until(link, |link, heard| heard + (link.counters().missed - missed) as usize >= count)
}

/// The frames that arrive until `enough` accepts their number.
pub(crate) fn frames_until(
    link: &mut Link,
    enough: impl Fn(&mut Link, usize) -> bool,
) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    let until = Instant::now() + SOON;
    while !enough(link, frames.len()) {
        assert!(Instant::now() < until, "{} frames have arrived", frames.len());
        let mut sink = |frame: &[u8]| frames.push(frame.to_vec());
        link.receive(Duration::from_millis(20), false, &mut sink).unwrap();
    }
    frames
}

/// An image of this many mebibytes, no two blocks of which are equal.
pub(crate) fn image(mebibytes: usize) -> Contents {
    let size = mebibytes << 20;
    let fill = |bytes: &mut [u8]| {
        for (index, byte) in bytes.iter_mut().enumerate() {
            *byte = (index / 3 + index / 1024) as u8;
        }
    };
    Contents::build(size, size as u64, "", "rpool/ROOT/ramdisk", fill).unwrap()
}
