//! The classic BPF programs that the kernel runs on every frame that arrives.

use boot_format::wire::{ETHERTYPE, MAGIC, MacAddr};

/// Accepts frames of the boot protocol (ethertype and magic) for the link's own address, for one of
/// its former ones, or for all; and those that come from outside with `own` as their source.
///
/// Frames with a VLAN tag are not for us: a tagged segment is served on its VLAN's own link. A tag
/// with the VID 0 names no VLAN, only a priority. The kernel strips tags from frames; if a VID has
/// no link here, it may report only that the frame is for another host, whatever its destination.
pub(super) fn frames_for(own: MacAddr, former: &[MacAddr]) -> Vec<libc::sock_filter> {
    const DESTINATION: u32 = 0;
    const SOURCE: u32 = 6;
    let mut others = Vec::new();
    for &address in former {
        others.extend(give_if(DESTINATION, address));
    }
    others.extend(give_if(SOURCE, own));
    others.push(give(0));
    boot_frames_and(&others)
}

/// Accepts frames that have `address` at offset `at`, and continues with others.
fn give_if(at: u32, address: MacAddr) -> [libc::sock_filter; 5] {
    let [a, b, c, d, e, f] = address.octets();
    [
        load(libc::BPF_W, at),
        jump_unless(u32::from_be_bytes([a, b, c, d]), 3),
        load(libc::BPF_H, at + 4),
        jump_unless(u16::from_be_bytes([e, f]).into(), 1),
        give(u32::MAX),
    ]
}

/// Accepts frames of the boot protocol whatever their destination. A frame for a group that the
/// kernel reports as being for another host had a VLAN tag.
pub(super) fn frames_for_all() -> Vec<libc::sock_filter> {
    boot_frames_and(&[
        load(libc::BPF_B, 0),
        op(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 1, 0, 1),
        give(u32::MAX),
        give(0),
    ])
}

/// Accepts frames of the boot protocol in no VLAN; `others` decides about those for other hosts.
fn boot_frames_and(others: &[libc::sock_filter]) -> Vec<libc::sock_filter> {
    /// From linux/if_packet.h.
    const OTHER_HOST: u32 = 3;
    const VID: u32 = 0xfff;
    let mut program = vec![
        load(libc::BPF_H, 12),
        jump_unless(ETHERTYPE.into(), 6),
        load(libc::BPF_W, 14),
        jump_unless(MAGIC, 4),
        // This is 0 without a tag, too.
        load(libc::BPF_H, ancillary(libc::SKF_AD_VLAN_TAG)),
        op(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 2, 0, VID),
        load(libc::BPF_H, ancillary(libc::SKF_AD_PKTTYPE)),
        op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 2, 1, OTHER_HOST),
        give(0),
        give(u32::MAX),
    ];
    program.extend(others);
    program
}

/// The offset at which the kernel shows metadata of a frame.
fn ancillary(what: libc::c_int) -> u32 {
    (libc::SKF_AD_OFF + what).cast_unsigned()
}

/// Accepts nothing.
pub(super) fn nothing() -> [libc::sock_filter; 1] {
    [give(0)]
}

/// Picks a worker for a frame by its source address: the kernel takes the answer modulo the
/// number of workers.
///
/// Vendors assign addresses in steps, of two or four for cards with several ports. So the address
/// is multiplied by a constant that spreads any step evenly, and the upper half of the product is
/// used. The first two bytes are the vendor's and are ignored.
pub(super) fn worker_of_source() -> [libc::sock_filter; 4] {
    /// 2^32 divided by the golden ratio.
    const SPREAD: u32 = 0x9e37_79b1;
    [
        // While workers are picked, offsets count from the end of the Ethernet header.
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
