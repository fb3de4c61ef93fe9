//! A sparse READ, byte by byte and taken apart: `cargo run --example take_a_frame_apart`.

use std::error::Error;

use boot_format::wire::{Frame, FrameType, Head, MacAddr, Message, SLOTS, emit_read};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    // A sled that lacks the blocks in its slots 0 and 5 puts their offsets at the positions of the
    // slots.
    let mut offsets = [0; SLOTS];
    offsets[5] = 5 * 1024;
    let body = emit_read(2, &offsets);
    let [server, sled] = [1, 2].map(|last| MacAddr::new([2, 0, 0, 0, 0, last]));
    let head = Head::new(server, sled, FrameType::Read, body.len());
    let bytes = [head.as_bytes(), &body].concat();

    let frame = Frame::parse(&bytes)?;
    println!("from {} to {}", frame.source, frame.destination);
    let Message::Read(read) = frame.message else {
        return Err("not a READ".into());
    };
    let wanted: Vec<_> = read.offsets().collect();
    println!("{} offsets: {wanted:?}", read.count());
    assert_eq!(wanted, [0, 5 * 1024], "offset 0 counts, since the count exceeds the others");
    Ok(())
}
