//! The peer that image tools are compared with: one thread, one thing after the other, and
//! miniz_oxide at its best, as flate2 drives it by default.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use boot_format::{Checksum, Header, Name};
use memmap2::Mmap;
use miniz_oxide::deflate::core::{CompressorOxide, create_comp_flags_from_zip_params};
use miniz_oxide::inflate::stream::{InflateState, inflate};
use miniz_oxide::{DataFormat, MZFlush, MZStatus, deflate};
use sha2::{Digest, Sha256};

const BLOCK: usize = 1 << 20;

/// SHA-256 over a newly mapped file, and nothing else: no tool that checks or makes an image can be
/// faster.
///
/// # Panics
///
/// If the file can't be mapped.
#[expect(unsafe_code, reason = "a mapping is what the floor is about")]
pub fn sha_of_mapping(path: &Path) -> Checksum {
    let file = File::open(path).expect("the file is there");
    // SAFETY: the bench owns the file, and nobody changes it.
    let bytes = unsafe { Mmap::map(&file) }.expect("the file can be mapped");
    Checksum::from_bytes(Sha256::digest(&bytes[..]).into())
}

/// Copies `raw` to an image as it is, and hashes it.
///
/// # Panics
///
/// If anything fails.
pub fn store(raw: &Path, image: &Path) {
    let mut raw = File::open(raw).expect("the raw image is there");
    let mut image = File::create(image).expect("the image can be written");
    image.write_all(&[0; Header::LEN]).expect("the image can be written");
    let (mut hash, mut size) = (Sha256::new(), 0);
    let mut block = vec![0; BLOCK];
    loop {
        let more = raw.read(&mut block).expect("the raw image can be read");
        if more == 0 {
            break;
        }
        hash.update(&block[..more]);
        image.write_all(&block[..more]).expect("the image can be written");
        size += more as u64;
    }
    let header = header(false, size, size, hash);
    image.write_all_at(&header.emit(), 0).expect("the image can be written");
}

fn header(compressed: bool, data_size: u64, image_size: u64, hash: Sha256) -> Header {
    Header {
        compressed,
        data_size,
        image_size,
        target_size: image_size,
        checksum: Checksum::from_bytes(hash.finalize().into()),
        dataset: Name::new("rpool/ROOT/ramdisk").expect("it is short"),
        image_name: Name::new("peer").expect("it is short"),
    }
}

/// Packs `raw` to a compressed image. Returns the payload's length.
///
/// # Panics
///
/// If anything fails.
pub fn pack(raw: &Path, image: &Path) -> u64 {
    let mut raw = File::open(raw).expect("the raw image is there");
    let mut image = File::create(image).expect("the image can be written");
    image.write_all(&[0; Header::LEN]).expect("the image can be written");
    let mut compressor = CompressorOxide::new(create_comp_flags_from_zip_params(9, 15, 0));
    let mut hash = Sha256::new();
    let (mut block, mut output) = (vec![0; BLOCK], vec![0; 32 << 10]);
    let (mut size, mut length) = (0, 0);
    loop {
        let more = raw.read(&mut block).expect("the raw image can be read");
        hash.update(&block[..more]);
        size += more as u64;
        let mut input = &block[..more];
        let flush = if more == 0 { MZFlush::Finish } else { MZFlush::None };
        loop {
            let done = deflate::stream::deflate(&mut compressor, input, &mut output, flush);
            input = &input[done.bytes_consumed..];
            image.write_all(&output[..done.bytes_written]).expect("the image can be written");
            length += done.bytes_written as u64;
            match done.status {
                Ok(MZStatus::StreamEnd) => {
                    let header = header(true, length, size, hash);
                    image.write_all_at(&header.emit(), 0).expect("the image can be written");
                    return length;
                }
                _ if flush == MZFlush::None && input.is_empty() => break,
                _ => {}
            }
        }
    }
}

/// Hashes an image's contents, inflating them if they are compressed.
///
/// # Panics
///
/// If it is no good image.
pub fn verify(image: &Path) {
    let mut image = File::open(image).expect("the image is there");
    let mut header = vec![0; Header::LEN];
    image.read_exact(&mut header).expect("the image has a header");
    let header = Header::parse(&header).expect("the image has a header");
    let mut state = InflateState::new_boxed(DataFormat::Zlib);
    let mut hash = Sha256::new();
    let (mut block, mut output) = (vec![0; BLOCK], vec![0; BLOCK]);
    loop {
        let more = image.read(&mut block).expect("the image can be read");
        if !header.compressed && more > 0 {
            hash.update(&block[..more]);
            continue;
        }
        if !header.compressed {
            assert_eq!(hash.finalize()[..], header.checksum.as_bytes()[..]);
            return;
        }
        let mut input = &block[..more];
        loop {
            let done = inflate(&mut state, input, &mut output, MZFlush::None);
            input = &input[done.bytes_consumed..];
            hash.update(&output[..done.bytes_written]);
            match done.status {
                Ok(MZStatus::StreamEnd) => {
                    assert_eq!(hash.finalize()[..], header.checksum.as_bytes()[..]);
                    return;
                }
                _ if input.is_empty() && done.bytes_written < output.len() => break,
                Ok(_) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        assert!(more > 0, "the image ends early");
    }
}
