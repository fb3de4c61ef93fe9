//! `mkimage`, as its users call it.

mod tool;

#[cfg(target_os = "linux")]
use std::fs::File;
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};

use sha2::{Digest, Sha256};

use crate::tool::{Desk, tool};

const OTHER: &[u8] = b"what stood there before";

#[test]
fn the_build_gets_the_same_bytes_as_ever() {
    let mut desk = Desk::new();
    desk.run("mkimage -i raw -o zfs.img -O csum -s 16 -N ci_0123abc/4567def_2026-01-31_12:34");
    let sum = Sha256::digest(desk.read("zfs.img"));
    assert_eq!(tool::hex(&sum), "46d828d034ca491fe60a8415ef119d9f75918d83e97e1249c8cbe8f438b21284");
    assert_eq!(desk.read("csum")[..], Sha256::digest(tool::raw())[..]);
    assert_eq!(desk.files(), ["csum", "raw", "zfs.img"]);
    desk.assert_golden("mkimage-build.txt");
}

#[test]
fn what_can_not_be_is_refused_and_leaves_nothing_behind() {
    let mut desk = Desk::new();
    desk.write("empty", &[]);
    desk.write("zfs.img", OTHER);
    let long = "x".repeat(128);
    for line in [
        "mkimage -i empty -o zfs.img",
        "mkimage -i missing -o zfs.img",
        "mkimage -i . -o zfs.img",
        "mkimage -i raw -o .",
        "mkimage -i raw -o raw",
        "mkimage -i raw -o zfs.img -O raw",
        "mkimage -i raw -o new.img -O new.img",
        "mkimage -i raw -o missing/zfs.img",
        "mkimage -i raw -o zfs.img -O missing/csum",
        "mkimage -i raw -o zfs.img -s 0",
        "mkimage -i raw -o zfs.img --level 13 -z",
        "mkimage -i raw -o zfs.img --level 0 -z",
        "mkimage -i raw",
        &format!("mkimage -i raw -o zfs.img -N {long}"),
        &format!("mkimage -i raw -o zfs.img --dataset {long}"),
    ] {
        assert_eq!(desk.run(line).status.code(), Some(1), "{line}");
        assert_eq!(desk.files(), ["empty", "raw", "zfs.img"], "{line}");
        assert_eq!(desk.read("zfs.img"), OTHER, "{line}");
    }
    desk.assert_golden("mkimage-refused.txt");
}

#[test]
fn a_recovery_image_is_compared_with_the_one_that_it_replaces() {
    let mut desk = Desk::new();
    let seconds = |json: &[u8]| {
        let report: serde_json::Value = serde_json::from_slice(json).unwrap();
        report["recovery_seconds_saved"].as_f64()
    };
    desk.write("few", &vec![7; 1 << 20]);
    desk.run("mkimage -i raw -o zfs.img");
    let first = desk.run("mkimage -z -i raw -o zfs.img --json");
    assert_eq!(seconds(&first.stdout), None, "what was there was no recovery image");
    let smaller = desk.run("mkimage -z --level max -i few -o zfs.img --json");
    assert_eq!(seconds(&smaller.stdout), Some(3.0));
    let larger = desk.run("mkimage -z -i raw -o zfs.img");
    let said = String::from_utf8(larger.stderr).unwrap();
    let wanted = "a recovery takes 3.0 s, 3.0 s more than with the image that this replaces";
    assert_eq!(said, format!("mkimage: {wanted}\n"));
    let plain = desk.run("mkimage -i raw -o zfs.img");
    assert!(plain.stderr.is_empty(), "a plain image is for no recovery");
}

#[test]
fn an_image_that_nobody_takes_is_warned_of_and_with_strict_refused() {
    let mut desk = Desk::new();
    desk.write("odd", &vec![7; 100_000]);
    assert!(desk.run("mkimage -i odd -o odd.img").status.success());
    assert!(!desk.run("mkimage -i odd -o strict.img --strict").status.success());
    assert!(desk.run("mkimage -i odd -o padded.img --strict --pad").status.success());
    assert!(desk.run("lookimage --check=network,disk padded.img").status.success());
    desk.write("large", &vec![7; (1 << 20) + 4096]);
    assert!(!desk.run("mkimage -i large -o large.img -s 1").status.success());
    assert_eq!(desk.files(), ["large", "odd", "odd.img", "padded.img", "raw"]);
    desk.assert_golden("mkimage-verdicts.txt");
}

#[test]
fn a_new_file_has_the_mode_of_the_old_one_and_a_symlink_stays_one() {
    let mut desk = Desk::new();
    desk.write("zfs.img", OTHER);
    fs::set_permissions(desk.path("zfs.img"), Permissions::from_mode(0o640)).unwrap();
    symlink("zfs.img", desk.path("link")).unwrap();
    assert!(desk.run("mkimage -i raw -o link").status.success());
    assert!(desk.path("link").is_symlink());
    let mode = |name| fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode("zfs.img"), 0o640);
    assert_eq!(desk.read("zfs.img").len(), 4096 + (1 << 20));
    symlink("not-there-yet", desk.path("dangling")).unwrap();
    assert!(desk.run("mkimage -i raw -o dangling").status.success());
    assert!(desk.path("not-there-yet").is_file());
}

#[test]
fn a_new_file_has_the_mode_that_the_umask_leaves() {
    let desk = Desk::new();
    let script = format!("umask 027 && {} -q -i raw -o new.img", tool::path("mkimage"));
    let status =
        Command::new("sh").args(["-c", &script]).current_dir(desk.path(".")).status().unwrap();
    assert!(status.success());
    let mode = fs::metadata(desk.path("new.img")).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode, 0o640);
}

#[test]
fn a_pipe_can_be_packed_and_the_result_is_read_back() {
    let mut desk = Desk::new();
    let mut child = tool("mkimage")
        .args(["-i", "-", "-o", "piped.img", "--verify", "-q", "-s", "16"])
        .current_dir(desk.path("."))
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&tool::raw()).unwrap();
    assert!(child.wait().unwrap().success());
    desk.run("mkimage -q -i raw -o file.img -s 16");
    assert_eq!(desk.read("piped.img"), desk.read("file.img"));
}

/// Puts an old pair in place, begins a new one from a pipe, and while it waits for that to end,
/// does what `spoil` does. Returns the status and the output.
fn pair_from_pipe(desk: &mut Desk, spoil: impl FnOnce(&Desk)) -> (Option<i32>, String) {
    assert!(desk.run("mkimage -q -i raw -o zfs.img -O csum").status.success());
    let mut child = tool("mkimage")
        .args(["-i", "-", "-o", "zfs.img", "-O", "csum", "-q"])
        .current_dir(desk.path("."))
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    // More than a pipe holds: once it is read, the outputs have been opened.
    pipe.write_all(&vec![7; 4 << 20]).unwrap();
    spoil(desk);
    drop(pipe);
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn image_and_checksum_are_replaced_together_or_not_at_all() {
    let mut desk = Desk::new();
    assert!(desk.run("mkimage -q -i raw -o old.img -O old.csum").status.success());
    let (status, error) = pair_from_pipe(&mut desk, |desk| {
        fs::remove_file(desk.path("csum")).unwrap();
        fs::create_dir(desk.path("csum")).unwrap();
    });
    assert_eq!(status, Some(1));
    assert!(error.contains("csum: "), "{error}");
    assert_eq!(desk.read("zfs.img"), desk.read("old.img"));
    assert_eq!(desk.files(), ["csum", "old.csum", "old.img", "raw", "zfs.img"]);
    fs::remove_dir(desk.path("csum")).unwrap();
    assert_eq!(pair_from_pipe(&mut desk, |_| {}), (Some(0), String::new()));
    assert!(desk.run("lookimage --csum csum zfs.img").status.success());
    assert_ne!(desk.read("zfs.img"), desk.read("old.img"));
    assert_eq!(desk.files(), ["csum", "old.csum", "old.img", "raw", "zfs.img"]);
}

#[test]
fn one_file_by_two_names_is_refused_whether_it_exists_or_not() {
    let mut desk = Desk::new();
    fs::create_dir(desk.path("d")).unwrap();
    symlink("new", desk.path("soft")).unwrap();
    symlink(".", desk.path("here")).unwrap();
    desk.write("one", OTHER);
    fs::hard_link(desk.path("one"), desk.path("two")).unwrap();
    let absolute = desk.path("new").display().to_string();
    for (image, csum) in [
        ("new", "./new"),
        ("new", "d/../new"),
        ("new", "soft"),
        ("here/new", "new"),
        ("new", absolute.as_str()),
        ("one", "two"),
    ] {
        let output = desk.run(&format!("mkimage -q -i raw -o {image} -O {csum}"));
        assert_eq!(output.status.code(), Some(1), "{image} {csum}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("both outputs are the same file"));
    }
    assert_eq!(desk.files(), ["d", "here", "one", "raw", "soft", "two"]);
    assert_eq!(desk.read("one"), OTHER);
}

#[test]
fn a_report_that_can_not_be_written_undoes_the_files_and_a_word_of_success_does_not() {
    let desk = Desk::new();
    let run = |arguments: &str, stdout: Stdio| {
        tool("mkimage")
            .args(arguments.split(' '))
            .current_dir(desk.path("."))
            .stdout(stdout)
            .status()
            .unwrap()
    };
    let closed = || {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    assert!(run("-i raw -o zfs.img -O csum", closed()).success());
    let look = tool("lookimage")
        .args(["--csum", "csum", "zfs.img"])
        .current_dir(desk.path("."))
        .stdout(closed())
        .status();
    assert!(look.unwrap().success());
    assert!(run("-i raw -o json.img --json", closed()).success());
    #[cfg(target_os = "linux")]
    {
        let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
        assert!(!run("-i raw -o new.img -O new.csum --json", full()).success());
    }
    assert_eq!(desk.files(), ["csum", "json.img", "raw", "zfs.img"]);
}

#[test]
fn standard_output_gets_a_complete_image_and_nothing_else() {
    let mut desk = Desk::new();
    for name in ["-", "/dev/stdout"] {
        let output = desk.pipe(&format!("mkimage -i raw -o {name} -O csum -s 16"));
        assert!(output.status.success());
        desk.write("piped.img", &output.stdout);
        assert!(desk.run("lookimage --csum csum piped.img").status.success());
    }
    for line in ["mkimage -i raw -o - -O -", "mkimage -i raw -o - --json"] {
        let output = desk.pipe(line);
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0), "{line}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn what_keeps_nothing_can_take_either_output() {
    let mut desk = Desk::new();
    assert!(desk.run("mkimage -i raw -o zfs.img -O /dev/null").status.success());
    assert!(desk.run("mkimage -i raw -o /dev/null -O csum").status.success());
    assert!(!desk.run("mkimage -i raw -o /dev/null --verify").status.success());
    assert_eq!(desk.files(), ["csum", "raw", "zfs.img"]);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_image() {
    /// Two threads take half of that.
    const MOST: u64 = 64 << 10;
    /// An image in memory would take more.
    const IMAGE: u64 = 72 << 20;
    let desk = Desk::new();
    // Different everywhere, so that there is no shortcut.
    let raw: Vec<u8> = (0..IMAGE / 32)
        .flat_map(|index| {
            let word = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            [
                word.to_le_bytes(),
                (index / 3).to_le_bytes(),
                (word >> 40).to_le_bytes(),
                *b"contents",
            ]
        })
        .flatten()
        .collect();
    desk.write("large", &raw);
    for kind in ["-z --level 12", "-z --level 1", "-N raw"] {
        let make = format!("mkimage -q -i large -o zfs.img --threads 2 --verify {kind}");
        for line in [make.as_str(), "lookimage zfs.img"] {
            let most = peak(&desk, line);
            assert!(most > 0 && most <= MOST, "{kind}: {most} KiB with {line}");
        }
    }
}

/// A tool's peak memory in KiB, as the system counts it at its end. As many
/// threads as there are cores verify an image, and have memory of their own: here it is two.
#[cfg(target_os = "linux")]
fn peak(desk: &Desk, line: &str) -> u64 {
    // A new process begins with its parent's peak, so that has to be small.
    let script = "import resource, subprocess, sys\n\
                  subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)\n\
                  print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)";
    let (name, arguments) = line.split_once(' ').unwrap();
    let output = Command::new("python3")
        .args(["-c", script, tool::path(name)])
        .args(arguments.split(' '))
        .current_dir(desk.path("."))
        .env("RAYON_NUM_THREADS", "2")
        .stderr(Stdio::inherit())
        .output()
        .expect("this test needs python3: install the package python3");
    assert!(output.status.success(), "{line}");
    String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn what_can_not_be_written_is_named() {
    let mut desk = Desk::new();
    let full = desk.run("mkimage -i raw -o /dev/full");
    let error = String::from_utf8(full.stderr).unwrap();
    assert_eq!(full.status.code(), Some(1));
    assert!(error.contains("/dev/full: writing: No space left on device"), "{error}");
    let refused = desk.run("mkimage -i raw -o /proc/zfs.img");
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("/proc/zfs.img: "));
    assert_eq!(desk.files(), ["raw"]);
}

#[test]
fn a_named_pipe_is_as_good_as_a_file() {
    let mut desk = Desk::new();
    assert!(Command::new("mkfifo").arg(desk.path("pipe")).status().unwrap().success());
    let child = tool("mkimage")
        .args(["-i", "pipe", "-o", "piped.img", "-q", "-s", "16"])
        .current_dir(desk.path("."))
        .spawn();
    fs::write(desk.path("pipe"), tool::raw()).unwrap();
    assert!(child.unwrap().wait().unwrap().success());
    desk.run("mkimage -q -i raw -o file.img -s 16");
    assert_eq!(desk.read("piped.img"), desk.read("file.img"));
}

#[test]
fn a_full_disk_is_an_error_that_names_the_file() {
    // A limit on the size of files fails as a full disk does, and needs no root.
    let desk = Desk::new();
    let script =
        format!("trap '' XFSZ; ulimit -f 100; {} -i raw -o zfs.img", tool::path("mkimage"));
    let output =
        Command::new("bash").args(["-c", &script]).current_dir(desk.path(".")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("zfs.img: writing: File too large"), "{error}");
    assert_eq!(desk.files(), ["raw"]);
}

#[test]
fn json_tells_all_of_it() {
    let mut desk = Desk::new();
    let output = desk.run("mkimage -z -i raw -o zfs.img -s 16 --json --verify");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["image_size"], 1 << 20);
    assert_eq!(report["compressed"], true);
    let whole = Sha256::digest(desk.read("zfs.img"));
    assert_eq!(report["file_sum"], tool::hex(&whole));
    assert_eq!(report["boot_sources"]["sp"]["accepted"], true);
    assert_eq!(report["boot_sources"]["agent"]["accepted"], false);
    assert_eq!(report["verified"], true);
    for stage in ["pack", "hash", "compress", "write", "verify", "file_sum"] {
        assert!(report["seconds"][stage].as_f64().unwrap() > 0.0, "{stage}");
    }
}
