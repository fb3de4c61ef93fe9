//! A sandbox as containers have one: some system calls are denied.

#![expect(unsafe_code, reason = "system calls on raw memory have no safe form")]

use std::io;

/// Denies io_uring_setup, and sockets of the family AF_XDP, to the calling thread and its children,
/// for good.
pub(crate) fn deny_io_uring_and_af_xdp() {
    const ALLOW: u32 = libc::SECCOMP_RET_ALLOW;
    const DENY: u32 = libc::SECCOMP_RET_ERRNO | libc::EPERM as u32;
    // Offsets in seccomp_data of the call's number, and of the low half of its first argument.
    const CALL: u32 = 0;
    const FIRST: u32 = if cfg!(target_endian = "big") { 20 } else { 16 };
    let load = |at| op(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, at);
    let equal = |value, jt, jf| op(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, jt, jf, value);
    let give = |value| op(libc::BPF_RET | libc::BPF_K, 0, 0, value);
    let program = [
        load(CALL),
        equal(libc::SYS_io_uring_setup as u32, 3, 0),
        equal(libc::SYS_socket as u32, 0, 3),
        load(FIRST),
        equal(libc::AF_XDP as u32, 0, 1),
        give(DENY),
        give(ALLOW),
    ];
    let program =
        libc::sock_fprog { len: program.len() as u16, filter: program.as_ptr().cast_mut() };
    // SAFETY: the kernel only reads the program.
    let results = unsafe {
        [
            libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program),
        ]
    };
    assert_eq!(results, [0, 0], "{}", io::Error::last_os_error());
}

fn op(code: u32, jt: u8, jf: u8, k: u32) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}
