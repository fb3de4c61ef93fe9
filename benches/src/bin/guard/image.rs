//! The parts of packing and unpacking that are ours.

use std::hint::black_box;

use boot_benches::images::text;
use boot_image::deflate::walk;
use boot_image::pack::internals::{Pieces, combine_adler, inflate, is_zero};
use libdeflater::{CompressionLvl, Compressor};
use rayon::ThreadPoolBuilder;

use crate::{Work, measure};

pub(crate) const WORKS: &[(&str, Work)] = &[
    ("zero-test-kib", zero_test),
    ("adler-combine", adler),
    ("inflate-kib", || inflated(true)),
    ("walk-kib", || inflated(false)),
    ("stitch-piece", stitch),
    ("optimal-level-10-kib", || optimal(10, 1088)),
    ("optimal-level-12-kib", || optimal(12, 64)),
    ("optimal-max-kib", || optimal(13, 64)),
];

const KIB: usize = 1 << 10;

fn zero_test() -> u64 {
    let zeros = vec![0; 256 * KIB];
    measure(|| {
        for _ in 0..16 {
            assert!(is_zero(black_box(&zeros)));
        }
    });
    16 * 256
}

fn adler() -> u64 {
    const TIMES: u64 = 10_000;
    measure(|| {
        for times in 0..TIMES {
            let (one, other) = black_box((0x1234_5678, 0x0bad_cafe));
            black_box(combine_adler(one, other, 1_000_000 + times));
        }
    });
    TIMES
}

fn inflated(out: bool) -> u64 {
    let text = text(512 * KIB);
    let mut compressor = Compressor::new(CompressionLvl::new(6).expect("there is such a level"));
    let mut stream = vec![0; compressor.deflate_compress_bound(text.len())];
    let length = compressor.deflate_compress(&text, &mut stream).expect("there is room");
    let (stream, mut room) = (&stream[..length], vec![0; text.len()]);
    measure(|| {
        if out {
            inflate(black_box(stream), &mut room).expect("it is a stream");
        } else {
            walk(black_box(stream)).expect("it is a stream");
        }
    });
    512
}

/// Pieces of 4 KiB, many more than any image has, so that seams are all that counts.
fn stitch() -> u64 {
    let text = text(512 * KIB);
    let pieces = Pieces::new(6, text.chunks(4 * KIB));
    let mut stitched = Some(pieces);
    measure(|| {
        black_box(stitched.take().map(Pieces::stitch));
    });
    512 / 4
}

/// Our own compressor. Up to 1 MiB, level 10 is as level 11; beyond, two threads share a piece, and what
/// is counted is the work of the thread that measures.
fn optimal(level: u8, kib: usize) -> u64 {
    let text = text(kib * KIB);
    let alone = ThreadPoolBuilder::new().num_threads(1).build().expect("a thread can be made");
    alone.install(|| {
        measure(|| {
            black_box(Pieces::new(level, [&text[..]].into_iter()));
        });
    });
    kib as u64
}
