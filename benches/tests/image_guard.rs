//! What image code adds to hashing, compressing and inflating: counted in instructions, since
//! time is not the same twice.

#![cfg(target_os = "linux")]

use std::path::Path;
use std::process::Command;

/// Instructions that a piece of work takes, all its threads together.
fn instructions(folder: &Path, work: &str) -> f64 {
    // Threads in turn: one that has to wait for long finds less to do at once, in more
    // instructions.
    let output = Command::new("valgrind")
        .args(["--tool=cachegrind", "--cache-sim=no", "--cachegrind-out-file=/dev/null"])
        .arg("--fair-sched=yes")
        .arg(env!("CARGO_BIN_EXE_image-work"))
        .arg(folder)
        .arg(work)
        .output()
        .expect("valgrind is installed");
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{work}: {text}");
    let line =
        text.lines().filter(|line| line.contains(" I ")).find_map(|line| line.split_once("refs:"));
    let (_, number) = line.unwrap_or_else(|| panic!("valgrind counts nothing: {text}"));
    number.trim().replace(',', "").parse().unwrap()
}

#[test]
fn image_code_adds_little_to_what_has_to_be_done() {
    let folder = tempfile::tempdir().unwrap();
    let prepared =
        Command::new(env!("CARGO_BIN_EXE_image-work")).arg(folder.path()).arg("prepare").status();
    assert!(prepared.unwrap().success());
    let nothing = instructions(folder.path(), "nothing");
    let count = |work| instructions(folder.path(), work) - nothing;
    // A header is 4 KiB, which is copied and compared; and our own inflater checks what
    // libdeflate's lets pass.
    let headers = count("headers") / 1000.0;
    println!("a header, parsed, emitted and compared: {headers:.0} instructions");
    assert!(headers < 8000.0);
    let mut failed = Vec::new();
    for (work, floor, most) in [
        ("pack raw text", "hash text", 1.05),
        ("pack text", "compress text and hash it", 1.25),
        ("pack zeros", "hash zeros", 1.5),
        ("verify raw text", "hash text", 1.05),
        ("verify text", "inflate text and hash it", 1.12),
    ] {
        let ratio = count(work) / count(floor);
        println!("{work}: {ratio:.3} times what it takes to {floor}, at most {most}");
        if ratio > most {
            failed.push(work);
        }
    }
    assert!(failed.is_empty(), "more than it may take: {failed:?}");
}
