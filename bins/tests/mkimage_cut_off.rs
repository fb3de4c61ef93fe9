//! `mkimage`, when it or its input is cut off in the middle.

mod tool;

use std::fs::File;
use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::tool::{Desk, tool};

const OTHER: &[u8] = b"what stood there before";

/// A raw image that is mostly a hole: it takes little space on disk, but a tool needs most of a
/// second to hash each GiB.
fn large(desk: &Desk, gibibytes: u64) {
    desk.write("large", &tool::raw());
    let large = File::options().write(true).open(desk.path("large")).unwrap();
    large.set_len(gibibytes << 30).unwrap();
}

/// Has `mkimage` pack that over an old image, and returns when it has begun to write.
fn packing(desk: &Desk) -> Child {
    desk.write("zfs.img", OTHER);
    let mut child = mkimage(desk, "large").spawn().unwrap();
    while !is_begun(&child, desk) {
        assert!(child.try_wait().unwrap().is_none(), "it has ended");
        sleep(Duration::from_millis(2));
    }
    child
}

fn mkimage(desk: &Desk, input: &str) -> Command {
    let mut command = tool("mkimage");
    command
        .args(["-z", "--level", "12", "-s", "262144", "-i", input, "-o", "zfs.img", "-O", "csum"])
        .current_dir(desk.path("."))
        .stderr(Stdio::piped());
    command
}

/// Whether something has been written to the image that has no name yet.
#[cfg(target_os = "linux")]
fn is_begun(child: &Child, desk: &Desk) -> bool {
    use std::fs;
    let folder = fs::canonicalize(desk.path(".")).unwrap();
    let open = fs::read_dir(format!("/proc/{}/fd", child.id())).into_iter().flatten().flatten();
    let mut paths = open.map(|entry| entry.path());
    paths.any(|path| {
        let nameless = fs::read_link(&path).is_ok_and(|to| {
            to.starts_with(&folder) && to.to_string_lossy().ends_with(" (deleted)")
        });
        nameless && fs::metadata(path).is_ok_and(|file| file.len() > 0)
    })
}

/// Whether something has been written to the image that has a name of its own.
#[cfg(not(target_os = "linux"))]
fn is_begun(_: &Child, desk: &Desk) -> bool {
    let names = desk.files().into_iter();
    names.filter(|name| name.starts_with('.')).any(|name| !desk.read(&name).is_empty())
}

/// Expects a run to fail and to leave the old image and nothing else; returns its output.
fn failed(desk: &Desk, child: Child, files: &[&str]) -> String {
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(desk.read("zfs.img"), OTHER);
    assert_eq!(desk.files(), files);
    String::from_utf8(output.stderr).unwrap()
}

fn signal(child: &Child, name: &str) {
    let pid = child.id().to_string();
    assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
}

#[test]
fn an_interrupted_run_says_so_and_leaves_the_old_image_and_nothing_else() {
    let desk = Desk::new();
    large(&desk, 256);
    for name in ["-INT", "-TERM", "-HUP"] {
        let child = packing(&desk);
        signal(&child, name);
        let error = failed(&desk, child, &["large", "raw", "zfs.img"]);
        assert!(error.contains("interrupted"), "{error}");
    }
}

#[test]
fn so_does_one_that_waits_for_more_of_a_pipe() {
    let desk = Desk::new();
    desk.write("zfs.img", OTHER);
    for name in ["-INT", "-TERM", "-HUP"] {
        let mut child = mkimage(&desk, "-").stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        // More than a pipe holds: once it is read, the signal handlers are installed.
        pipe.write_all(&vec![7; 4 << 20]).unwrap();
        signal(&child, name);
        let error = failed(&desk, child, &["raw", "zfs.img"]);
        assert!(error.contains("interrupted"), "{error}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn not_even_a_killed_run_leaves_anything() {
    let desk = Desk::new();
    large(&desk, 256);
    let mut child = packing(&desk);
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
    assert_eq!(desk.read("zfs.img"), OTHER);
    assert_eq!(desk.files(), ["large", "raw", "zfs.img"]);
}

#[test]
fn an_input_that_is_cut_short_is_an_error_that_names_it() {
    let desk = Desk::new();
    // It reads to the end of the hole before it checks.
    large(&desk, 4);
    let child = packing(&desk);
    let large = File::options().write(true).open(desk.path("large")).unwrap();
    large.set_len(9 << 20).unwrap();
    let error = failed(&desk, child, &["large", "raw", "zfs.img"]);
    assert!(error.contains("to 9437184 bytes"), "{error}");
}
