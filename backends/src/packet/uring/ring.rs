//! The ring itself. It belongs to the thread that made it: only that thread can submit to it, and
//! it has registered the ring, so no file has to be looked up for a batch.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr;
use std::thread::{self, ThreadId};

use io_uring::{CompletionQueue, IoUring, SubmissionQueue};

/// A ring for the thread that made it.
pub(super) struct Ring {
    uring: IoUring,
    owner: ThreadId,
    /// The ring's place among the owner's registered descriptors, if it could be registered.
    place: Option<u32>,
}

/// `io_uring_rsrc_update` from linux/io_uring.h.
#[repr(C)]
struct Update {
    offset: u32,
    reserved: u32,
    data: u64,
}

impl Ring {
    /// A ring for the calling thread, with `fd` as its first registered file.
    ///
    /// # Errors
    ///
    /// What the kernel refuses; EINVAL if it reports every entry's success, wanted or not.
    pub(super) fn new(entries: u32, fd: RawFd) -> io::Result<Self> {
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_submit_all()
            .setup_coop_taskrun()
            .build(entries)?;
        if !ring.params().is_feature_skip_cqe_on_success() {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        ring.submitter().register_files(&[fd])?;
        // Before Linux 5.18, and for a thread's seventeenth ring, the file is looked up.
        let place = register(&ring).ok();
        Ok(Self { uring: ring, owner: thread::current().id(), place })
    }

    /// Whether the calling thread may use it.
    pub(super) fn is_own(&self) -> bool {
        self.owner == thread::current().id()
    }

    /// Whether no file has to be looked up for it.
    #[cfg(test)]
    pub(super) fn is_registered(&self) -> bool {
        self.place.is_some()
    }

    /// The entries that have not been submitted.
    pub(super) fn submission(&mut self) -> SubmissionQueue<'_> {
        self.uring.submission()
    }

    /// What has completed.
    pub(super) fn completion(&mut self) -> CompletionQueue<'_> {
        self.uring.completion()
    }

    /// Submits all entries, and waits until one has completed.
    ///
    /// # Errors
    ///
    /// What the kernel answers; EEXIST to another thread than the owner.
    pub(super) fn submit_and_wait(&mut self) -> io::Result<()> {
        /// From linux/io_uring.h.
        const GETEVENTS: u32 = 1 << 0;
        const REGISTERED_RING: u32 = 1 << 4;
        if !self.is_own() {
            return Err(io::Error::from_raw_os_error(libc::EEXIST));
        }
        let Some(place) = self.place else {
            return self.uring.submit_and_wait(1).map(drop);
        };
        let count = self.submission().len() as u32;
        // SAFETY: the owner calls, whose descriptor at this place is this ring's until it is
        // dropped. Whoever pushed the entries answers for their memory, as with any submission.
        let entered = unsafe {
            libc::syscall(
                libc::SYS_io_uring_enter,
                place,
                count,
                1_u32,
                GETEVENTS | REGISTERED_RING,
                ptr::null::<libc::sigset_t>(),
                0_usize,
            )
        };
        if entered < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        /// IORING_UNREGISTER_RING_FDS.
        const UNREGISTER: u32 = 21;
        // Another thread can't unregister it: the end of the owner's thread does.
        if let Some(offset) = self.place.filter(|_| self.is_own()) {
            let mut update = Update { offset, reserved: 0, data: 0 };
            // This could fail only if the place were not ours.
            let _ = change(&self.uring, UNREGISTER, &mut update);
        }
    }
}

/// Has the kernel remember the ring for the calling thread, and returns its place there.
fn register(ring: &IoUring) -> io::Result<u32> {
    /// IORING_REGISTER_RING_FDS.
    const REGISTER: u32 = 20;
    let data = u64::from(ring.as_raw_fd().cast_unsigned());
    let mut update = Update { offset: u32::MAX, reserved: 0, data };
    change(ring, REGISTER, &mut update)?;
    Ok(update.offset)
}

/// Changes one of the calling thread's registered descriptors.
fn change(ring: &IoUring, what: u32, update: &mut Update) -> io::Result<()> {
    // SAFETY: both requests read and write one `io_uring_rsrc_update`.
    let changed = unsafe {
        let update = ptr::from_mut(update);
        libc::syscall(libc::SYS_io_uring_register, ring.as_raw_fd(), what, update, 1_u32)
    };
    match changed {
        ..0 => Err(io::Error::last_os_error()),
        0 => Err(io::Error::from_raw_os_error(libc::EINVAL)),
        1.. => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixDatagram;

    use super::*;

    #[test]
    fn a_ring_is_remembered_for_as_long_as_it_lives_and_for_its_thread_alone() {
        let (near, _far) = UnixDatagram::pair().unwrap();
        let made = || Ring::new(8, near.as_raw_fd());
        let Ok(mut ring) = made() else {
            // No io_uring here: then there is nothing to remember.
            return;
        };
        let registered = ring.is_registered();
        // More rings than a thread has places for, but one after the other.
        for _ in 0..40 {
            assert_eq!(made().unwrap().is_registered(), registered);
        }
        thread::scope(|scope| {
            let refused = scope.spawn(|| ring.submit_and_wait().unwrap_err());
            assert_eq!(refused.join().unwrap().raw_os_error(), Some(libc::EEXIST));
        });
        // And more than that at once still work.
        let rings: Vec<_> = (0..20).map(|_| made().unwrap()).collect();
        assert_eq!(rings.iter().filter(|ring| ring.is_registered()).count() < 20, registered);
    }
}
