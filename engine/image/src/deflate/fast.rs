//! The fast path, for the middle of blocks: every bounds check is hoisted out of the loop.

#![expect(unsafe_code, reason = "bounds are checked once for many symbols")]
#![expect(
    clippy::inline_always,
    reason = "parts of loops that are compiled twice, with and without AVX2"
)]

use std::hint::select_unpredictable as select;
use std::mem::MaybeUninit;

use super::bits::Bits;
use super::code::{Codes, Entry};
use super::output::{Memory, WINDOW};
use super::repeat::{BYTES, WIDE, repeat};

/// Bytes of input that one iteration takes or looks at: two refills of seven bytes, and one word
/// ahead.
const MOST_INPUT: usize = 3 * 8;
/// Bytes of output of one iteration: literals, the longest match, and what is written past its
/// end.
const MOST_OUTPUT: usize = 3 + 258 + WIDE;

/// A block to continue with.
pub(super) struct Work<'w, 'm, 'b> {
    pub(super) output: &'w mut Memory<'m>,
    pub(super) bits: &'w mut Bits<'b>,
    pub(super) codes: &'w Codes,
    /// No symbol may end after this many bytes of the input.
    pub(super) most: usize,
}

/// See [`super::output::Output::fast_path`].
pub(super) fn fast_path(work: Work<'_, '_, '_>) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "bmi2,avx2")]
        fn fast_path_with_avx2(work: Work<'_, '_, '_>) {
            fast_path_any(work);
        }
        if has_avx2() {
            // SAFETY: the processor has both features.
            return unsafe { fast_path_with_avx2(work) };
        }
    }
    fast_path_any(work);
}

/// Inflates two blocks, until one of them cannot continue. This is faster than one after the other,
/// since a processor that waits for the bits of one can work on the other.
pub(super) fn fast_path_both(one: Work<'_, '_, '_>, other: Work<'_, '_, '_>) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "bmi2,avx2")]
        fn fast_path_both_with_avx2(one: Work<'_, '_, '_>, other: Work<'_, '_, '_>) {
            fast_path_both_any(one, other);
        }
        if has_avx2() {
            // SAFETY: the processor has both features.
            return unsafe { fast_path_both_with_avx2(one, other) };
        }
    }
    fast_path_both_any(one, other);
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("bmi2") && std::arch::is_x86_feature_detected!("avx2")
}

#[inline(always)]
fn fast_path_any(mut work: Work<'_, '_, '_>) {
    if let Some(mut stream) = Stream::new(&mut work) {
        stream.run_alone();
        stream.leave(&mut work);
    }
}

#[inline(always)]
fn fast_path_both_any(mut one: Work<'_, '_, '_>, mut other: Work<'_, '_, '_>) {
    match (Stream::new(&mut one), Stream::new(&mut other)) {
        (Some(mut stream), Some(mut beside)) => {
            loop {
                let iterations = stream.iterations().min(beside.iterations());
                // Mostly there is no need to check how far back a distance reaches.
                let went_on = if stream.length().min(beside.length()) < WINDOW as usize {
                    run_both::<false>(&mut stream, &mut beside, iterations)
                } else {
                    run_both::<true>(&mut stream, &mut beside, iterations)
                };
                if !went_on {
                    break;
                }
            }
            stream.leave(&mut one);
            beside.leave(&mut other);
        }
        // The other one takes the slow path.
        (Some(mut stream), None) => {
            stream.run_alone();
            stream.leave(&mut one);
        }
        (None, Some(mut stream)) => {
            stream.run_alone();
            stream.leave(&mut other);
        }
        (None, None) => {}
    }
}

/// Runs `iterations` on each. Returns whether both completed them all, and there were any.
#[inline(always)]
fn run_both<const HAS_WINDOW: bool>(
    stream: &mut Stream<'_>,
    beside: &mut Stream<'_>,
    iterations: usize,
) -> bool {
    for _ in 0..iterations {
        if !(stream.symbols::<HAS_WINDOW>() && beside.symbols::<HAS_WINDOW>()) {
            return false;
        }
    }
    iterations > 0
}

/// A stream being inflated, in what fits in registers.
///
/// All pointers are into the input or the room. What precedes `from` has been read; the output is
/// between `start` and `to`. [`MOST_INPUT`] bytes after `last_input` may be read, and
/// [`MOST_OUTPUT`] after `last_output` written: enough for one iteration that begins before these.
struct Stream<'w> {
    codes: &'w Codes,
    /// The next bits, 56 or more when an iteration begins.
    register: u64,
    /// How many, in the lowest 6 bits.
    held: u32,
    from: *const u8,
    last_input: *const u8,
    start: *mut MaybeUninit<u8>,
    to: *mut MaybeUninit<u8>,
    last_output: *mut MaybeUninit<u8>,
}

impl<'w> Stream<'w> {
    /// `None` if there is not enough input or room for an iteration.
    #[inline(always)]
    fn new(work: &mut Work<'w, '_, '_>) -> Option<Self> {
        let Work { output, bits, codes, most } = work;
        let last_input = (*most).min(bits.bytes.len()).saturating_sub(MOST_INPUT);
        let last_output = output.room.len().saturating_sub(MOST_OUTPUT);
        if bits.next >= last_input || output.length >= last_output {
            return None;
        }
        let (input, start) = (bits.bytes.as_ptr(), output.room.as_mut_ptr());
        // SAFETY: all are within the input and the room.
        let mut stream = unsafe {
            Self {
                codes,
                register: bits.register,
                held: bits.held,
                from: input.add(bits.next),
                last_input: input.add(last_input),
                start,
                to: start.add(output.length),
                last_output: start.add(last_output),
            }
        };
        stream.refill();
        Some(stream)
    }

    #[inline(always)]
    fn leave(self, work: &mut Work<'_, '_, '_>) {
        let bytes = work.bits.bytes;
        let next = self.from.addr() - bytes.as_ptr().addr();
        *work.bits = Bits { bytes, next, register: self.register, held: self.held & 63 };
        work.output.length = self.to.addr() - self.start.addr();
    }

    /// Inflates symbols until one needs the slow path; fast where branches are predictable.
    #[inline(always)]
    fn run_alone(&mut self) {
        let Codes { literals, distances } = self.codes;
        let mut entry = literals.short(self.register);
        while self.has_room() {
            // Three literals take 33 bits, as long as their codes are short.
            if entry.is_literal() {
                self.literal(entry);
                entry = literals.short(self.register);
                if entry.is_literal() {
                    self.literal(entry);
                    entry = literals.short(self.register);
                    if entry.is_literal() {
                        self.literal(entry);
                        entry = literals.short(self.register);
                        self.refill();
                        continue;
                    }
                }
                self.refill();
            }
            let ahead = self.register;
            let behind = ahead >> (entry.low_bits() & 63);
            let far = distances.short(behind);
            let distance = far.distance(behind);
            if entry.either_is_other(far) || distance > self.length() {
                if !self.symbol() {
                    return;
                }
                entry = literals.short(self.register);
                continue;
            }
            let length = entry.length(ahead);
            // Short codes of a length and a distance take 38 bits: enough are left.
            self.skip(entry);
            self.skip(far);
            entry = literals.short(self.register);
            self.refill();
            self.repeat(distance, length);
        }
    }

    /// Inflates a literal, if one comes next, and the symbol after it. It hardly ever branches, so
    /// unpredictable literals cost nothing. Returns whether it did; to be called at most
    /// [`Stream::iterations`] times. `HAS_WINDOW` means that the output is longer than any
    /// distance.
    #[inline(always)]
    fn symbols<const HAS_WINDOW: bool>(&mut self) -> bool {
        let Codes { literals, distances } = self.codes;
        let first = literals.short(self.register);
        // SAFETY: there is room for an iteration. If it is not a literal, it is overwritten.
        let to = unsafe {
            self.to.write(MaybeUninit::new(first.literal()));
            self.to.add(first.literals())
        };
        let ahead = self.register >> (first.literal_low_bits() & 63);
        let entry = literals.short(ahead);
        let behind = ahead >> (entry.low_bits() & 63);
        let far = select(entry.is_literal(), Entry::NO_DISTANCE, distances.short(behind));
        let distance = far.distance(behind);
        let is_beyond = !HAS_WINDOW && distance > to.addr() - self.start.addr();
        if entry.either_is_other(far) || is_beyond {
            return self.symbol();
        }
        let length = select(entry.is_literal(), 1, entry.length(ahead));
        // Short codes of a literal, a length and a distance take 49 bits.
        self.register = behind >> (far.low_bits() & 63);
        let held = self.held.wrapping_sub(first.literal_low_bits());
        self.held = held.wrapping_sub(entry.low_bits()).wrapping_sub(far.low_bits());
        self.refill();
        // SAFETY: the distance reaches back to what has been written, and there is room.
        unsafe {
            let literal = BYTES.as_ptr().add(entry.literal().into()).cast();
            let source = select(entry.is_literal(), literal, to.sub(distance).cast_const());
            if length <= WIDE && length <= distance {
                std::ptr::copy(source, to, WIDE);
            } else {
                repeat(to, distance, length);
            }
            self.to = to.add(length);
        }
        true
    }

    /// Inflates one symbol, however long its codes. Returns whether it did: not at the end of a
    /// block, nor where there is no valid symbol.
    #[inline(always)]
    fn symbol(&mut self) -> bool {
        let Codes { literals, distances } = self.codes;
        let ahead = self.register;
        let entry = literals.entry(ahead);
        if entry.is_other() {
            return false;
        }
        if entry.is_literal() {
            self.literal(entry);
        } else {
            let behind = ahead >> entry.bits();
            let far = distances.entry(behind);
            let distance = far.distance(behind);
            if far.is_other() || distance > self.length() {
                return false;
            }
            // Both take 48 bits at most.
            self.skip(entry);
            self.skip(far);
            self.repeat(distance, entry.length(ahead));
        }
        self.refill();
        true
    }

    /// How many iterations there are input and room for, in any case.
    #[inline(always)]
    fn iterations(&self) -> usize {
        let input = self.last_input.addr().saturating_sub(self.from.addr());
        let room = self.last_output.addr().saturating_sub(self.to.addr());
        input.div_ceil(8).min(room.div_ceil(MOST_OUTPUT))
    }

    #[inline(always)]
    fn has_room(&self) -> bool {
        self.from < self.last_input && self.to < self.last_output
    }

    /// Bytes of output.
    #[inline(always)]
    fn length(&self) -> usize {
        self.to.addr() - self.start.addr()
    }

    #[inline(always)]
    fn refill(&mut self) {
        // SAFETY: an iteration begins before `last_input`, and what it takes and looks at is not
        // past the end.
        unsafe {
            let word = u64::from_le_bytes(self.from.cast::<[u8; 8]>().read_unaligned());
            self.register |= word << (self.held & 63);
            self.from = self.from.add(7 - (self.held as usize >> 3 & 7));
        }
        self.held |= 0b11_1000;
    }

    #[inline(always)]
    fn skip(&mut self, entry: Entry) {
        self.register >>= entry.low_bits() & 63;
        self.held = self.held.wrapping_sub(entry.low_bits());
    }

    #[inline(always)]
    fn literal(&mut self, entry: Entry) {
        // SAFETY: there is room for an iteration.
        unsafe {
            self.to.write(MaybeUninit::new(entry.literal()));
            self.to = self.to.add(1);
        }
        self.skip(entry);
    }

    /// `distance` must not exceed the output.
    #[inline(always)]
    fn repeat(&mut self, distance: usize, length: usize) {
        // SAFETY: the distance reaches back to what has been written, and there is room for an
        // iteration.
        unsafe {
            if length <= distance.min(WIDE) {
                std::ptr::copy(self.to.sub(distance), self.to, WIDE);
            } else {
                repeat(self.to, distance, length);
            }
            self.to = self.to.add(length);
        }
    }
}
