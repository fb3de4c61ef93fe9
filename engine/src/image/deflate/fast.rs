//! The middle of a block, inflated as fast as can be: with no check that can be done without.

#![expect(unsafe_code, reason = "what the loop's condition has shown is not checked again")]
#![expect(clippy::inline_always, reason = "a part of one loop, which is compiled twice")]

use std::mem::MaybeUninit;

use super::bits::Bits;
use super::code::Codes;
use super::output::Memory;

/// Bytes of input that one turn passes over, or looks at: two refills of seven bytes, and one
/// word ahead.
const MOST_INPUT: usize = 3 * 8;
/// Bytes of output in one turn: literals, the longest match, and what is written past its end.
const MOST_OUTPUT: usize = 3 + 258 + 32;

/// Does what [`super::output::Output::hurry`] says.
pub(super) fn hurry(output: &mut Memory<'_>, bits: &mut Bits<'_>, codes: Codes<'_>, most: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "bmi2")]
        fn hurry_with_bmi2(
            output: &mut Memory<'_>,
            bits: &mut Bits<'_>,
            codes: Codes<'_>,
            most: usize,
        ) {
            hurry_any(output, bits, codes, most);
        }
        if std::arch::is_x86_feature_detected!("bmi2") {
            // SAFETY: it is there.
            return unsafe { hurry_with_bmi2(output, bits, codes, most) };
        }
    }
    hurry_any(output, bits, codes, most);
}

#[inline(always)]
fn hurry_any(output: &mut Memory<'_>, bits: &mut Bits<'_>, codes: Codes<'_>, most: usize) {
    let Codes { literals, distances } = codes;
    let bytes = bits.bytes;
    let last_input = most.min(bytes.len()).saturating_sub(MOST_INPUT);
    let last_output = output.room.len().saturating_sub(MOST_OUTPUT);
    if bits.next >= last_input || output.length >= last_output {
        return;
    }
    let (mut register, mut held) = (bits.register, bits.held);
    // SAFETY: all are within the input and the room.
    let (mut from, last_input) =
        unsafe { (bytes.as_ptr().add(bits.next), bytes.as_ptr().add(last_input)) };
    let start = output.room.as_mut_ptr();
    // SAFETY: likewise.
    let (mut to, last_output) = unsafe { (start.add(output.length), start.add(last_output)) };
    macro_rules! refill {
        () => {
            // SAFETY: a turn begins before `last_input`, and what it passes over and looks at
            // is not past the end.
            unsafe {
                let word = u64::from_le_bytes(from.cast::<[u8; 8]>().read_unaligned());
                register |= word << (held & 63);
                from = from.add(7 - (held as usize >> 3 & 7));
            }
            held |= 56;
        };
    }
    macro_rules! skip {
        ($entry:expr) => {
            register >>= $entry.bits() & 63;
            held = held.wrapping_sub($entry.bits());
        };
    }
    macro_rules! literal {
        ($entry:expr) => {
            // SAFETY: a turn begins before `last_output`, and gives so little.
            unsafe {
                to.write(MaybeUninit::new($entry.base() as u8));
                to = to.add(1);
            }
            skip!($entry);
        };
    }
    refill!();
    let mut entry = literals.short(register);
    // Bits of a symbol that turned out to be none, to be gone back over.
    let mut back = 0;
    while from < last_input && to < last_output {
        // Three literals take 33 bits, as long as their codes are short.
        if entry.is_literal() {
            literal!(entry);
            entry = literals.short(register);
            if entry.is_literal() {
                literal!(entry);
                entry = literals.short(register);
                if entry.is_literal() {
                    literal!(entry);
                    entry = literals.short(register);
                    refill!();
                    continue;
                }
            }
        }
        if entry.is_other() {
            if entry.is_long() {
                entry = literals.long(entry, register);
            }
            if entry.is_literal() {
                literal!(entry);
                entry = literals.short(register);
                refill!();
                continue;
            }
            if entry.is_other() {
                break;
            }
        }
        let count = entry.value(register);
        skip!(entry);
        let mut far = distances.short(register);
        refill!();
        if far.is_other() {
            if far.is_long() {
                far = distances.long(far, register);
            }
            if far.is_invalid() {
                back = entry.bits();
                break;
            }
        }
        let distance = far.value(register);
        if distance > to.addr() - start.addr() {
            back = entry.bits();
            break;
        }
        skip!(far);
        entry = literals.short(register);
        refill!();
        // SAFETY: the distance reaches back to what has been written, and there is room for
        // what one turn gives.
        unsafe {
            repeat(to, distance, count);
            to = to.add(count);
        }
    }
    output.length = to.addr() - start.addr();
    let next = from.addr() - bytes.as_ptr().addr();
    held &= 63;
    if back == 0 {
        *bits = Bits { bytes, next, register, held };
    } else {
        *bits = Bits::new(bytes, next as u64 * 8 - u64::from(held) - u64::from(back));
    }
}

/// Writes `count` bytes to `to`, each the one that stands `distance` bytes before it.
///
/// # Safety
///
/// So many bytes before `to` have been written, and there is room for 16 more than `count`
/// behind it, which may be written too.
#[inline(always)]
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
        if distance >= 16 {
            // Most are no longer than this, and there is room.
            by::<16>(from, to, 16, count);
        } else if distance >= 8 {
            by::<8>(from, to, 8, count);
        } else if distance == 1 {
            let byte = from.read().assume_init();
            let mut done = 0;
            while done < count {
                std::ptr::write_bytes(to.add(done), byte, 32);
                done += 32;
            }
        } else {
            by::<8>(from, to, distance, count);
        }
    }
}
