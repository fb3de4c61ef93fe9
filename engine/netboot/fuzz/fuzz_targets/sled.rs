#![no_main]
#[path = "../netboot.rs"]
mod netboot;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| netboot::sled(bytes));
