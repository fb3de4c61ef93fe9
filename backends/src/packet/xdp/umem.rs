//! The UMEM: memory that the kernel, or a card, reads outgoing frames from.

use std::io;
use std::ptr;

use memmap2::{MmapMut, MmapRaw};

/// Pinned memory in slots of one frame each, followed by frames for a card to receive into, which
/// this process never touches.
///
/// The holder of a [`Slot`] may write to it; a slot whose frame is in flight has no holder until
/// the kernel returns it as an address.
pub(super) struct Umem {
    memory: MmapRaw,
    free: Vec<Slot>,
}

/// The right to write one slot. There is one for each.
pub(super) struct Slot(u32);

impl Umem {
    /// Bytes of a slot: the smallest size that the kernel accepts and the longest frame fits.
    pub(super) const SLOT: usize = 2048;
    /// Enough that a 10 Gbit/s card which reports sent frames once in 0.4 ms is never out of work.
    pub(super) const SLOTS: usize = 512;
    /// Bytes of a frame to receive into. The kernel keeps 256 of them for itself, and some cards
    /// (82576, 82599) use only whole KiB of the rest: of 2,048 bytes they would use 1,024, and lose
    /// every longer frame.
    const FRAME: usize = 4096;
    /// The longest MTU that a card can receive so, with the Ethernet header, two VLAN tags and
    /// the FCS.
    pub(super) const LONGEST_MTU: usize = 3072 - 14 - 2 * 4 - 4;

    /// Fresh memory for the slots, all of which are free, and `receive` frames more.
    pub(super) fn new(receive: usize) -> io::Result<Self> {
        let length = Self::SLOT * Self::SLOTS + Self::FRAME * receive;
        let memory = MmapMut::map_anon(length)?.into();
        Ok(Self { memory, free: (0..Self::SLOTS as u32).rev().map(Slot).collect() })
    }

    /// Where the memory is, for the kernel.
    pub(super) fn address(&self) -> u64 {
        self.memory.as_ptr() as u64
    }

    /// Chunk size in bytes: no frame may cross a multiple of it.
    pub(super) fn chunk(&self) -> usize {
        if self.memory.len() > Self::SLOT * Self::SLOTS { Self::FRAME } else { Self::SLOT }
    }

    /// Its size in bytes.
    pub(super) fn len(&self) -> usize {
        self.memory.len()
    }

    /// The addresses of the frames to receive into.
    pub(super) fn receive_frames(&self) -> impl Iterator<Item = u64> + use<> {
        (Self::SLOTS * Self::SLOT..self.memory.len())
            .step_by(Self::FRAME)
            .map(|address| address as u64)
    }

    /// How many frames can be written before the kernel gives a slot back.
    pub(super) fn free(&self) -> usize {
        self.free.len()
    }

    /// Copies a frame in two parts into a free slot, and returns what the kernel has to know about
    /// it. `None` if no slot is free or the frame is longer than a slot.
    ///
    /// The slot used last is used first: it is in the cache.
    pub(super) fn write(&mut self, head: &[u8], payload: &[u8]) -> Option<libc::xdp_desc> {
        let length = head.len() + payload.len();
        if length > Self::SLOT {
            return None;
        }
        let slot = self.free.pop()?;
        let offset = slot.0 as usize * Self::SLOT;
        // SAFETY: the slot lies inside the memory, no one else writes or reads it while we hold
        // the right to it, and both parts together fit.
        unsafe {
            let to = self.memory.as_mut_ptr().add(offset);
            ptr::copy_nonoverlapping(head.as_ptr(), to, head.len());
            ptr::copy_nonoverlapping(payload.as_ptr(), to.add(head.len()), payload.len());
        }
        Some(libc::xdp_desc { addr: offset as u64, len: length as u32, options: 0 })
    }

    /// Frees the slot at `address`, which the kernel is done with.
    pub(super) fn give_back(&mut self, address: u64) {
        let ours = address < (Self::SLOTS * Self::SLOT) as u64;
        debug_assert!(ours, "an address that we never gave away");
        self.free.push(Slot((address as usize / Self::SLOT) as u32));
    }
}

/// Prefetches `bytes`: an image is seldom in the cache, and a copy that waits for memory waits
/// long.
pub(super) fn prefetch(bytes: &[u8]) {
    #[cfg(target_arch = "x86_64")]
    for line in bytes.chunks(64) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint, which reads nothing and faults nowhere.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = bytes;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_slot_is_given_once_and_comes_back() {
        let mut umem = Umem::new(16).unwrap();
        let mut given: Vec<_> = std::iter::from_fn(|| umem.write(&[1; 34], &[2; 1024]))
            .map(|frame| frame.addr)
            .collect();
        assert_eq!((given.len(), umem.free()), (Umem::SLOTS, 0));
        let last = *given.last().unwrap();
        given.sort_unstable();
        given.dedup();
        assert_eq!(given.len(), Umem::SLOTS);
        let received: Vec<_> = umem.receive_frames().collect();
        assert_eq!((received.len(), umem.len()), (16, (1 << 20) + (16 << 12)));
        assert_eq!((umem.chunk(), Umem::new(0).unwrap().chunk()), (4096, 2048));
        assert!(received.iter().all(|frame| !given.contains(frame)));
        umem.give_back(last);
        assert!(umem.write(&[0; 34], &[0; Umem::SLOT]).is_none());
        assert_eq!(
            umem.write(&[3; 26], &[]).map(|frame| (frame.addr, frame.len)),
            Some((last, 26))
        );
    }
}
