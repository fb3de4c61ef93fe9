//! What the library knows of a link: what a test has asked for, what has been counted, and which
//! streams are open.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::knobs::{Count, Fault};
use crate::queue::ReadQueue;

#[derive(Default)]
pub(crate) struct Link {
    faults: [AtomicU64; Fault::ALL],
    turns: [AtomicU64; Fault::ALL],
    counts: [AtomicU64; Count::ALL],
    streams: Mutex<Vec<Weak<ReadQueue>>>,
}

static LINKS: Mutex<BTreeMap<String, Arc<Link>>> = Mutex::new(BTreeMap::new());

impl Link {
    pub(crate) fn named(name: &str) -> Arc<Self> {
        Arc::clone(lock(&LINKS).entry(name.to_owned()).or_default())
    }

    pub(crate) fn register(&self, stream: &Arc<ReadQueue>) {
        lock(&self.streams).push(Arc::downgrade(stream));
    }

    /// Whether any stream is open on the link.
    pub(crate) fn is_open(&self) -> bool {
        lock(&self.streams).iter().any(|stream| stream.strong_count() > 0)
    }

    pub(crate) fn is_set(&self, fault: Fault) -> bool {
        self.faults[fault as usize].load(Ordering::Relaxed) != 0
    }

    /// Whether it is this call's turn to go wrong.
    pub(crate) fn strikes(&self, fault: Fault) -> bool {
        let every = self.faults[fault as usize].load(Ordering::Relaxed);
        every != 0
            && (self.turns[fault as usize].fetch_add(1, Ordering::Relaxed) + 1)
                .is_multiple_of(every)
    }

    /// Whether one more of a given number of calls has to go wrong.
    pub(crate) fn strikes_once(&self, fault: Fault) -> bool {
        let left = &self.faults[fault as usize];
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    pub(crate) fn count(&self, what: Count, more: usize) {
        self.counts[what as usize].fetch_add(more as u64, Ordering::Relaxed);
    }

    fn set(&self, fault: u32, value: u64) {
        self.faults[fault as usize].store(value, Ordering::Relaxed);
        let streams: Vec<_> = lock(&self.streams).iter().filter_map(Weak::upgrade).collect();
        for stream in streams {
            if fault == Fault::Down as u32 {
                stream.note(value != 0);
            } else if fault == Fault::HangUp as u32 && value != 0 {
                stream.hang_up();
            }
        }
    }
}

/// Asks for a fault on a link, by its index in [`Fault`].
#[unsafe(no_mangle)]
unsafe extern "C" fn testdlpi_fault(link: *const c_char, fault: u32, value: u64) {
    // SAFETY: the caller passes a C string.
    Link::named(&unsafe { name(link) }).set(fault, value);
}

/// What has been counted on a link, by its index in [`Count`].
#[unsafe(no_mangle)]
unsafe extern "C" fn testdlpi_count(link: *const c_char, what: u32) -> u64 {
    // SAFETY: the caller passes a C string.
    Link::named(&unsafe { name(link) }).counts[what as usize].load(Ordering::Relaxed)
}

/// Forgets all links, so that the next test starts from scratch.
#[unsafe(no_mangle)]
extern "C" fn testdlpi_forget() {
    lock(&LINKS).clear();
}

/// # Safety
///
/// `link` must end in NUL.
unsafe fn name(link: *const c_char) -> String {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(link) }.to_string_lossy().into_owned()
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
