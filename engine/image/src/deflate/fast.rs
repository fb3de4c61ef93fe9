//! The middle of blocks, inflated as fast as can be: with no check that can be done without.

#![expect(unsafe_code, reason = "what a lane's condition has shown is not checked again")]
#![expect(clippy::inline_always, reason = "parts of loops, which are compiled twice")]

use std::hint::select_unpredictable as select;
use std::mem::MaybeUninit;

use super::bits::Bits;
use super::code::{Codes, Entry};
use super::output::{Memory, WINDOW};

/// Bytes of input that one turn passes over, or looks at: two refills of seven bytes, and one
/// word ahead.
const MOST_INPUT: usize = 3 * 8;
/// Bytes of output in one turn: literals, the longest match, and what is written past its end.
const MOST_OUTPUT: usize = 3 + 258 + WIDE;
/// Bytes copied at a time: few matches are longer.
const WIDE: usize = 32;

/// A block that is to be gone on with.
pub(super) struct Work<'w, 'm, 'b> {
    pub(super) output: &'w mut Memory<'m>,
    pub(super) bits: &'w mut Bits<'b>,
    pub(super) codes: &'w Codes,
    /// No symbol may end behind so many bytes of the input.
    pub(super) most: usize,
}

/// Does what [`super::output::Output::hurry`] says.
pub(super) fn hurry(work: Work<'_, '_, '_>) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "bmi2,avx2")]
        fn hurry_with_avx2(work: Work<'_, '_, '_>) {
            hurry_any(work);
        }
        if has_avx2() {
            // SAFETY: it is there.
            return unsafe { hurry_with_avx2(work) };
        }
    }
    hurry_any(work);
}

/// The same with two blocks, until one of them does not go on: in less time than one after the
/// other, since a processor waits for the bits of one while it does something about the other.
pub(super) fn hurry_both(one: Work<'_, '_, '_>, other: Work<'_, '_, '_>) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "bmi2,avx2")]
        fn hurry_both_with_avx2(one: Work<'_, '_, '_>, other: Work<'_, '_, '_>) {
            hurry_both_any(one, other);
        }
        if has_avx2() {
            // SAFETY: it is there.
            return unsafe { hurry_both_with_avx2(one, other) };
        }
    }
    hurry_both_any(one, other);
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("bmi2") && std::arch::is_x86_feature_detected!("avx2")
}

#[inline(always)]
fn hurry_any(mut work: Work<'_, '_, '_>) {
    if let Some(mut lane) = Lane::new(&mut work) {
        lane.run_alone();
        lane.leave(&mut work);
    }
}

#[inline(always)]
fn hurry_both_any(mut one: Work<'_, '_, '_>, mut other: Work<'_, '_, '_>) {
    match (Lane::new(&mut one), Lane::new(&mut other)) {
        (Some(mut lane), Some(mut beside)) => {
            loop {
                let turns = lane.turns().min(beside.turns());
                // Mostly there is no need to look how far back a distance reaches.
                let went_on = if lane.length().min(beside.length()) < WINDOW as usize {
                    run_both::<false>(&mut lane, &mut beside, turns)
                } else {
                    run_both::<true>(&mut lane, &mut beside, turns)
                };
                if !went_on {
                    break;
                }
            }
            lane.leave(&mut one);
            beside.leave(&mut other);
        }
        // The one that can't will with some care.
        (Some(mut lane), None) => {
            lane.run_alone();
            lane.leave(&mut one);
        }
        (None, Some(mut lane)) => {
            lane.run_alone();
            lane.leave(&mut other);
        }
        (None, None) => {}
    }
}

/// So many turns of each, and says whether all of them were taken, and there were any.
#[inline(always)]
fn run_both<const HAS_WINDOW: bool>(
    lane: &mut Lane<'_>,
    beside: &mut Lane<'_>,
    turns: usize,
) -> bool {
    for _ in 0..turns {
        if !(lane.turn::<HAS_WINDOW>() && beside.turn::<HAS_WINDOW>()) {
            return false;
        }
    }
    turns > 0
}

/// Work under way, in what fits in registers.
///
/// All pointers are into the input or the room. Before `from` there is what has been read,
/// between `start` and `to` what came out. [`MOST_INPUT`] bytes behind `last_input` may be read,
/// and [`MOST_OUTPUT`] behind `last_output` written: so both are for one turn that begins before
/// these.
struct Lane<'w> {
    codes: &'w Codes,
    /// The next bits, 56 or more when a turn begins.
    register: u64,
    /// How many, in the lowest 6 bits.
    held: u32,
    from: *const u8,
    last_input: *const u8,
    start: *mut MaybeUninit<u8>,
    to: *mut MaybeUninit<u8>,
    last_output: *mut MaybeUninit<u8>,
}

impl<'w> Lane<'w> {
    /// Nothing if there is not enough input or room for a turn.
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
        let mut lane = unsafe {
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
        lane.refill();
        Some(lane)
    }

    #[inline(always)]
    fn leave(self, work: &mut Work<'_, '_, '_>) {
        let bytes = work.bits.bytes;
        let next = self.from.addr() - bytes.as_ptr().addr();
        *work.bits = Bits { bytes, next, register: self.register, held: self.held & 63 };
        work.output.length = self.to.addr() - self.start.addr();
    }

    /// Turns, until one can't be taken, that are quick where what comes next can be foreseen.
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
                if !self.any() {
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

    /// A turn that takes a literal if one comes next, and the symbol behind that, whatever it is.
    /// It branches as good as never, so it does not matter that literals can't be foreseen. Says
    /// whether the turn was taken, which has to be one of [`Lane::turns`]. It `HAS_WINDOW` if as
    /// much came out as any distance reaches back.
    #[inline(always)]
    fn turn<const HAS_WINDOW: bool>(&mut self) -> bool {
        let Codes { literals, distances } = self.codes;
        let first = literals.short(self.register);
        // SAFETY: there is room for what a turn gives. If it is no literal, nothing stays of it.
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
            return self.any();
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

    /// A turn that takes one symbol, however long its codes are. Says whether it was taken: the
    /// end of a block is not, and neither is what is no symbol.
    #[inline(always)]
    fn any(&mut self) -> bool {
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

    /// How many turns can be taken, whatever they take and give.
    #[inline(always)]
    fn turns(&self) -> usize {
        let input = self.last_input.addr().saturating_sub(self.from.addr());
        let room = self.last_output.addr().saturating_sub(self.to.addr());
        input.div_ceil(8).min(room.div_ceil(MOST_OUTPUT))
    }

    #[inline(always)]
    fn has_room(&self) -> bool {
        self.from < self.last_input && self.to < self.last_output
    }

    /// Bytes that came out.
    #[inline(always)]
    fn length(&self) -> usize {
        self.to.addr() - self.start.addr()
    }

    #[inline(always)]
    fn refill(&mut self) {
        // SAFETY: a turn begins before `last_input`, and what it passes over and looks at is not
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
        // SAFETY: there is room for what a turn gives.
        unsafe {
            self.to.write(MaybeUninit::new(entry.literal()));
            self.to = self.to.add(1);
        }
        self.skip(entry);
    }

    /// `distance` may not be more than what came out.
    #[inline(always)]
    fn repeat(&mut self, distance: usize, length: usize) {
        // SAFETY: the distance reaches back to what has been written, and there is room for what
        // a turn gives.
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

/// All bytes in order, so that a literal can be copied as a match is.
static BYTES: [u8; 256 + WIDE] = {
    let mut bytes = [0; 256 + WIDE];
    let mut byte = 0;
    while byte < 256 {
        bytes[byte] = byte as u8;
        byte += 1;
    }
    bytes
};

/// Writes `count` bytes to `to`, each the one that stands `distance` bytes before it.
///
/// # Safety
///
/// So many bytes before `to` have been written, and there is room for [`WIDE`] more than `count`
/// behind it, which may be written too.
#[cold]
unsafe fn repeat(to: *mut MaybeUninit<u8>, distance: usize, count: usize) {
    /// Copies `WIDTH` bytes at a time, each that many times `step` further on.
    ///
    /// # Safety
    ///
    /// As that of its caller; what lies between `from` and `to` is no less than `WIDTH`, or
    /// repeats itself every `step` bytes.
    #[inline(always)]
    unsafe fn by<const WIDTH: usize>(
        mut from: *mut MaybeUninit<u8>,
        mut to: *mut MaybeUninit<u8>,
        step: usize,
        count: usize,
    ) {
        let mut done = 0;
        loop {
            // SAFETY: no more than `WIDTH` bytes behind the last that are asked for.
            unsafe {
                std::ptr::copy(from, to, WIDTH);
                from = from.add(step);
                to = to.add(step);
            }
            done += step;
            if done >= count {
                return;
            }
        }
    }
    // SAFETY: as the contract above demands.
    unsafe {
        let from = to.sub(distance);
        if distance >= WIDE {
            by::<WIDE>(from, to, WIDE, count);
        } else if distance >= 8 {
            by::<8>(from, to, 8, count);
        } else if distance == 1 {
            let byte = from.read().assume_init();
            let mut done = 0;
            while done < count {
                std::ptr::write_bytes(to.add(done), byte, WIDE);
                done += WIDE;
            }
        } else {
            by::<8>(from, to, distance, count);
        }
    }
}
