//! libdeflate's inflater, with what its safe interface hides: how much of the input it took.

#![expect(unsafe_code, reason = "the safe interface does not say where a stream ends")]

use std::mem::MaybeUninit;
use std::ptr::NonNull;

use libdeflate_sys as sys;

/// Memory for inflating, used for one stream after the other.
pub(super) struct Inflater {
    raw: NonNull<sys::libdeflate_decompressor>,
}

// SAFETY: the memory behind the pointer is its own and tied to no thread.
unsafe impl Send for Inflater {}

/// Why nothing was inflated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is no stream, or refers to what came before it.
    Bad,
    /// There is not enough room for the output.
    Room,
}

impl Inflater {
    /// `None` if there is no memory.
    pub(super) fn new() -> Option<Self> {
        // SAFETY: no argument, and a null pointer if it fails.
        let raw = unsafe { sys::libdeflate_alloc_decompressor() };
        NonNull::new(raw).map(|raw| Self { raw })
    }

    /// Inflates the deflate stream at the start of `input` into the capacity of `output`, whose
    /// contents it replaces. Returns how many bytes of `input` the stream takes.
    pub(super) fn inflate(&mut self, input: &[u8], output: &mut Vec<u8>) -> Result<usize, Refusal> {
        output.clear();
        let (taken, given) = self.fill(input, output.spare_capacity_mut())?;
        // SAFETY: so many bytes have been written.
        unsafe { output.set_len(given) };
        Ok(taken)
    }

    /// Inflates the deflate stream at the start of `input` to the start of `output`. Returns how
    /// many bytes of `input` the stream takes and how many it gives.
    pub(super) fn inflate_to(
        &mut self,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<(usize, usize), Refusal> {
        // SAFETY: nothing but bytes is written there.
        let room = unsafe { &mut *(std::ptr::from_mut(output) as *mut [MaybeUninit<u8>]) };
        self.fill(input, room)
    }

    fn fill(
        &mut self,
        input: &[u8],
        room: &mut [MaybeUninit<u8>],
    ) -> Result<(usize, usize), Refusal> {
        let (mut taken, mut given) = (0, 0);
        // SAFETY: input and room are valid for their lengths, and what is returned goes to two
        // numbers that live here.
        let result = unsafe {
            sys::libdeflate_deflate_decompress_ex(
                self.raw.as_ptr(),
                input.as_ptr().cast(),
                input.len(),
                room.as_mut_ptr().cast(),
                room.len(),
                &raw mut taken,
                &raw mut given,
            )
        };
        match result {
            sys::libdeflate_result_LIBDEFLATE_SUCCESS => Ok((taken, given)),
            sys::libdeflate_result_LIBDEFLATE_INSUFFICIENT_SPACE => Err(Refusal::Room),
            _ => Err(Refusal::Bad),
        }
    }
}

impl Drop for Inflater {
    fn drop(&mut self) {
        // SAFETY: it was allocated by its counterpart and is freed once.
        unsafe { sys::libdeflate_free_decompressor(self.raw.as_ptr()) };
    }
}
