//! What a server can no longer do once it serves, tried from inside each of its threads; and what
//! it still can.

#![cfg(all(target_os = "linux", target_arch = "x86_64"))]

#[path = "../lab/mod.rs"]
mod lab;
#[path = "../../../backends/tests/netns/mod.rs"]
mod netns;
mod thread;
#[path = "../tool/mod.rs"]
mod tool;

use std::collections::BTreeSet;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use netns::{FAR, NEAR, inside, ip, wait_for};
use nix::errno::Errno;
use nix::unistd::User;
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

use crate::lab::{Running, SOON, image, sledsim};
use crate::thread::{Argument, Thread};
use crate::tool::Desk;

const USER: &str = "nobody";

/// A folder that belongs to the user, with an image, and files of others beside it.
struct Scene {
    desk: Desk,
    other: Desk,
}

impl Scene {
    fn new(lines: &str) -> Self {
        let user = User::from_name(USER).unwrap().unwrap();
        let (mut desk, other) = (Desk::new(), Desk::new());
        image(&mut desk, "zfs.img", 1);
        image(&mut desk, "recovery.img", 2);
        other.write("secret", b"");
        for folder in [&desk, &other] {
            fs::set_permissions(folder.path("."), Permissions::from_mode(0o755)).unwrap();
        }
        for file in [desk.path("."), desk.path("zfs.img"), other.path("."), other.path("secret")] {
            chown(file, Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        }
        let scene = Self { desk, other };
        scene.configure(&format!("images = [\"zfs.img\"]\n{lines}"));
        scene
    }

    fn configure(&self, lines: &str) {
        let text = format!("links = [\"{NEAR}\"]\nworkers = 2\nstate = \"state\"\n{lines}");
        self.desk.write("rack.toml", text.as_bytes());
    }

    fn serve(&self, options: &str) -> Running {
        let mut server =
            Running::start(&self.desk, "bootserver", &format!("--config rack.toml {options}"));
        server.until_said(&["serving every sled"]);
        server
    }

    fn boot(&self, server: &mut Running, sled: &str, image: &str) {
        let line = format!("{FAR} -t 20 --mac {sled} --csum {image}.csum");
        let rack = sledsim(&self.desk, &line);
        assert!(rack.status.success(), "{image}: {rack:?}");
        server.until_said(&[&format!("{sled}: booted: ")]);
    }
}

/// What must fail in every thread, and with what.
fn forbidden(scene: &Scene) -> Vec<(&'static str, i64, Vec<Argument>, [Errno; 2])> {
    let path = |path: &Path| Argument::Path(path.to_owned());
    let number = |number: i32| Argument::Number(number.into());
    let here = || number(libc::AT_FDCWD);
    let (secret, image) = (scene.other.path("secret"), scene.desk.path("zfs.img"));
    let denied = [Errno::EACCES, Errno::EPERM];
    let unpermitted = [Errno::EPERM, Errno::EPERM];
    vec![
        (
            "read a file of others",
            libc::SYS_openat,
            vec![here(), path(&secret), number(libc::O_RDONLY)],
            denied,
        ),
        (
            "write a file of others",
            libc::SYS_openat,
            vec![here(), path(&secret), number(libc::O_WRONLY)],
            denied,
        ),
        (
            "remove a file of others",
            libc::SYS_unlinkat,
            vec![here(), path(&secret), number(0)],
            denied,
        ),
        ("run a program", libc::SYS_execve, vec![path("/bin/true".as_ref())], denied),
        (
            "open a packet socket",
            libc::SYS_socket,
            vec![number(libc::AF_PACKET), number(libc::SOCK_RAW), number(0)],
            unpermitted,
        ),
        ("become root", libc::SYS_setresuid, vec![number(0), number(0), number(0)], unpermitted),
        (
            "end another process",
            libc::SYS_kill,
            vec![number(std::process::id().cast_signed()), number(0)],
            unpermitted,
        ),
        (
            "look into another process",
            libc::SYS_ptrace,
            vec![
                number(libc::PTRACE_SEIZE.cast_signed()),
                number(std::process::id().cast_signed()),
            ],
            unpermitted,
        ),
        ("mount", libc::SYS_mount, vec![path(&image); 3], unpermitted),
        ("rename the host", libc::SYS_sethostname, vec![path(&image), number(3)], unpermitted),
    ]
}

/// What must fail in workers besides.
fn forbidden_to_workers(scene: &Scene, tx: &str) -> Vec<(&'static str, i64, Vec<Argument>)> {
    let number = |number: i32| Argument::Number(number.into());
    let image = || Argument::Path(scene.desk.path("zfs.img"));
    let mut calls = vec![
        (
            "read an image",
            libc::SYS_openat,
            vec![number(libc::AT_FDCWD), image(), number(libc::O_RDONLY)],
        ),
        (
            "open an internet socket",
            libc::SYS_socket,
            vec![number(libc::AF_INET), number(libc::SOCK_STREAM), number(0)],
        ),
        (
            "make a program of memory",
            libc::SYS_mmap,
            vec![
                number(0),
                number(4096),
                number(libc::PROT_WRITE | libc::PROT_EXEC),
                number(libc::MAP_PRIVATE | libc::MAP_ANONYMOUS),
                number(-1),
                number(0),
            ],
        ),
        ("leave its namespaces", libc::SYS_unshare, vec![number(libc::CLONE_NEWUSER)]),
        ("start a process", libc::SYS_clone, vec![number(libc::SIGCHLD)]),
    ];
    if tx != "uring" {
        calls.push(("make a ring", libc::SYS_io_uring_setup, vec![number(1), image()]));
    }
    calls
}

/// Tries in all threads of the server what must fail. `is_root` if it stayed root: then it keeps
/// what is needed for files, and may signal.
fn try_all(scene: &Scene, server: &Running, tx: &str, is_root: bool) {
    let threads = Thread::all(server.id());
    let binding = |thread: &Thread| thread.status("Seccomp");
    assert_eq!(threads.iter().filter_map(binding).filter(|bound| bound == "2").count(), 2, "{tx}");
    let mut tried = BTreeSet::new();
    for thread in threads {
        // Threads that look at files end soon.
        let Some(bound) = binding(&thread) else { continue };
        let is_worker = bound == "2";
        let Some(no_new_privileges) = thread.status("NoNewPrivs") else { continue };
        assert_eq!(no_new_privileges, "1", "{tx}: {thread:?}");
        for set in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            let Some(has) = thread.status(set) else { continue };
            let has = u64::from_str_radix(&has, 16).unwrap();
            // CAP_CHOWN to CAP_FOWNER of linux/capability.h.
            let of_files = if is_root { 0b1111 } else { 0 };
            assert_eq!(has & !of_files, 0, "{tx}: {thread:?}: {set}");
        }
        for (what, call, arguments, [landlock, seccomp]) in forbidden(scene) {
            // Root stays root; it has only lost its capabilities.
            if is_root && what == "become root" {
                continue;
            }
            let wanted = if is_worker { seccomp } else { landlock };
            let Some(answer) = thread.call(call, &arguments) else { continue };
            assert_eq!(answer, Err(wanted), "{tx}: {thread:?}, a worker: {is_worker}: {what}");
            tried.insert((what, is_worker));
        }
        if is_worker {
            for (what, call, arguments) in forbidden_to_workers(scene, tx) {
                let answer = thread.call(call, &arguments);
                assert_eq!(answer, Some(Err(Errno::EPERM)), "{tx}: {thread:?}: {what}");
            }
        } else {
            // So it was not the injection that made the others fail.
            let image = Argument::Path(scene.desk.path("zfs.img"));
            let here = Argument::Number(libc::AT_FDCWD.into());
            let read = Argument::Number(libc::O_RDONLY.into());
            let opened = thread.call(libc::SYS_openat, &[here, image, read]);
            let Some(opened) = opened else { continue };
            let opened = opened.unwrap_or_else(|error| panic!("{tx}: {thread:?}: {error}"));
            thread.call(libc::SYS_close, &[Argument::Number(opened)]);
        }
    }
    // By workers, and by others: none is left out because a thread has ended.
    let calls = forbidden(scene).len() - usize::from(is_root);
    assert_eq!(tried.len(), 2 * calls, "{tx}: {tried:?}");
}

/// A link that was down, a configuration that is read again, an image that was replaced and a
/// state file that is written work as without any of this.
fn still_works(scene: &Scene, mut server: Running) {
    let [sled, other] = ["02:00:00:00:00:01", "02:00:00:00:00:02"];
    scene.boot(&mut server, sled, "zfs.img");
    ip(&format!("link set {FAR} down"));
    server.until_said(&["the link is down or has no carrier"]);
    ip(&format!("link set {FAR} up"));
    wait_for(FAR);
    server.until_said(&["the link is up again"]);
    ip(&format!("link set {NEAR} address 02:00:00:00:77:01"));
    server.until_said(&["is now 02:00:00:00:77:01"]);
    let elsewhere = scene.other.path("secret").display().to_string();
    scene.configure(&format!("images = [\"recovery.img\", \"{elsewhere}\"]\n"));
    server.signal("-HUP");
    server.until_said(&["images: recovery.img is added"]);
    server.until_said(&[&elsewhere, "to read from this folder takes a restart"]);
    server.until_said(&["recovery.img: ", "2 MiB"]);
    scene.boot(&mut server, other, "recovery.img");
    let again = Command::new(tool::path("bootserver"))
        .args(["--tx", "mmsg", NEAR, "zfs.img", "all"])
        .current_dir(scene.desk.path("."))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains("already served by process"), "{said}");
    server.signal("-TERM");
    let (status, _, log) = server.end(SOON);
    assert_eq!(status, 0, "{log}");
    let state = String::from_utf8(scene.desk.read("state")).unwrap();
    assert!(state.contains(sled) && state.contains(other), "{state}");
}

fn try_on(tx: &str, more: &str) {
    inside(2, || {
        let scene = Scene::new("");
        let mut server = scene.serve(&format!("--tx {tx} --user {USER}{more}"));
        server.until_said(&[&format!("runs as {USER} without capabilities")]);
        scene.boot(&mut server, "02:00:00:00:00:03", "zfs.img");
        try_all(&scene, &server, tx, false);
        still_works(&scene, server);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn with_sendmmsg_nothing_is_left_but_serving() {
    try_on("mmsg", "");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn with_io_uring_nothing_is_left_but_serving() {
    try_on("uring", "");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn with_af_xdp_nothing_is_left_but_serving() {
    try_on("xdp", "");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn with_the_cheapest_path_nothing_is_left_but_serving() {
    try_on("auto", "");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn with_mapped_images_nothing_is_left_but_serving() {
    try_on("auto", " --map");
}

#[test]
#[ignore = "needs root and network namespaces"]
fn root_keeps_nothing_but_what_it_needs_for_files() {
    inside(2, || {
        let scene = Scene::new("");
        let mut server = scene.serve("--tx mmsg");
        server.until_said(&["runs as root with cap_chown, cap_dac_override"]);
        scene.boot(&mut server, "02:00:00:00:00:03", "zfs.img");
        try_all(&scene, &server, "mmsg", true);
        still_works(&scene, server);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn with_commands_only_workers_are_bound() {
    inside(2, || {
        let scene = Scene::new("");
        let mut server = scene.serve(&format!("--tx mmsg --user {USER} --on-finish env"));
        server.until_said(&["only workers are"]);
        // Workers bind themselves, each when it starts.
        let is_bound = |thread: &Thread| thread.status("Seccomp").as_deref() == Some("2");
        let begun = Instant::now();
        while Thread::all(server.id()).iter().filter(|thread| is_bound(thread)).count() < 2 {
            assert!(begun.elapsed() < SOON, "the workers do not bind themselves");
            std::thread::sleep(Duration::from_millis(10));
        }
        let threads = Thread::all(server.id());
        let mut bound = 0;
        for thread in &threads {
            let has = ["CapPrm", "NoNewPrivs", "Seccomp"].map(|name| thread.status(name));
            let [Some(capabilities), Some(no_new_privileges), Some(seccomp)] = has else {
                continue;
            };
            assert_eq!(capabilities, "0000000000000000", "{thread:?}");
            assert_eq!(no_new_privileges == "1", seccomp == "2", "{thread:?}");
            bound += usize::from(seccomp == "2");
        }
        assert_eq!(bound, 2);
        scene.boot(&mut server, "02:00:00:00:00:03", "zfs.img");
        server.until_said(&["--on-finish: "]);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_user_who_may_not_keep_the_state_is_refused_at_the_start() {
    inside(1, || {
        let scene = Scene::new("");
        chown(scene.desk.path("."), Some(0), Some(0)).unwrap();
        let line = format!("--config rack.toml --user {USER}");
        let (status, _, log) = Running::start(&scene.desk, "bootserver", &line).end(SOON);
        assert_eq!(status, 1, "{log}");
        assert!(log.contains("--state") && log.contains("ermission denied"), "{log}");
    });
}

/// Makes a system call fail like this for the calling thread and its children, as on a kernel
/// without it or in a container that forbids it.
fn deny(call: i64, with: Errno) {
    let action = SeccompAction::Errno((with as i32).cast_unsigned());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let calls = [(call, Vec::new())].into();
    let filter = SeccompFilter::new(calls, SeccompAction::Allow, action, arch).unwrap();
    apply_filter(&BpfProgram::try_from(filter).unwrap()).unwrap();
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_server_says_what_it_can_not_give_up_and_goes_on() {
    for (call, with, said) in [
        (libc::SYS_landlock_create_ruleset, Errno::ENOSYS, "no Landlock: not in this kernel"),
        (libc::SYS_capset, Errno::EPERM, "can't give up its capabilities: Operation not permitted"),
        (libc::SYS_seccomp, Errno::ENOSYS, "a worker without seccomp: "),
    ] {
        inside(1, || {
            let scene = Scene::new("");
            deny(call, with);
            let mut server = scene.serve("--tx mmsg");
            server.until_said(&[said]);
            scene.boot(&mut server, "02:00:00:00:00:03", "zfs.img");
        });
    }
}
