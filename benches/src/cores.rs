//! Threads on cores of their own, and the CPU time that they take.

use std::sync::OnceLock;
use std::time::Duration;

use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::Pid;

/// Keeps the calling thread on the `nth` of the cores that this process had at first, or the last
/// of them: some systems leave both sides of a link on the same one for many boots.
///
/// Threads that it starts stay there too, so it is for threads that live for one measurement.
pub fn keep_to(nth: usize) {
    static USABLE: OnceLock<Vec<usize>> = OnceLock::new();
    let usable = USABLE.get_or_init(|| {
        let all = sched_getaffinity(Pid::from_raw(0)).unwrap_or_default();
        (0..CpuSet::count()).filter(|&core| all.is_set(core).unwrap_or(false)).collect()
    });
    let Some(&core) = usable.get(nth).or(usable.last()) else { return };
    let mut own = CpuSet::new();
    // The system has just named this core; without it the scheduler places the thread.
    let _ = own.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &own));
}

/// CPU time of the calling thread so far.
///
/// # Panics
///
/// On a system without such a clock.
pub fn thread_time() -> Duration {
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock").into()
}

/// CPU time of all threads of this process so far.
///
/// # Panics
///
/// On a system without such a clock.
pub fn process_time() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).expect("Linux has this clock").into()
}
