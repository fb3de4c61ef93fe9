//! `mkimage` under a make with a jobserver: all images together use as many threads as make may
//! have jobs.

mod tool;

use std::fmt::Write as _;
use std::process::Command;

use crate::tool::{Desk, path};

/// Has `make -jN` make the images `names` at the same time, and returns with how many threads each
/// was compressed. A job begins when all have, and ends when all are done.
fn threads_below(jobs: usize, names: &[&str]) -> Vec<u64> {
    let desk = Desk::new();
    let wait = |mark: &str| {
        let marks: Vec<_> = names.iter().map(|name| format!("-e {name}.{mark}")).collect();
        format!("until [ {} ]; do sleep 0.01; done", marks.join(" -a "))
    };
    let mkimage = path("mkimage");
    let mut makefile = format!("all: {}\n", names.join(" "));
    for name in names {
        let _ = write!(
            makefile,
            "{name}:\n\t+touch $@.began; {}; {mkimage} -z -j 8 -i raw -o $@.img --json > $@.json; \
             touch $@.done; {}\n",
            wait("began"),
            wait("done")
        );
    }
    desk.write("Makefile", makefile.as_bytes());
    let mut make = Command::new("make");
    make.arg(format!("-j{jobs}")).current_dir(desk.path("."));
    // The make that runs this test has another jobserver.
    make.env_remove("MAKEFLAGS").env_remove("CARGO_MAKEFLAGS").env_remove("MFLAGS");
    let output = make.output().expect("this test needs make, of the package make");
    assert!(output.status.success(), "{output:?}");
    let threads = |name: &&str| {
        let report = desk.read(&format!("{name}.json"));
        let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
        report["threads"].as_u64().unwrap()
    };
    names.iter().map(threads).collect()
}

#[test]
fn one_image_gets_all_jobs_of_make_and_two_get_half_of_them() {
    assert_eq!(threads_below(3, &["a"]), [3]);
    assert_eq!(threads_below(2, &["a", "b"]), [1, 1]);
}

#[test]
fn more_than_is_asked_for_is_not_taken() {
    assert_eq!(threads_below(64, &["a"]), [8]);
}
