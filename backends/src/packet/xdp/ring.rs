//! The rings that an AF_XDP sender shares with the kernel.

use std::io;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use memmap2::{MmapOptions, MmapRaw};

use crate::BATCH;

/// A ring in memory shared with the kernel. One side writes entries and moves `producer`, the
/// other reads them and moves `consumer`; both count on and wrap at 2^32.
struct Ring<T> {
    _map: MmapRaw,
    producer: NonNull<AtomicU32>,
    consumer: NonNull<AtomicU32>,
    entries: NonNull<T>,
    /// Entries in the ring: a power of two.
    size: u32,
}

// SAFETY: the pointers lead into the mapping, which belongs to this value alone, wherever that
// goes; the kernel's side of it belongs to no thread.
unsafe impl<T: Send> Send for Ring<T> {}

impl<T: Copy> Ring<T> {
    /// Maps the ring of `size` entries that the kernel shows at `place` of the socket.
    fn map(
        fd: BorrowedFd<'_>,
        place: u64,
        offsets: libc::xdp_ring_offset,
        size: u32,
    ) -> io::Result<Self> {
        let inside = |offset: u64| usize::try_from(offset).map_err(|_| io::ErrorKind::InvalidData);
        let (producer, consumer) = (inside(offsets.producer)?, inside(offsets.consumer)?);
        let entries = inside(offsets.desc)?;
        let length = entries + size as usize * size_of::<T>();
        if producer.max(consumer) + size_of::<u32>() > length {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let map = MmapOptions::new().offset(place).len(length).populate().map_raw(&fd)?;
        let start = NonNull::new(map.as_mut_ptr()).ok_or(io::ErrorKind::OutOfMemory)?;
        // SAFETY: the kernel laid the ring out with these offsets, and all lie inside the map.
        unsafe {
            Ok(Self {
                producer: start.add(producer).cast(),
                consumer: start.add(consumer).cast(),
                entries: start.add(entries).cast(),
                size,
                _map: map,
            })
        }
    }

    fn producer(&self) -> &AtomicU32 {
        // SAFETY: it lies in the map, aligned, for as long as `self` lives.
        unsafe { self.producer.as_ref() }
    }

    fn consumer(&self) -> &AtomicU32 {
        // SAFETY: as above.
        unsafe { self.consumer.as_ref() }
    }

    /// Where the entry with the running number `index` lives.
    fn entry(&self, index: u32) -> NonNull<T> {
        // SAFETY: the masked index is less than the ring's size.
        unsafe { self.entries.add((index & (self.size - 1)) as usize) }
    }
}

/// Frames on their way to the kernel.
pub(super) struct TxRing {
    ring: Ring<libc::xdp_desc>,
    /// Entries written, published or not.
    written: u32,
}

impl TxRing {
    /// A power of two, as the kernel wants it.
    pub(super) const SIZE: u32 = BATCH.next_power_of_two() as u32;

    pub(super) fn map(fd: BorrowedFd<'_>, offsets: &libc::xdp_mmap_offsets) -> io::Result<Self> {
        let ring = Ring::map(fd, libc::XDP_PGOFF_TX_RING.cast_unsigned(), offsets.tx, Self::SIZE)?;
        Ok(Self { ring, written: 0 })
    }

    /// Entries that the kernel has not taken yet.
    pub(super) fn pending(&self) -> u32 {
        self.written.wrapping_sub(self.ring.consumer().load(Ordering::Acquire))
    }

    /// Writes an entry, which the kernel does not see before [`TxRing::publish`].
    ///
    /// # Panics
    ///
    /// If the ring is full.
    pub(super) fn push(&mut self, frame: libc::xdp_desc) {
        assert!(self.pending() < Self::SIZE, "the ring is full");
        // SAFETY: the kernel does not read an entry that is not published, and has read the one
        // that was here before.
        unsafe { self.ring.entry(self.written).write(frame) };
        self.written = self.written.wrapping_add(1);
    }

    /// Shows the kernel all entries written.
    pub(super) fn publish(&mut self) {
        self.ring.producer().store(self.written, Ordering::Release);
    }
}

/// Addresses of frames that the kernel is done with.
pub(super) struct CompletionRing {
    ring: Ring<u64>,
}

impl CompletionRing {
    pub(super) fn map(
        fd: BorrowedFd<'_>,
        offsets: &libc::xdp_mmap_offsets,
        size: u32,
    ) -> io::Result<Self> {
        let place = libc::XDP_UMEM_PGOFF_COMPLETION_RING;
        Ok(Self { ring: Ring::map(fd, place, offsets.cr, size)? })
    }

    /// Takes all addresses that are there.
    pub(super) fn drain(&mut self, mut take: impl FnMut(u64)) {
        let end = self.ring.producer().load(Ordering::Acquire);
        let mut next = self.ring.consumer().load(Ordering::Relaxed);
        if next == end {
            return;
        }
        while next != end {
            // SAFETY: the kernel has published this entry, and does not write it again before
            // we have moved past it.
            take(unsafe { self.ring.entry(next).read() });
            next = next.wrapping_add(1);
        }
        self.ring.consumer().store(next, Ordering::Release);
    }
}

/// Addresses of frames that a card may receive into, should the queue be its own.
pub(super) struct FillRing {
    ring: Ring<u64>,
}

impl FillRing {
    pub(super) fn map(
        fd: BorrowedFd<'_>,
        offsets: &libc::xdp_mmap_offsets,
        size: u32,
    ) -> io::Result<Self> {
        let place = libc::XDP_UMEM_PGOFF_FILL_RING;
        Ok(Self { ring: Ring::map(fd, place, offsets.fr, size)? })
    }

    /// Shows the kernel `frames`, once.
    ///
    /// # Panics
    ///
    /// If there are more than the ring has room for, or it was used before.
    pub(super) fn publish(&mut self, frames: impl Iterator<Item = u64>) {
        assert_eq!(self.ring.producer().load(Ordering::Relaxed), 0, "the ring was used before");
        let mut written = 0;
        for address in frames {
            assert!(written < self.ring.size, "the ring is full");
            // SAFETY: the kernel does not read an entry that is not published, and this one never
            // was.
            unsafe { self.ring.entry(written).write(address) };
            written += 1;
        }
        self.ring.producer().store(written, Ordering::Release);
    }
}
