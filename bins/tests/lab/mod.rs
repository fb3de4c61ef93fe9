//! Images, and tools at work, for the tests on real links.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod s3;

use std::io::Read;
use std::process::{Child, ChildStderr, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use crate::tool::{Desk, raw, tool};

/// Longer than any success takes.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// An image of this many mebibytes, no two blocks of which are equal.
pub(crate) fn image(desk: &mut Desk, name: &str, mebibytes: u32) {
    let mut bytes = Vec::new();
    for number in 0..mebibytes {
        let start = bytes.len();
        bytes.extend(raw());
        for (index, block) in bytes[start..].chunks_exact_mut(1024).enumerate() {
            block[..4].copy_from_slice(&number.to_le_bytes());
            block[4..8].copy_from_slice(&(index as u32).to_le_bytes());
        }
    }
    desk.write("contents", &bytes);
    let made = desk.run(&format!("mkimage -q -i contents -o {name} -O {name}.csum"));
    assert!(made.status.success());
}

/// A server or rack at work, which does not outlive the test.
pub(crate) struct Running {
    child: Child,
    /// Its stderr, once a test waits for it.
    said: Option<Said>,
}

impl Running {
    /// Starts a tool; waits until a server listens, or has ended.
    pub(crate) fn start(desk: &Desk, program: &str, line: &str) -> Self {
        Self::start_with(desk, program, line, &[])
    }

    /// Starts a tool with these variables in its environment.
    pub(crate) fn start_with(
        desk: &Desk,
        program: &str,
        line: &str,
        variables: &[(&str, &str)],
    ) -> Self {
        let mut command = tool(program);
        command.args(line.split(' ')).envs(variables.iter().copied());
        Self::spawn(desk, program, command)
    }

    /// Starts a command; if it is a server, it waits until it listens, or has ended.
    pub(crate) fn spawn(desk: &Desk, program: &str, mut command: Command) -> Self {
        command.current_dir(desk.path("."));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Self { child: command.spawn().unwrap(), said: None };
        let until = Instant::now() + SOON;
        while program == "bootserver" && !somebody_listens() && running.is_running() {
            assert!(Instant::now() < until, "{command:?}: does not listen");
            sleep(Duration::from_millis(2));
        }
        running
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for the end, and fails the test if it does not come in time.
    pub(crate) fn end(mut self, within: Duration) -> (i32, String, String) {
        let until = Instant::now() + within;
        while self.is_running() {
            assert!(Instant::now() < until, "still running after {within:?}");
            sleep(Duration::from_millis(5));
        }
        let status = self.child.wait().unwrap().code().unwrap_or(-1);
        let mut out = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        (status, out, self.said().all())
    }

    /// Waits until a line on its stderr, which is read from now on, has all of these parts.
    pub(crate) fn until_said(&mut self, parts: &[&str]) {
        let until = Instant::now() + SOON;
        while !self.said().has_line(parts) {
            assert!(Instant::now() < until, "{parts:?}: {}", self.said().so_far());
            sleep(Duration::from_millis(2));
        }
    }

    /// The line that has all of these parts, which has been said or will be.
    pub(crate) fn line(&mut self, parts: &[&str]) -> String {
        self.until_said(parts);
        let said = self.said().so_far();
        let mut lines = said.lines().filter(|line| parts.iter().all(|part| line.contains(part)));
        lines.next().expect("it was said").to_owned()
    }

    fn said(&mut self) -> &mut Said {
        let stderr = &mut self.child.stderr;
        self.said.get_or_insert_with(|| Said::read(stderr.take().unwrap()))
    }

    /// The most KiB of memory that it has ever had, without what it has of its program.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let kib = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        kib("VmHWM:") - kib("RssFile:")
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pipe's output, read as it arrives.
struct Said {
    text: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

impl Said {
    fn read(mut pipe: ChildStderr) -> Self {
        let text = Arc::new(Mutex::new(String::new()));
        let all = Arc::clone(&text);
        let reader = spawn(move || {
            let mut block = [0; 4096];
            while let Ok(more @ 1..) = pipe.read(&mut block) {
                all.lock().unwrap().push_str(&String::from_utf8_lossy(&block[..more]));
            }
        });
        Self { text, reader: Some(reader) }
    }

    fn so_far(&self) -> String {
        self.text.lock().unwrap().clone()
    }

    fn has_line(&self, parts: &[&str]) -> bool {
        self.so_far().lines().any(|line| parts.iter().all(|part| line.contains(part)))
    }

    /// All of it, once the writer has ended.
    fn all(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.so_far()
    }
}

/// Whether this namespace has a packet socket for the boot protocol's frames.
fn somebody_listens() -> bool {
    std::fs::read_to_string("/proc/thread-self/net/packet").unwrap().contains(" 1de0 ")
}

/// Plays sleds to the end.
pub(crate) fn sledsim(desk: &Desk, line: &str) -> Output {
    let mut command = tool("sledsim");
    command.args(line.split(' ')).current_dir(desk.path(".")).output().unwrap()
}
