//! Seccomp (seccomp(2)): which system calls a worker may make. Workers read what strangers send.

use std::collections::BTreeMap;
use std::env::consts::ARCH;

use boot_backends::TxPath;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter,
};

/// A worker's filter.
#[derive(Debug)]
pub(super) struct Filter(BpfProgram);

/// What workers call on every path, as `strace -f` shows it of boots, of links that go down, change
/// and disappear, of the shared hold on a link, and of their end.
const COMMON: &[i64] = &[
    // Frames and news of links.
    libc::SYS_ppoll,
    libc::SYS_recvmmsg,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    libc::SYS_sendmmsg,
    libc::SYS_getsockopt,
    libc::SYS_setsockopt,
    libc::SYS_close,
    // The hold on a link: closing those that ask, taking a shared one over.
    libc::SYS_accept4,
    libc::SYS_bind,
    libc::SYS_listen,
    // Memory, and other threads.
    libc::SYS_brk,
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_futex,
    libc::SYS_sched_yield,
    // Time and chance.
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_getrandom,
    // What the C library and the kernel need in a thread: signals, its start and its end.
    libc::SYS_rt_sigreturn,
    libc::SYS_rt_sigprocmask,
    libc::SYS_restart_syscall,
    libc::SYS_sigaltstack,
    libc::SYS_rseq,
    libc::SYS_set_robust_list,
    libc::SYS_sched_getaffinity,
    libc::SYS_gettid,
    libc::SYS_exit,
    // The message of a panic, and the abort of a double one.
    libc::SYS_write,
    libc::SYS_getpid,
    libc::SYS_tgkill,
    libc::SYS_exit_group,
];

impl Filter {
    /// For the workers of links that were opened for `tx`.
    ///
    /// # Errors
    ///
    /// If this processor has no seccomp filters.
    pub(super) fn new(tx: TxPath) -> Result<Self, seccompiler::Error> {
        let filter = SeccompFilter::new(
            calls(tx)?,
            // As if the privilege were missing: a server that goes on is better than one that is
            // killed for a call of a new C library.
            SeccompAction::Errno(libc::EPERM.cast_unsigned()),
            SeccompAction::Allow,
            TargetArch::try_from(ARCH)?,
        )?;
        Ok(Self(filter.try_into()?))
    }

    /// Binds the calling thread, for good.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub(super) fn apply(&self) -> Result<(), seccompiler::Error> {
        apply_filter(&self.0)
    }
}

/// Calls that workers make with only a few values of one argument: the call, which argument, and
/// the values.
#[allow(clippy::unnecessary_cast, reason = "the constants' type is the C library's choice")]
const WITH: &[(i64, u8, &[u64])] = &[
    // News of links come by netlink; the hold on a link is a Unix socket.
    (libc::SYS_socket, 0, &[libc::AF_NETLINK as u64, libc::AF_UNIX as u64]),
    // Whether the link is there; a socket that does not wait.
    (libc::SYS_ioctl, 1, &[libc::SIOCGIFNAME as u64, libc::FIONBIO as u64]),
    // Timers that end on time; and names of memory, which the C library gives.
    (libc::SYS_prctl, 0, &[libc::PR_SET_TIMERSLACK as u64, libc::PR_SET_VMA as u64]),
    // Unoptimised, the standard library checks that a descriptor is open before it closes it.
    (libc::SYS_fcntl, 1, &[libc::F_GETFD as u64]),
];

/// What io_uring needs besides. A worker makes its ring itself, as no other thread may use it.
const URING: &[i64] =
    &[libc::SYS_io_uring_setup, libc::SYS_io_uring_enter, libc::SYS_io_uring_register];

type Calls = BTreeMap<i64, Vec<SeccompRule>>;

fn calls(tx: TxPath) -> Result<Calls, seccompiler::Error> {
    // A call without rules may be made with any arguments.
    let uring = URING.iter().filter(|_| tx == TxPath::Uring);
    let mut calls: Calls = COMMON.iter().chain(uring).map(|&call| (call, Vec::new())).collect();
    for &(call, argument, values) in WITH {
        let rules = values.iter().map(|&value| rule(argument, SeccompCmpOp::Eq, value));
        calls.insert(call, rules.collect::<Result<_, _>>()?);
    }
    // No mapping becomes executable.
    let executable = u64::from(libc::PROT_EXEC.cast_unsigned());
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        calls.insert(call, vec![rule(2, SeccompCmpOp::MaskedEq(executable), 0)?]);
    }
    Ok(calls)
}

/// A rule on the lower half of an argument.
fn rule(argument: u8, is: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::Error> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Dword, is, value)?;
    Ok(SeccompRule::new(vec![condition])?)
}
