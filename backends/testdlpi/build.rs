//! Passes the tests the path of the shared library: cargo puts it beside them.

use std::env;
use std::path::Path;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let linux = env::var("CARGO_CFG_TARGET_OS").is_ok_and(|system| system == "linux");
    let out = env::var_os("OUT_DIR").expect("cargo sets it");
    // PROFILE/build/PACKAGE/out
    if let Some(profile) = Path::new(&out).ancestors().nth(3)
        && linux
    {
        println!("cargo::rustc-link-search=native={}", profile.join("deps").display());
        println!("cargo::rustc-link-arg-tests=-Wl,-rpath,$ORIGIN");
    }
}
