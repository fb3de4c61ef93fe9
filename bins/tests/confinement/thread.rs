//! System calls made in a thread of another process, as a debugger makes them.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::ptrace::{self, Options};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// Longer than any thread is busy.
const SOON: Duration = Duration::from_mins(1);

/// An argument of a system call.
#[derive(Clone, Debug)]
pub(crate) enum Argument {
    Number(i64),
    /// Its address; there is space for one.
    Path(PathBuf),
}

/// A thread of another process.
#[derive(Debug)]
pub(crate) struct Thread {
    process: u32,
    id: Pid,
}

impl Thread {
    /// All threads of a process.
    pub(crate) fn all(process: u32) -> Vec<Self> {
        let tasks = fs::read_dir(format!("/proc/{process}/task")).unwrap();
        let name = |task: fs::DirEntry| task.file_name().into_string().unwrap();
        let id = |name: String| Pid::from_raw(name.parse().unwrap());
        tasks.map(|task| Self { process, id: id(name(task.unwrap())) }).collect()
    }

    /// The kernel's entry about it with this name. `None` if it has ended: those that look at files
    /// do.
    pub(crate) fn status(&self, name: &str) -> Option<String> {
        let path = format!("/proc/{}/task/{}/status", self.process, self.id);
        let status = fs::read_to_string(path).ok()?;
        let value = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        Some(value.unwrap_or_else(|| panic!("{name}: {status}")).trim().to_owned())
    }

    /// Has it make a system call between two of its own. `None` if it has ended.
    pub(crate) fn call(&self, number: i64, arguments: &[Argument]) -> Option<Result<i64, Errno>> {
        let until = Instant::now() + SOON;
        loop {
            assert!(Instant::now() < until, "{self:?} never waits");
            let stopped = Stopped::new(self.id)?;
            if let Some(result) = stopped.call(number, arguments) {
                return Some(result);
            }
            drop(stopped);
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// A thread that stands still, and goes on when this is dropped.
struct Stopped(Pid);

impl Stopped {
    /// `None` if the thread has ended.
    fn new(thread: Pid) -> Option<Self> {
        match ptrace::seize(thread, Options::empty()) {
            // The kernel refuses to trace a thread that is about to end.
            Err(Errno::ESRCH | Errno::EPERM) => return None,
            seized => seized.unwrap(),
        }
        ptrace::interrupt(thread).unwrap();
        let state = waitpid(thread, Some(WaitPidFlag::__WALL)).unwrap();
        matches!(state, WaitStatus::PtraceEvent(..) | WaitStatus::Stopped(..))
            .then_some(Self(thread))
    }

    /// `None` if it is not in a system call, whose instruction is needed.
    fn call(&self, number: i64, arguments: &[Argument]) -> Option<Result<i64, Errno>> {
        /// `syscall`, in the order of memory.
        const INSTRUCTION: [u8; 2] = [0x0f, 0x05];
        /// Below this the thread has nothing on its stack (the red zone of the x86-64 psABI).
        const RED_ZONE: u64 = 128;
        const ROOM: u64 = 4096;
        let before = ptrace::getregs(self.0).unwrap();
        let instruction = before.rip - INSTRUCTION.len() as u64;
        let word = ptrace::read(self.0, instruction as *mut _).unwrap();
        if word.to_le_bytes()[..2] != INSTRUCTION {
            return None;
        }
        let mut place = (before.rsp - RED_ZONE - ROOM) & !0xf;
        let mut values = [0; 6];
        for (value, argument) in values.iter_mut().zip(arguments) {
            *value = match argument {
                Argument::Number(number) => number.cast_unsigned(),
                Argument::Path(path) => {
                    let start = place;
                    let mut bytes = path.as_os_str().as_bytes().to_vec();
                    bytes.resize((bytes.len() + 1).next_multiple_of(8), 0);
                    for word in bytes.as_chunks().0 {
                        ptrace::write(self.0, place as *mut _, i64::from_le_bytes(*word)).unwrap();
                        place += 8;
                    }
                    start
                }
            };
        }
        let mut registers = before;
        registers.rip = instruction;
        // The kernel must not restart a call here.
        registers.orig_rax = u64::MAX;
        registers.rax = number.cast_unsigned();
        [registers.rdi, registers.rsi, registers.rdx, registers.r10, registers.r8, registers.r9] =
            values;
        ptrace::setregs(self.0, registers).unwrap();
        ptrace::step(self.0, None).unwrap();
        waitpid(self.0, Some(WaitPidFlag::__WALL)).unwrap();
        let answer = ptrace::getregs(self.0).unwrap().rax.cast_signed();
        // With these the kernel restarts the interrupted call.
        ptrace::setregs(self.0, before).unwrap();
        // The kernel's errors are -4095 to -1.
        Some(if (-4095..0).contains(&answer) {
            Err(Errno::from_raw(-answer as i32))
        } else {
            Ok(answer)
        })
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = ptrace::detach(self.0, None);
    }
}
