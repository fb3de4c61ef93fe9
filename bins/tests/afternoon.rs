//! The afternoon of `docs/serving.md`, as written there: a rack of eight sleds boots from an S3
//! bucket while images, links, servers and the store come and go.

#![cfg(target_os = "linux")]

mod lab;
#[path = "../../backends/tests/netns/mod.rs"]
mod netns;
mod tool;

use std::collections::VecDeque;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::thread::{ScopedJoinHandle, scope, sleep};
use std::time::{Duration, Instant};

use netns::{inside, ip};
use serde_json::Value;

use crate::lab::s3::{LOGIN, Store};
use crate::lab::{Running, SOON, image, sledsim};
use crate::tool::{Desk, path};

/// An arbitrary user, with no rights but those that the unit gives.
const USER: u32 = 65_534;
const DOCUMENT: &str = include_str!("../../docs/serving.md");

/// What the document has the operator do.
struct Afternoon {
    desk: Desk,
    /// Commands that have not been run yet.
    lines: Mutex<VecDeque<String>>,
}

impl Afternoon {
    /// A folder with the images, the configuration of the document, and a server's own folder.
    fn new() -> Self {
        let mut desk = Desk::new();
        for (name, size) in [("zfs.img", 6), ("recovery.img", 5), ("new.img", 7)] {
            image(&mut desk, name, size);
        }
        let (_, section) = DOCUMENT.split_once("## An afternoon with a rack").unwrap();
        let (section, _) = section.split_once("\n## ").unwrap();
        let blocks = |fence: &str| {
            let start = format!("```{fence}\n");
            let parts = section.split(&start).skip(1);
            parts.map(|part| part.split_once("```").unwrap().0).collect::<String>()
        };
        // Soon enough for a test; and so slow that a boot takes a while.
        let text = blocks("toml").replace("refresh = 5", "refresh = 0.3\nrate = \"40Mbit\"");
        let afternoon = Self { desk, lines: Mutex::default() };
        afternoon.desk.write("bootserver.toml", afternoon.here(&text).as_bytes());
        *afternoon.lines.lock().unwrap() =
            blocks("sh afternoon").lines().map(|line| afternoon.here(line)).collect();
        fs::copy(path("bootserver"), afternoon.desk.path("bootserver")).unwrap();
        fs::create_dir(afternoon.desk.path("own")).unwrap();
        fs::set_permissions(afternoon.desk.path("."), Permissions::from_mode(0o755)).unwrap();
        chown(afternoon.desk.path("own"), Some(USER), Some(USER)).unwrap();
        afternoon
    }

    /// Replaces the system's folders in a text by this test's.
    fn here(&self, text: &str) -> String {
        let own = self.desk.path("own").display().to_string();
        text.replace("/etc/", "")
            .replace("/var/lib/bootserver", &own)
            .replace("/run/bootserver", &own)
    }

    /// Starts the unit's command line as a user with the unit's capability.
    fn serve(&self) -> Running {
        let mut command = Command::new("setpriv");
        let user = USER.to_string();
        command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--no-new-privs"]);
        command.args(["--bounding-set", "-all,+net_raw", "--inh-caps", "-all,+net_raw"]);
        command.args(["--ambient-caps", "-all,+net_raw"]);
        command.arg(self.desk.path("bootserver")).args(["--config", "bootserver.toml"]);
        let server = Running::spawn(&self.desk, "bootserver", with_login(command));
        self.until("the server is not well", || self.get("healthz") == "ok\n");
        server
    }

    /// Runs the next command of the document, which contains this part, and returns its output.
    fn step(&self, part: &str) -> String {
        let line = self.lines.lock().unwrap().pop_front().unwrap_or_default();
        assert!(line.contains(part), "the document goes on with {line:?}, not with {part}");
        self.shell(&line)
    }

    fn shell(&self, line: &str) -> String {
        let mut shell = Command::new("sh");
        let paths = format!("{}:{}", self.desk.path("").display(), std::env::var("PATH").unwrap());
        shell.args(["-eu", "-c", line]).env("PATH", paths).current_dir(self.desk.path("."));
        let output = with_login(shell).output().unwrap();
        assert!(output.status.success(), "{line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The status service's answer; empty while it does not answer.
    fn get(&self, at: &str) -> String {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "10", "--unix-socket"]).arg(self.desk.path("own/status"));
        let output = curl.arg(format!("http://rack/{at}")).output();
        let output = output.expect("curl, of the package curl");
        String::from_utf8(output.stdout).unwrap()
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        let end = Instant::now() + SOON;
        while !is_so() {
            assert!(Instant::now() < end, "{what}: {}", self.get("api/v1/events"));
            sleep(Duration::from_millis(50));
        }
    }

    /// Whether an expression of `contrib/alerts.yml` that compares a metric with a number holds.
    fn fires(&self, alert: &str) -> bool {
        let rules = include_str!("../../contrib/alerts.yml");
        let (_, rule) = rules.split_once(&format!("- alert: {alert}\n")).unwrap();
        let expression = rule.trim_start().strip_prefix("expr: ").unwrap().lines().next().unwrap();
        let (metric, value) = expression.split_once(" == ").unwrap();
        let metrics = self.get("metrics");
        let series = metrics.lines().filter(|line| line.starts_with(&format!("{metric}{{")));
        let mut values = series.map(|line| line.rsplit(' ').next().unwrap());
        values.any(|found| found == value)
    }

    /// Whether the log has a line with all these parts.
    fn is_logged(&self, parts: &[&str]) -> bool {
        let events: Value = serde_json::from_str(&self.get("api/v1/events")).unwrap_or_default();
        let lines = events["events"].as_array().into_iter().flatten().map(Value::to_string);
        lines.into_iter().any(|line| parts.iter().all(|part| line.contains(part)))
    }

    /// Sleds that are in this state, by the API.
    fn count(&self, state: &str) -> usize {
        self.get("api/v1/sleds").matches(&format!("\"state\":\"{state}\"")).count()
    }

    /// Powers on four sleds at the far end of a link, whose boot archives want an image.
    fn rack<'s>(
        &'s self,
        threads: &'s std::thread::Scope<'s, '_>,
        (far, first): (&'s str, u8),
        csum: &'s str,
    ) -> ScopedJoinHandle<'s, ()> {
        let mac = format!("a8:40:25:00:00:{first:02x}");
        let line = format!("{far} --sleds 4 --mac {mac} --csum {csum}.csum -t 50");
        threads.spawn(move || {
            let rack = sledsim(&self.desk, &line);
            assert!(rack.status.success(), "{line}: {rack:?}");
        })
    }

    /// Boots both halves of the rack, and does `meanwhile` once boots are under way.
    fn boot(&self, left: &str, meanwhile: impl FnOnce()) {
        scope(|threads| {
            let racks = [
                self.rack(threads, ("far0", 1), left),
                self.rack(threads, ("far1", 5), "recovery.img"),
            ];
            self.until("no boot is under way", || self.count("reading") > 0);
            meanwhile();
            for rack in racks {
                rack.join().unwrap();
            }
        });
        self.until("not all are seen to have booted", || self.count("booted") == 8);
    }
}

fn with_login(mut command: Command) -> Command {
    command.envs(LOGIN);
    command
}

fn end(server: Running) {
    server.signal("-TERM");
    let (status, _, log) = server.end(SOON);
    assert_eq!(status, 0, "{log}");
}

fn links() {
    ip("link set lo up");
    for number in 0..2 {
        ip(&format!("link add net{number} type veth peer name far{number}"));
        for end in ["net", "far"] {
            ip(&format!("link set {end}{number} addrgenmode none"));
            ip(&format!("link set {end}{number} up"));
        }
        netns::wait_for(&format!("net{number}"));
    }
}

#[test]
#[ignore = "needs root, network namespaces, s3s-fs, curl and setpriv"]
fn an_operators_afternoon_goes_as_the_document_has_it() {
    inside(1, || {
        links();
        let afternoon = Afternoon::new();
        let store = Store::start(&afternoon.desk);
        let bucket = afternoon.desk.path("store/images");
        for name in ["zfs.img", "recovery.img"] {
            fs::copy(afternoon.desk.path(name), bucket.join(name)).unwrap();
        }
        boots_and_a_new_image(&afternoon);
        a_link_and_a_restart_in_mid_boot(&afternoon, store);
        assert!(afternoon.lines.lock().unwrap().is_empty(), "the document goes on");
    });
}

fn boots_and_a_new_image(afternoon: &Afternoon) {
    assert!(afternoon.step("--check-config").contains("left-1"));
    let server = afternoon.serve();
    afternoon.until("the images are not fetched", || {
        afternoon.get("metrics").contains("\nbootserver_images 2\n")
    });
    assert!(afternoon.step("/api/v1/images").contains("recovery"));
    afternoon.boot("zfs.img", || ());
    let sleds = afternoon.step("/api/v1/sleds");
    assert!(sleds.contains("\"name\":\"left-1\"") && sleds.contains("\"name\":\"right-1\""));

    fs::rename(afternoon.desk.path("new.img"), afternoon.desk.path("zfs.img")).unwrap();
    afternoon.step("-T zfs.img");
    afternoon.until("the new image is not fetched", || {
        afternoon.get("api/v1/images").contains(&format!("\"size\":{}", 7 << 20))
    });
    afternoon.step("\"once\": true");
    afternoon.until("nobody says who has assigned it", || {
        afternoon.is_logged(&["\"assigned\"", "right-1", "\"once\":true", "\"uid\":"])
    });
    let right = ("far1", 5);
    let mac = format!("a8:40:25:00:00:{:02x}", right.1);
    let line = format!("{} --mac {mac} --csum new.img.csum -t 50", right.0);
    assert!(sledsim(&afternoon.desk, &line).status.success());
    afternoon.until("it is assigned still", || !afternoon.get("api/v1/assignments").contains(&mac));
    end(server);
}

fn a_link_and_a_restart_in_mid_boot(afternoon: &Afternoon, store: Store) {
    let server = afternoon.serve();
    assert!(!afternoon.fires("BootLinkDown"));
    afternoon.boot("new.img", || {
        ip("link set far0 down");
        afternoon.until("no alert", || afternoon.fires("BootLinkDown"));
        let metrics = afternoon.step("/metrics");
        assert!(metrics.contains("bootserver_link_up{link=\"net0\"} 0"), "{metrics}");
        assert!(metrics.contains("bootserver_link_up{link=\"net1\"} 1"), "{metrics}");
        ip("link set far0 up");
        afternoon.until("the alert does not end", || !afternoon.fires("BootLinkDown"));
    });

    let mut server = Some(server);
    let mut next = None;
    afternoon.boot("new.img", || {
        server.take().into_iter().for_each(end);
        next = Some(afternoon.serve());
    });

    drop(store);
    let mut server = next.unwrap();
    server.until_said(&["\"fetch_failed\"", "\"kept\":true"]);
    end(server);
    let server = afternoon.serve();
    afternoon.boot("new.img", || ());
    end(server);
    assert!(Path::new(&afternoon.desk.path("own/state")).exists());
}
