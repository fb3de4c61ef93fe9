//! Images, and tools at work, for the tests on real links.
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::Read;
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::tool::{Desk, raw, tool};

/// Longer than anything takes that goes well.
pub(crate) const SOON: Duration = Duration::from_mins(1);

/// An image of so many mebibytes, no two blocks of which are the same.
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
pub(crate) struct Running(Child);

impl Running {
    /// Starts a tool; of a server it waits until it listens, or has ended.
    pub(crate) fn start(desk: &Desk, program: &str, line: &str) -> Self {
        let mut command = tool(program);
        command.args(line.split(' ')).current_dir(desk.path("."));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = Self(command.spawn().unwrap());
        let until = Instant::now() + SOON;
        while program == "bootserver" && !somebody_listens() && running.is_running() {
            assert!(Instant::now() < until, "{program} {line}: does not listen");
            sleep(Duration::from_millis(2));
        }
        running
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }

    /// Waits for the end, and fails the test if it does not come in time.
    pub(crate) fn end(mut self, within: Duration) -> (i32, String, String) {
        let until = Instant::now() + within;
        while self.is_running() {
            assert!(Instant::now() < until, "still running after {within:?}");
            sleep(Duration::from_millis(5));
        }
        let status = self.0.wait().unwrap().code().unwrap_or(-1);
        let mut texts = [String::new(), String::new()];
        self.0.stdout.take().unwrap().read_to_string(&mut texts[0]).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut texts[1]).unwrap();
        let [out, err] = texts;
        (status, out, err)
    }

    /// CPU time that all its threads have spent, in steps of 10 ms.
    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap();
        // The program's name, in brackets, may have blanks in it.
        let (_, columns) = stat.rsplit_once(')').unwrap();
        let ticks = columns.split_whitespace().skip(11).take(2);
        Duration::from_millis(ticks.map(|ticks| 10 * ticks.parse::<u64>().unwrap()).sum())
    }

    /// The most KiB of memory that it has ever had, without what it has of its program.
    pub(crate) fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let kib = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.trim().trim_end_matches(" kB").parse::<u64>().unwrap()
        };
        kib("VmHWM:") - kib("RssFile:")
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
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
