#![no_main]
#![allow(dead_code, reason = "command lines are read, and nothing is done")]
#[path = "../../src/bin/bootserver/args.rs"]
mod args;
#[path = "../lines.rs"]
mod lines;
#[path = "../../src/bin/bootserver/options.rs"]
mod options;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| lines::command_line(bytes));
