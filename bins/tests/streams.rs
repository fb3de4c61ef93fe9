//! Streams that fail, and names that would act on a terminal.

mod tool;

use std::process::Stdio;

use crate::tool::{Desk, tool};

/// A pipe without a reader.
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

/// A pipe that is full and does not block its writer, and its other end.
#[cfg(target_os = "linux")]
fn full_and_impatient() -> (std::io::PipeReader, std::io::PipeWriter, usize) {
    use std::io::Write;

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

    let (reader, mut writer) = std::io::pipe().unwrap();
    fcntl_setfl(&writer, fcntl_getfl(&writer).unwrap() | OFlags::NONBLOCK).unwrap();
    let mut filled = 0;
    while let Ok(more) = writer.write(&[0; 4096]) {
        filled += more;
    }
    (reader, writer, filled)
}

#[cfg(target_os = "linux")]
#[test]
fn a_stream_that_does_not_block_is_waited_for() {
    use std::io::Read;

    let mut desk = Desk::new();
    desk.run("mkimage -q -i raw -o good.img -O csum");
    desk.write("bad.img", &[7; 5000]);
    let many = "good.img bad.img ".repeat(50);
    for (line, status) in [
        ("mkimage -i raw -o -", 0),
        ("mkimage --json -i raw -o again.img", 0),
        ("lookimage good.img", 0),
        ("lookimage --check good.img", 0),
        ("lookimage --json bad.img", 1),
        (&format!("lookimage {}", many.trim_end()), 1),
        ("bootserver --help", 0),
        ("mkimage --version", 0),
        ("lookimage --no-such-option", 1),
        ("bootserver --demo 1 good.img", 0),
        ("sledsim --virtual --sleds 1 --size 1", 0),
    ] {
        let mut words = line.split(' ');
        let mut command = tool(words.next().unwrap());
        command.args(words.clone()).current_dir(desk.path(".")).stdin(Stdio::null());
        let patient = command.output().unwrap();
        let (mut out, stdout, filled) = full_and_impatient();
        let (mut err, stderr, err_filled) = full_and_impatient();
        let mut child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
        // It has copies of the other ends.
        drop(command);
        let (mut said, mut told) = (Vec::new(), Vec::new());
        std::thread::scope(|scope| {
            scope.spawn(|| out.read_to_end(&mut said).unwrap());
            scope.spawn(|| err.read_to_end(&mut told).unwrap());
        });
        assert_eq!(child.wait().unwrap().code(), Some(status), "{line}");
        assert_eq!(patient.status.code(), Some(status), "{line}");
        if !["--demo", "--virtual"].iter().any(|mode| line.contains(mode))
            && !line.contains("--json -i")
        {
            assert!(said[filled..] == patient.stdout, "{line}");
            assert!(told[err_filled..] == patient.stderr, "{line}");
        }
        assert_eq!(said[filled..].is_empty(), patient.stdout.is_empty(), "{line}");
    }
}
