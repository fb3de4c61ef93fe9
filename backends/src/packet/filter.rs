//! The classic BPF programs that the kernel runs on every frame that arrives.

use boot_engine::wire::{ETHERTYPE, MAGIC};

/// Accepts frames of the boot protocol: its ethertype, and its magic behind that.
///
/// Frames with a VLAN tag are not for us: a tagged segment is served on its VLAN's own link.
pub(super) fn boot_frames() -> [libc::sock_filter; 6] {
    [
        load(libc::BPF_H, 12),
        jump_unless(ETHERTYPE.into(), 3),
        load(libc::BPF_W, 14),
        jump_unless(MAGIC, 1),
        give(u32::MAX),
        give(0),
    ]
}

/// Accepts nothing.
pub(super) fn nothing() -> [libc::sock_filter; 1] {
    [give(0)]
}

/// Picks a worker for a frame by its source address: the kernel takes the answer modulo the
/// number of workers.
///
/// A vendor's addresses are handed out in steps, of two or four for cards with several ports,
/// so they are multiplied by a constant that spreads any step evenly, and the upper half of the
/// product is used. The vendor's own two first bytes say nothing.
pub(super) fn worker_of_source() -> [libc::sock_filter; 4] {
    /// 2^32 divided by the golden ratio.
    const SPREAD: u32 = 0x9e37_79b1;
    [
        // While workers are picked, offsets count from behind the Ethernet header.
        load(libc::BPF_W, libc::SKF_LL_OFF.cast_unsigned() + 8),
        op(libc::BPF_ALU | libc::BPF_MUL | libc::BPF_K, 0, 0, SPREAD),
        op(libc::BPF_ALU | libc::BPF_RSH | libc::BPF_K, 0, 0, 16),
        op(libc::BPF_RET | libc::BPF_A, 0, 0, 0),
    ]
}

fn load(width: u32, at: u32) -> libc::sock_filter {
    op(libc::BPF_LD | libc::BPF_ABS | width, 0, 0, at)
}

fn jump_unless(value: u32, skip: u8) -> libc::sock_filter {
    op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, skip, value)
}

fn give(bytes: u32) -> libc::sock_filter {
    op(libc::BPF_RET | libc::BPF_K, 0, 0, bytes)
}

fn op(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}
