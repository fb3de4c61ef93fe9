//! Other inflaters, and the loop in which a sled drives one of them.
#![expect(unsafe_code, reason = "zlib itself has no safe interface that says as much")]
#![allow(dead_code, reason = "each test file uses a part of it")]

use std::ffi::CStr;
use std::io::{Read, Write};
use std::mem::{MaybeUninit, size_of};
use std::process::{Command, Stdio};

use libz_sys as z;

/// Bytes that a sled inflates at a time.
pub(crate) const BUFFER: usize = 128 << 10;

/// What the sled's kernel does, with zlib itself: it inflates one slice after the other, into
/// buffers, for as long as they come back full, and treats every answer of zlib other than "go on"
/// and "it ends here" as a failure. The error is the slice at which it gives up.
pub(crate) fn sled_inflates(payload: &[u8], slice: usize) -> Result<Vec<u8>, usize> {
    let mut stream = Stream::new();
    let mut out = Vec::new();
    let mut buffer = vec![0; BUFFER];
    for (index, mut input) in payload.chunks(slice).enumerate() {
        loop {
            let (status, taken, given) = stream.inflate(input, &mut buffer);
            if status != z::Z_OK && status != z::Z_STREAM_END {
                return Err(index);
            }
            input = &input[taken..];
            out.extend_from_slice(&buffer[..given]);
            if given < BUFFER {
                break;
            }
        }
    }
    Ok(out)
}

/// Whether zlib inflates `payload` to `raw`, and reports its end there.
pub(crate) fn zlib_inflates(payload: &[u8], raw: &[u8]) -> bool {
    let mut stream = Stream::new();
    let mut out = vec![0; raw.len() + 1];
    let (status, taken, given) = stream.inflate(payload, &mut out);
    status == z::Z_STREAM_END && taken == payload.len() && out[..given] == *raw
}

struct Stream {
    raw: Box<z::z_stream>,
}

impl Stream {
    fn new() -> Self {
        // SAFETY: zlib expects all zeros in a stream that it is to set up: without memory
        // functions of its own, which are optional and null here.
        let mut raw = unsafe { Box::new(MaybeUninit::<z::z_stream>::zeroed()).assume_init() };
        // SAFETY: the stream is valid, and stays where it is.
        let status = unsafe {
            z::inflateInit_(&raw mut *raw, z::zlibVersion(), size_of::<z::z_stream>() as i32)
        };
        assert_eq!(status, z::Z_OK);
        Self { raw }
    }

    /// One call of zlib: its status, and how much it took and gave.
    fn inflate(&mut self, input: &[u8], output: &mut [u8]) -> (i32, usize, usize) {
        self.raw.next_in = input.as_ptr().cast_mut();
        self.raw.avail_in = input.len() as u32;
        self.raw.next_out = output.as_mut_ptr();
        self.raw.avail_out = output.len() as u32;
        // SAFETY: both buffers are valid for their lengths while this runs.
        let status = unsafe { z::inflate(&raw mut *self.raw, z::Z_NO_FLUSH) };
        let taken = input.len() - self.raw.avail_in as usize;
        (status, taken, output.len() - self.raw.avail_out as usize)
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // SAFETY: it was set up, and is not used afterwards.
        unsafe { z::inflateEnd(&raw mut *self.raw) };
    }
}

/// The version of the zlib that plays the sled's.
pub(crate) fn zlib_version() -> String {
    // SAFETY: it is a constant string.
    unsafe { CStr::from_ptr(z::zlibVersion()) }.to_string_lossy().into_owned()
}

/// Inflates `payload` with every other decoder, and compares.
pub(crate) fn assert_all_inflate(payload: &[u8], raw: &[u8]) {
    let mut flate = Vec::new();
    flate2::read::ZlibDecoder::new(payload).read_to_end(&mut flate).unwrap();
    assert!(flate == raw, "zlib-rs inflates to something else");
    let miniz = miniz_oxide::inflate::decompress_to_vec_zlib(payload);
    assert!(miniz.is_ok_and(|miniz| miniz == raw), "miniz_oxide inflates to something else");
    let mut whole = vec![0; raw.len()];
    let length = libdeflater::Decompressor::new().zlib_decompress(payload, &mut whole);
    assert_eq!(length, Ok(raw.len()));
    assert!(whole == raw, "libdeflate inflates to something else");
    assert!(zlib_inflates(payload, raw), "zlib inflates to something else");
}

/// Inflates `payload` with Python's zlib, and compares.
pub(crate) fn assert_python_inflates(payload: &[u8], raw: &[u8]) {
    const SCRIPT: &str = "import sys, zlib; d = zlib.decompressobj(); \
        sys.stdout.buffer.write(d.decompress(sys.stdin.buffer.read())); \
        sys.exit(0 if d.eof and not d.unused_data else 'the stream ends elsewhere')";
    let mut python = Command::new("python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this test needs python3: install the package python3");
    let mut pipe = python.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || pipe.write_all(payload).unwrap());
        python.wait_with_output().unwrap()
    });
    assert!(output.status.success());
    assert!(output.stdout == raw, "Python inflates to something else");
}
