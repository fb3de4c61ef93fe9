//! Frames and headers, in and out.

use std::hint::black_box;

use boot_benches::images::header_of_an_image;
use boot_format::Header;
use boot_format::wire::{
    BLOCK, DATA_HEAD_LEN, Frame, FrameType, Head, MacAddr, Message, SLOTS, emit_read,
};
use boot_image::Contents;
use boot_netboot::batch::Batch;

use crate::{Work, measure};

pub(crate) const WORKS: &[(&str, Work)] = &[
    ("decode-read", decode_read),
    ("decode-data", decode_data),
    ("decode-garbage", decode_garbage),
    ("data-head", data_head),
    ("parse-header", parse_header),
    ("emit-header", emit_header),
];

/// Makes what happens once negligible.
const TIMES: u64 = 10_000;
const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 0]);
const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);

/// A READ is taken apart, and each of its offsets looked at.
fn decode_read() -> u64 {
    let body = emit_read(SLOTS as u64, &std::array::from_fn(|slot| (slot * BLOCK) as u64));
    let head = Head::new(SERVER, SLED, FrameType::Read, body.len());
    let bytes = [head.as_bytes(), &body].concat();
    measure(|| {
        for _ in 0..TIMES {
            let frame = Frame::parse(black_box(&bytes)).expect("it is a frame");
            let Message::Read(read) = frame.message else { unreachable!("it is a READ") };
            black_box(read.offsets().sum::<u64>());
        }
    });
    TIMES
}

fn decode_data() -> u64 {
    let head = Head::data(SLED, SERVER, 7 << 10, BLOCK);
    let bytes = [head.as_bytes(), &[1; BLOCK]].concat();
    measure(|| {
        for _ in 0..TIMES {
            black_box(Frame::parse(black_box(&bytes)).expect("it is a frame"));
        }
    });
    TIMES
}

/// Frames that are not ours, too short, or too long for their length field.
fn decode_garbage() -> u64 {
    let head = Head::data(SLED, SERVER, 0, BLOCK);
    let whole = [head.as_bytes(), &[1; BLOCK]].concat();
    let mut other = whole.clone();
    other[12] ^= 0xff;
    let frames = [&whole[..10], &whole[..DATA_HEAD_LEN - 1], &whole[..500], &other[..]];
    measure(|| {
        for _ in 0..TIMES {
            for frame in frames {
                black_box(Frame::parse(black_box(frame)).expect_err("it is no frame"));
            }
        }
    });
    TIMES * frames.len() as u64
}

/// A DATA frame's head, and its place in a batch.
fn data_head() -> u64 {
    let image = Contents::build(SLOTS * BLOCK, 1 << 20, "", "rpool", |bytes| bytes.fill(1));
    let image = image.expect("there is memory");
    let mut batch = Batch::with_capacity(SLOTS);
    measure(|| {
        for _ in 0..TIMES / 100 {
            batch.clear();
            for start in (0..SLOTS).map(|block| block * BLOCK) {
                let head = Head::data(black_box(SLED), SERVER, start as u64, BLOCK);
                batch.push_contents(head, &image, start, BLOCK);
            }
        }
    });
    TIMES / 100 * SLOTS as u64
}

fn parse_header() -> u64 {
    let bytes = header_of_an_image().emit();
    measure(|| {
        for _ in 0..TIMES / 10 {
            let header = Header::parse(black_box(&bytes)).expect("it is a header");
            black_box(header.check()).expect("it is a good one");
        }
    });
    TIMES / 10
}

fn emit_header() -> u64 {
    let header = header_of_an_image();
    measure(|| {
        for _ in 0..TIMES / 10 {
            black_box(black_box(&header).emit());
        }
    });
    TIMES / 10
}
