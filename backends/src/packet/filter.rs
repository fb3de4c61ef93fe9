//! The classic BPF program that the kernel runs on every frame that arrives.

use boot_engine::wire::{ETHERTYPE, MAGIC};

/// Accepts frames of the boot protocol: its ethertype, and its magic behind that.
///
/// Frames with a VLAN tag are not for us: a tagged segment is served on its VLAN's own link.
pub(super) fn program() -> [libc::sock_filter; 6] {
    const ACCEPT: u32 = u32::MAX;
    let load = |width: u32, at: u32| op(libc::BPF_LD | libc::BPF_ABS | width, 0, 0, at);
    let jump_unless =
        |value: u32, skip: u8| op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, skip, value);
    let give = |bytes: u32| op(libc::BPF_RET | libc::BPF_K, 0, 0, bytes);
    [
        load(libc::BPF_H, 12),
        jump_unless(ETHERTYPE.into(), 3),
        load(libc::BPF_W, 14),
        jump_unless(MAGIC, 1),
        give(ACCEPT),
        give(0),
    ]
}

fn op(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}
