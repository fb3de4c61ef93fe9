//! Streams that fail, and names that would act on a terminal.

mod tool;

use std::process::Stdio;

use crate::tool::{Desk, tool};

/// A pipe that nobody reads from.
fn closed() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

#[cfg(target_os = "linux")]
fn full() -> Stdio {
    std::fs::File::options().write(true).open("/dev/full").unwrap().into()
}

#[cfg(not(target_os = "linux"))]
fn full() -> Stdio {
    closed()
}

#[test]
fn no_tool_panics_because_its_stderr_fails() {
    let desk = Desk::new();
    for line in [
        "mkimage -i missing -o missing.img",
        "mkimage --no-such-option",
        "lookimage missing.img",
        "lookimage missing.img missing2.img",
        "bootserver --demo 1 missing.img",
        "bootserver net0 raw",
        "sledsim net0 --csum raw",
    ] {
        for stderr in [full, closed] {
            let mut words = line.split(' ');
            let mut command = tool(words.next().unwrap());
            command.args(words).current_dir(desk.path("."));
            let status = command.stdout(Stdio::null()).stderr(stderr()).status().unwrap();
            assert_eq!(status.code(), Some(1), "{line}");
        }
    }
}

#[test]
fn names_do_not_act_on_the_terminal() {
    let mut desk = Desk::new();
    let path = "a\u{202e}gmi\u{1b}[2J\u{9b}.img";
    let made = desk.run(&format!("mkimage -q -N na\u{1b}[2Jme\u{2066} -i raw -o {path}"));
    assert!(made.status.success());
    for line in [
        format!("lookimage {path}"),
        format!("lookimage {path} {path}"),
        format!("lookimage missing-{path}"),
        format!("lookimage --csum missing-{path} {path}"),
        format!("lookimage --{path}"),
        format!("mkimage -i {path} -o {path}"),
        format!("mkimage -i missing-{path} -o out"),
        format!("bootserver --demo 1 missing-{path}"),
        format!("bootserver {path} raw nobody-{path}"),
    ] {
        let output = desk.run(&line);
        for bytes in [output.stdout, output.stderr] {
            let text = String::from_utf8(bytes).unwrap();
            let acts = |c: char| c.is_control() && c != '\n' || "\u{202e}\u{2066}".contains(c);
            assert!(!text.contains(acts), "{line:?}: {text:?}");
        }
    }
}
