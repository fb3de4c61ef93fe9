//! Commands that are run when a boot has ended: beside everything else, few at once, and none
//! without end.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use boot_netboot::server::EventKind;
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};

use super::events::{Event, Events, What};
use super::lock;
use super::rack::Rack;
use crate::stderr::record::{Level, rfc3339};

/// Which command it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    /// `--on-finish`.
    Finish,
    /// `--on-fail`.
    Fail,
}

/// What happens to a command that was run for a sled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HookEvent {
    /// It has said something.
    Said(Hook, String),
    /// It has ended without success, and how.
    Failed(Hook, String),
    /// It was ended, because it took longer than this.
    Late(Hook, Duration),
    /// It was not run: too many wait.
    LeftOut(Hook),
}

impl Hook {
    fn option(self) -> &'static str {
        match self {
            Self::Finish => "--on-finish",
            Self::Fail => "--on-fail",
        }
    }
}

impl HookEvent {
    pub(super) fn level(&self) -> Level {
        match self {
            Self::Said(..) => Level::Info,
            _ => Level::Warn,
        }
    }

    /// Whether a command has not done what it was to do.
    pub(super) fn is_failure(&self) -> bool {
        !matches!(self, Self::Said(..))
    }

    /// Its name, for programs.
    pub(super) fn key(&self) -> &'static str {
        match self {
            Self::Said(..) => "hook_said",
            Self::Failed(..) => "hook_failed",
            Self::Late(..) => "hook_late",
            Self::LeftOut(_) => "hook_left_out",
        }
    }

    /// What else there is to say, for programs.
    pub(super) fn fields(&self) -> Vec<(&'static str, serde_json::Value)> {
        let (Self::Said(hook, _)
        | Self::Failed(hook, _)
        | Self::Late(hook, _)
        | Self::LeftOut(hook)) = self;
        let mut fields = vec![("hook", hook.option().into())];
        match self {
            Self::Said(_, text) => fields.push(("text", text.as_str().into())),
            Self::Failed(_, reason) => fields.push(("reason", reason.as_str().into())),
            Self::Late(_, limit) => fields.push(("seconds", limit.as_secs_f64().into())),
            Self::LeftOut(_) => {}
        }
        fields
    }
}

impl fmt::Display for HookEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Said(hook, text) => write!(f, "{}: {text}", hook.option()),
            Self::Failed(hook, reason) => write!(f, "{}: {reason}", hook.option()),
            Self::Late(hook, limit) => {
                write!(f, "{}: ended after {} s", hook.option(), limit.as_secs_f64())
            }
            Self::LeftOut(hook) => {
                write!(f, "{}: not run, {} others wait", hook.option(), Hooks::MOST_WAITING)
            }
        }
    }
}

/// The commands, and how they are run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hooks {
    finish: Option<String>,
    fail: Option<String>,
    limit: Duration,
    work: Arc<Mutex<Work>>,
}

/// What is to be done, and how many do it.
#[derive(Debug, Default)]
struct Work {
    waiting: VecDeque<Job>,
    running: usize,
    /// Of those that run.
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
    /// How long a command may run: long enough for whoever waits for an answer from the network.
    pub(crate) const LIMIT: Duration = Duration::from_secs(30);
    /// How many run at once: a command is a process, and processors are for serving.
    const MOST_AT_ONCE: usize = 4;
    /// How many wait: each sled of a rack may end its boot at the same time.
    const MOST_WAITING: usize = 256;
    /// Lines of a command that are logged, and bytes of a line.
    const MOST_LINES: usize = 50;
    const MOST_BYTES: usize = 4096;

    pub(crate) fn new(finish: Option<String>, fail: Option<String>, limit: Duration) -> Self {
        Self { finish, fail, limit, work: Arc::default() }
    }

    /// Has the command run that is for `event`, if there is one.
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
        // What it has left running, or itself; fails only if there is nobody left to end. Until
        // it is waited for, nobody else can have its number.
        let _ = kill_process_group(group, Signal::KILL);
        output.finish(|line| say(HookEvent::Said(hook, line)));
        match child.wait() {
            _ if !in_time => say(HookEvent::Late(hook, self.limit)),
            Ok(status) if status.success() => {}
            Ok(status) => say(HookEvent::Failed(hook, format!("{command:?}: {status}"))),
            Err(error) => say(HookEvent::Failed(hook, format!("{command:?}: {error}"))),
        }
    }

    /// Waits until all commands have ended, as long as `may_wait` says so; then those that still
    /// run are ended, and those that wait are dropped.
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
/// again. Says whether it has ended. It is still to be waited for.
fn wait(child: Pid, limit: Duration, mut meanwhile: impl FnMut()) -> bool {
    let end = Instant::now() + limit;
    let mut pause = Duration::from_millis(2);
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    loop {
        meanwhile();
        // It can only fail if there is no such child any more.
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

/// The first lines of what comes out of a pipe; the rest is read and dropped, as a command whose
/// pipe is full would wait.
struct Output<R> {
    pipe: R,
    line: Vec<u8>,
    lines: usize,
}

impl<R: Read> Output<R> {
    fn new(pipe: R) -> Self {
        Self { pipe, line: Vec::new(), lines: 0 }
    }

    /// Reads what is there, but no more than a pipe holds several times.
    fn read(&mut self, mut say: impl FnMut(String)) {
        let mut block = [0; 4096];
        for _ in 0..64 {
            let Ok(count @ 1..) = self.pipe.read(&mut block) else { break };
            for &byte in &block[..count] {
                if byte == b'\n' {
                    self.end_line(&mut say);
                } else if self.line.len() < Hooks::MOST_BYTES {
                    self.line.push(byte);
                }
            }
        }
    }

    fn end_line(&mut self, say: &mut impl FnMut(String)) {
        let line = std::mem::take(&mut self.line);
        self.lines += 1;
        if self.lines <= Hooks::MOST_LINES {
            say(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
    }

    /// A last line may have no end.
    fn finish(&mut self, mut say: impl FnMut(String)) {
        self.read(&mut say);
        if !self.line.is_empty() {
            self.end_line(&mut say);
        }
    }
}

fn tell(events: &Events, about: &Event, happened: HookEvent) {
    events.put(Event { time: SystemTime::now(), what: What::Hook(happened), ..about.clone() });
}

/// What a command learns of the sled, as variables of its environment.
fn facts(event: &Event, rack: &Rack) -> Vec<(&'static str, String)> {
    let text = |text: Option<String>| text.unwrap_or_default();
    let sled = event.sled.map(|sled| sled.to_string());
    let mut facts = vec![
        ("BOOT_TIME", rfc3339(event.time)),
        ("BOOT_LINK", text(event.link.as_deref().map(str::to_owned))),
        ("BOOT_SLED", text(sled)),
        ("BOOT_NAME", text(event.name.as_deref().map(str::to_owned))),
    ];
    if let Some(image) = rack.image_of(event) {
        facts.push(("BOOT_IMAGE", image.to_string()));
        facts.push(("BOOT_IMAGE_NAME", rack.name_of_image(image).to_owned()));
    }
    match &event.what {
        What::Sled(EventKind::Finished(summary)) => {
            facts.push(("BOOT_EVENT", "finished".to_owned()));
            facts.push(("BOOT_SIZE", summary.size.to_string()));
            facts.push(("BOOT_BYTES", summary.size.to_string()));
            facts.push(("BOOT_SECONDS", format!("{:.3}", summary.time.as_secs_f64())));
            facts.push(("BOOT_RETRANSMITS", (summary.again + summary.early).to_string()));
            facts.push(("BOOT_ASSUMED", u8::from(summary.assumed).to_string()));
        }
        What::Sled(EventKind::Lost { bytes, size }) => {
            facts.push(("BOOT_EVENT", "lost".to_owned()));
            facts.push(("BOOT_BYTES", bytes.to_string()));
            facts.push(("BOOT_SIZE", size.to_string()));
        }
        _ => facts.push(("BOOT_EVENT", "unreadable".to_owned())),
    }
    // A name can hold what no variable can.
    for (_, value) in &mut facts {
        value.retain(|character| character != '\0');
    }
    facts
}

#[cfg(test)]
mod tests {
    use super::super::events::samples::{IMAGE, SUMMARY, of_sled};
    use super::super::events::{Names, heard};
    use super::*;

    /// Longer than anything takes that goes well.
    const SOON: Duration = Duration::from_mins(1);

    /// What becomes of `command`, run once a sled has booted, or has failed to.
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
        // Whoever has lost his parent is waited for by another process, a moment later.
        while rustix::process::test_kill_process_group(group).is_ok() {
            assert!(Instant::now() < end, "the group {group:?} is still there");
            thread::sleep(Duration::from_millis(2));
        }
    }

    #[test]
    fn what_a_command_says_is_cut_short_and_does_not_stop_it() {
        let told = run("yes | head -c 3000000; echo done", SOON, EventKind::Finished(SUMMARY), 1);
        assert_eq!(told, vec![said("y"); Hooks::MOST_LINES]);
    }

    #[test]
    fn many_commands_are_run_in_turn_and_too_many_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let gate = folder.path().join("gate");
        // None ends before all are asked for.
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
