//! Commands that are run when a boot has ended: in the background, few at once, and each for a
//! limited time.

mod event;
mod facts;
mod output;

use std::collections::VecDeque;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use boot_netboot::server::EventKind;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use self::facts::facts;
use self::output::Output;
use super::events::{Event, Events, What};
use super::lock;
use super::rack::Rack;

pub(crate) use self::event::{Hook, HookEvent};

/// The commands, and how they are run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hooks {
    finish: Option<String>,
    fail: Option<String>,
    limit: Duration,
    work: Arc<Mutex<Work>>,
}

/// What is to be run, and how many threads run it.
#[derive(Debug, Default)]
struct Work {
    waiting: VecDeque<Job>,
    running: usize,
    /// The process groups of those that run.
    groups: Vec<Pid>,
    /// Whether no more are to run.
    ended: bool,
}

/// A command to be run for a sled.
#[derive(Debug)]
struct Job {
    hook: Hook,
    command: String,
    event: Event,
    facts: Vec<(&'static str, String)>,
}

impl Hooks {
    /// How long a command may run: long enough to wait for an answer from the network.
    pub(crate) const LIMIT: Duration = Duration::from_secs(30);
    /// How many run at once: a command is a process, and processors are for serving.
    const MOST_AT_ONCE: usize = 4;
    /// How many wait: each sled of a rack may end its boot at the same time.
    const MOST_WAITING: usize = 256;

    pub(crate) fn new(finish: Option<String>, fail: Option<String>, limit: Duration) -> Self {
        Self { finish, fail, limit, work: Arc::default() }
    }

    /// Runs the command for `event`, if there is one.
    pub(super) fn note(&self, event: &Event, rack: &Rack, events: &Events) {
        let (hook, command) = match &event.what {
            What::Sled(EventKind::Finished(_)) => (Hook::Finish, &self.finish),
            What::Sled(EventKind::Lost { .. } | EventKind::Unreadable) => (Hook::Fail, &self.fail),
            _ => return,
        };
        let Some(command) = command.clone() else { return };
        let job = Job { hook, command, event: event.clone(), facts: facts(event, rack) };
        let mut work = lock(&self.work);
        if work.ended {
            return;
        }
        if work.running < Self::MOST_AT_ONCE {
            work.running += 1;
            drop(work);
            self.start(job, events);
        } else if work.waiting.len() < Self::MOST_WAITING {
            work.waiting.push_back(job);
        } else {
            drop(work);
            tell(events, event, HookEvent::LeftOut(hook));
        }
    }

    /// Runs `job`, and all that wait, on a thread of its own.
    fn start(&self, job: Job, events: &Events) {
        let (hooks, told, event, hook) =
            (self.clone(), events.clone(), job.event.clone(), job.hook);
        let spawned = thread::Builder::new().name("hook".to_owned()).spawn(move || {
            let mut next = Some(job);
            while let Some(job) = next {
                hooks.run(job, &told);
                let mut work = lock(&hooks.work);
                next = work.waiting.pop_front();
                if next.is_none() {
                    work.running -= 1;
                }
            }
        });
        if let Err(error) = spawned {
            lock(&self.work).running -= 1;
            tell(events, &event, HookEvent::Failed(hook, format!("no thread for it: {error}")));
        }
    }

    fn run(&self, job: Job, events: &Events) {
        let Job { hook, command, event, facts } = job;
        let say = |happened| tell(events, &event, happened);
        let mut shell = Command::new("/bin/sh");
        shell.arg("-c").arg(&command).envs(facts).stdin(Stdio::null());
        // A group of its own: what the command starts ends with it.
        shell.process_group(0);
        let piped = io::pipe().and_then(|(reader, writer)| {
            shell.stdout(writer.try_clone()?).stderr(writer);
            fcntl_setfl(&reader, fcntl_getfl(&reader)? | OFlags::NONBLOCK)?;
            Ok(reader)
        });
        let started = piped.and_then(|reader| Ok((reader, shell.spawn()?)));
        // Its end of the pipe would never close.
        drop(shell);
        let (reader, mut child) = match started {
            Ok(started) => started,
            Err(error) => return say(HookEvent::Failed(hook, format!("{command:?}: {error}"))),
        };
        let group = Pid::from_child(&child);
        let ended = {
            let mut work = lock(&self.work);
            work.groups.push(group);
            work.ended
        };
        let limit = if ended { Duration::ZERO } else { self.limit };
        let mut output = Output::new(reader);
        let in_time = wait(group, limit, || {
            output.read(|line| say(HookEvent::Said(hook, line)));
        });
        lock(&self.work).groups.retain(|other| *other != group);
        // Ends what it has left running, or itself; fails only if nothing is left to end. Until it
        // is waited for, no other process can have its number.
        let _ = kill_process_group(group, Signal::KILL);
        output.finish(|line| say(HookEvent::Said(hook, line)));
        match child.wait() {
            _ if !in_time => say(HookEvent::Late(hook, self.limit)),
            Ok(status) if status.success() => {}
            Ok(status) => say(HookEvent::Failed(hook, format!("{command:?}: {status}"))),
            Err(error) => say(HookEvent::Failed(hook, format!("{command:?}: {error}"))),
        }
    }

    /// Waits until all commands have ended, as long as `may_wait` returns true; then those that
    /// still run are ended, and those that wait are dropped.
    pub(super) fn finish(&self, may_wait: impl Fn() -> bool) {
        while may_wait() && lock(&self.work).running > 0 {
            thread::sleep(Duration::from_millis(5));
        }
        let mut work = lock(&self.work);
        work.ended = true;
        work.waiting.clear();
        for group in work.groups.drain(..) {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Waits until the process `child` has ended, or for `limit`, and calls `meanwhile` again and
/// again. Returns whether it has ended. It still has to be reaped.
fn wait(child: Pid, limit: Duration, mut meanwhile: impl FnMut()) -> bool {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(2);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    loop {
        meanwhile();
        // It can only fail if there is no such child.
        if !matches!(waitid(WaitId::Pid(child), options), Ok(None)) {
            return true;
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        thread::sleep(pause.min(left));
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

fn tell(events: &Events, about: &Event, happened: HookEvent) {
    events.put(Event { time: SystemTime::now(), what: What::Hook(happened), ..about.clone() });
}

#[cfg(test)]
mod tests {
    use super::super::events::samples::{IMAGE, SUMMARY, of_sled};
    use super::super::events::{Names, heard};
    use super::*;

    /// Longer than any success takes.
    const SOON: Duration = Duration::from_mins(1);

    /// Runs `command` once a sled has booted, or has failed to; returns what happened.
    fn run(command: &str, limit: Duration, kind: EventKind, times: usize) -> Vec<HookEvent> {
        let (events, told) = heard();
        let hooks = Hooks::new(Some(command.to_owned()), Some(command.to_owned()), limit);
        let mut rack = Rack::default();
        let offered = of_sled(EventKind::Offered { checksum: IMAGE, repeated: false });
        rack.note(Instant::now(), &offered, &Names::default());
        for _ in 0..times {
            hooks.note(&of_sled(kind), &rack, &events);
        }
        let end = Instant::now() + SOON;
        hooks.finish(|| Instant::now() < end);
        assert_eq!(lock(&hooks.work).running, 0);
        told()
            .into_iter()
            .filter_map(|event| match event.what {
                What::Hook(hook) => Some(hook),
                _ => None,
            })
            .collect()
    }

    fn said(text: &str) -> HookEvent {
        HookEvent::Said(Hook::Finish, text.to_owned())
    }

    #[test]
    fn a_command_learns_the_facts_and_what_it_says_is_told() {
        let finished = EventKind::Finished(SUMMARY);
        let command = "echo \"$BOOT_EVENT $BOOT_SLED $BOOT_SECONDS $BOOT_IMAGE\"; echo no end >&2";
        let facts = format!("finished 02:00:00:00:00:01 0.500 {IMAGE}");
        assert_eq!(run(command, SOON, finished, 1), [said(&facts), said("no end")]);
        let command = "printf \"$BOOT_EVENT $BOOT_BYTES of $BOOT_SIZE\"; exit 3";
        let told = run(command, SOON, EventKind::Lost { bytes: 5, size: 9 }, 1);
        assert_eq!(told[0], HookEvent::Said(Hook::Fail, "lost 5 of 9".to_owned()));
        assert!(
            matches!(&told[1], HookEvent::Failed(Hook::Fail, why) if why.ends_with("status: 3"))
        );
    }

    #[test]
    fn a_command_that_does_not_end_is_ended_with_all_that_it_has_started() {
        let limit = Duration::from_millis(300);
        let finished = EventKind::Finished(SUMMARY);
        let told = run("echo $$; sleep 1000 & sleep 1000", limit, finished, 1);
        let HookEvent::Said(_, group) = &told[0] else { panic!("{told:?}") };
        assert_eq!(told[1..], [HookEvent::Late(Hook::Finish, limit)]);
        let group = Pid::from_raw(group.parse().unwrap()).unwrap();
        let end = Instant::now() + SOON;
        // An orphan is reaped by another process, a moment later.
        while rustix::process::test_kill_process_group(group).is_ok() {
            assert!(Instant::now() < end, "the group {group:?} is still there");
            thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn what_a_command_says_is_cut_short_and_does_not_stop_it() {
        let told = run("yes | head -c 3000000; echo done", SOON, EventKind::Finished(SUMMARY), 1);
        assert_eq!(told, vec![said("y"); output::MOST_LINES]);
    }

    #[test]
    fn many_commands_are_run_in_turn_and_too_many_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let gate = folder.path().join("gate");
        // None ends before all have been queued.
        let command = format!("until [ -e {} ]; do sleep 0.01; done", gate.display());
        let (events, told) = heard();
        let hooks = Hooks::new(Some(command), None, SOON);
        for _ in 0..Hooks::MOST_AT_ONCE + 5 {
            hooks.note(&of_sled(EventKind::Finished(SUMMARY)), &Rack::default(), &events);
        }
        let counts = |work: &Work| (work.running, work.waiting.len());
        assert_eq!(counts(&lock(&hooks.work)), (Hooks::MOST_AT_ONCE, 5));
        let room = Hooks::MOST_WAITING - 5;
        for _ in 0..room + 3 {
            hooks.note(&of_sled(EventKind::Finished(SUMMARY)), &Rack::default(), &events);
        }
        assert_eq!(lock(&hooks.work).waiting.len(), Hooks::MOST_WAITING);
        lock(&hooks.work).waiting.truncate(5);
        std::fs::write(gate, "").unwrap();
        let end = Instant::now() + SOON;
        hooks.finish(|| Instant::now() < end);
        assert_eq!(counts(&lock(&hooks.work)), (0, 0));
        let left_out = told().iter().filter(|event| matches!(event.what, What::Hook(_))).count();
        assert_eq!(left_out, 3, "and every other one has succeeded");
    }

    #[test]
    fn the_end_of_the_server_ends_commands_too() {
        let (events, _) = heard();
        let hooks = Hooks::new(Some("sleep 1000".to_owned()), None, SOON);
        hooks.note(&of_sled(EventKind::Finished(SUMMARY)), &Rack::default(), &events);
        let end = Instant::now() + SOON;
        while lock(&hooks.work).groups.is_empty() {
            assert!(Instant::now() < end);
            thread::sleep(Duration::from_millis(1));
        }
        hooks.finish(|| false);
        while lock(&hooks.work).running > 0 {
            assert!(Instant::now() < end, "it still runs");
            thread::sleep(Duration::from_millis(1));
        }
    }
}
