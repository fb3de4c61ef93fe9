//! Says in release builds from which commit they are. Others go without: they would be built anew
//! after each commit.

use std::env;
use std::fs;
use std::process::Command;

/// Digits of a commit that are shown.
const DIGITS: usize = 12;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=commit");
    let package = env::var("CARGO_PKG_VERSION").expect("cargo sets it");
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let version = match exported().or_else(checked_out).filter(|_| is_release) {
        Some(commit) => format!("{package} ({commit})"),
        None => package,
    };
    println!("cargo::rustc-env=BOOT_TOOLS_VERSION={version}");
}

/// The commit that `git archive` has made this folder from: it has written it into a file, which
/// has something else in a checkout (see `.gitattributes`).
fn exported() -> Option<String> {
    let text = fs::read_to_string("commit").ok()?;
    let commit = text.trim();
    let is_one = commit.len() > DIGITS && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_one.then(|| commit[..DIGITS].to_owned())
}

/// The commit that is checked out, if this is a checkout.
fn checked_out() -> Option<String> {
    // It changes with each commit, checkout and rebase.
    let log = git(&["rev-parse", "--git-path", "logs/HEAD"])?;
    println!("cargo::rerun-if-changed={log}");
    git(&["rev-parse", &format!("--short={DIGITS}"), "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
