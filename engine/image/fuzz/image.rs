//! The properties that fuzzing checks on images made of any bytes.
//!
//! Shared by the fuzz targets and by the test that replays their corpora.
#![allow(dead_code, reason = "each target is a crate of its own, and uses one of these")]

use std::fs::{self, File};
use std::io::Read;
use std::num::NonZeroUsize;

use boot_format::boot_source::SliceTraps;
use boot_format::{Checksum, Header, Name};
use boot_image::pack::{PackOptions, pack};
use boot_image::{ImageFile, deflate};
use sha2::{Digest, Sha256};

/// Most bytes that a small input may turn into.
const MOST: u64 = 8 << 20;

/// A header: what is parsed is emitted again, except for what no reader looks at.
pub(crate) fn header(bytes: &[u8]) {
    let mut whole = [0; Header::LEN];
    let length = bytes.len().min(whole.len());
    whole[..length].copy_from_slice(&bytes[..length]);
    assert!(bytes.len() >= Header::LEN || Header::parse(bytes).is_err());
    let Ok(header) = Header::parse(&whole) else {
        return;
    };
    let checked = header.check();
    let _ = (header.dataset.to_string(), header.image_name.to_string());
    let again = Header::parse(&header.emit()).expect("what was emitted is a header");
    assert_eq!((again, again.check()), (header, checked));
}

/// The walk over a deflate stream: it finds the end and the length of whatever zlib inflates.
pub(crate) fn walk(bytes: &[u8]) {
    let walked = deflate::walk(bytes);
    let mut inflater = flate2::read::DeflateDecoder::new(bytes).take(MOST + 1);
    let mut out = Vec::new();
    let inflated = inflater.read_to_end(&mut out);
    if inflated.is_err() || out.len() as u64 > MOST {
        return;
    }
    let taken = inflater.get_ref().total_in();
    // A stream that the bytes cut short may look like one that ended to this reader.
    if let Ok(walked) = walked {
        assert_eq!(walked.output, out.len() as u64);
        assert_eq!(walked.end.div_ceil(8), taken);
        assert!(walked.final_block < walked.end);
    } else {
        let mut inflater = flate2::Decompress::new(false);
        let mut out = Vec::with_capacity(MOST as usize + 1);
        let status = inflater.decompress_vec(bytes, &mut out, flate2::FlushDecompress::Finish);
        assert!(!matches!(status, Ok(flate2::Status::StreamEnd)), "zlib ends, the walk does not");
    }
}

/// Contents made of runs: the first byte is the level, then three bytes give the length of a run
/// and what it is of. The stream that they are packed to inflates to them, and is no trap.
pub(crate) fn stitch(bytes: &[u8]) {
    let [level, runs @ ..] = bytes else {
        return;
    };
    let mut raw = Vec::new();
    for run in runs.chunks_exact(3) {
        let length = usize::from(u16::from_le_bytes([run[0], run[1]]));
        let start = raw.len().saturating_sub(length);
        match run[2] {
            0..64 => raw.resize(raw.len() + length * 64, 0),
            64..128 => raw.extend_from_within(start..),
            128..192 => raw.extend((0..length).map(|i| ((i * i) >> 3) as u8 ^ run[2])),
            _ => raw.extend(runs.iter().cycle().take(length)),
        }
        if raw.len() as u64 > MOST {
            break;
        }
    }
    if raw.is_empty() {
        return;
    }
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("raw");
    fs::write(&path, &raw).expect("there is room");
    let options = PackOptions {
        image_name: Name::new("").expect("it is short"),
        dataset: Name::new("").expect("it is short"),
        target_size: u64::MAX,
        level: Some(level % 9 + 1),
        threads: NonZeroUsize::new(2),
        pad: false,
    };
    let place = folder.path().join("image");
    let image = File::create(&place).expect("there is room");
    let raw_file = File::open(&path).expect("it is there");
    pack(&raw_file, raw.len() as u64, &image, &options, &mut |_| true).expect("it can be packed");
    let image = ImageFile::open(&place).expect("it is an image");
    assert!(contents(&image).is_ok_and(|contents| contents == raw));
    assert_eq!(image.slice_traps().expect("it is a stream"), SliceTraps::default());
    if image.header().compressed {
        let payload = &fs::read(&place).expect("it is there")[Header::LEN..];
        assert!(inflated(payload).is_some_and(|contents| contents == raw));
    }
}

/// A payload that should inflate to as many bytes as its first two say, in units of 256: it is
/// called good if and only if zlib inflates it to as many.
pub(crate) fn unpack(bytes: &[u8]) {
    let [low, high, payload @ ..] = bytes else {
        return;
    };
    let inflated = inflated(payload);
    let claimed = u64::from(u16::from_le_bytes([*low, *high])) * 256;
    // So that good ones are found too, a claim of zero stands for the true size.
    let image_size = match &inflated {
        Some(contents) if claimed == 0 => contents.len() as u64,
        _ => claimed,
    };
    let sum = Sha256::digest(inflated.as_deref().unwrap_or_default());
    let header = Header {
        compressed: true,
        data_size: payload.len() as u64,
        image_size,
        target_size: u64::MAX,
        checksum: Checksum::from_bytes(sum.into()),
        dataset: Name::new("").expect("it is short"),
        image_name: Name::new("").expect("it is short"),
    };
    let folder = tempfile::tempdir().expect("there is room");
    let place = folder.path().join("image");
    fs::write(&place, [&header.emit()[..], payload].concat()).expect("there is room");
    let image = ImageFile::open(&place).expect("it has a header");
    let unpacked = contents(&image);
    let good = inflated.filter(|contents| contents.len() as u64 == image_size);
    assert_eq!(unpacked.ok(), good);
    let _ = image.slice_traps();
}

/// The contents of an image, which are no longer than its header says.
fn contents(image: &ImageFile) -> Result<Vec<u8>, String> {
    let mut out = Vec::new();
    let result = image.unpack(&mut |bytes| {
        out.extend_from_slice(bytes);
        Ok(())
    });
    assert!(out.len() as u64 <= image.header().image_size);
    let mut memory = vec![0; image.header().image_size as usize];
    let read = image.read_to(&mut memory);
    assert_eq!(read.is_ok(), result.is_ok(), "{read:?}");
    assert!(result.is_err() || memory == out);
    result.map(|()| out).map_err(|error| error.to_string())
}

/// The output of zlib for all of `payload`, if it is valid and not too long.
fn inflated(payload: &[u8]) -> Option<Vec<u8>> {
    let mut inflater = flate2::Decompress::new(true);
    let mut out = Vec::new();
    loop {
        out.reserve(64 << 10);
        let before = (inflater.total_in(), inflater.total_out());
        let rest = &payload[before.0 as usize..];
        let flush = flate2::FlushDecompress::None;
        let status = inflater.decompress_vec(rest, &mut out, flush).ok()?;
        if status == flate2::Status::StreamEnd {
            return (inflater.total_in() == payload.len() as u64).then_some(out);
        }
        let stuck = (inflater.total_in(), inflater.total_out()) == before;
        if stuck || out.len() as u64 > MOST {
            return None;
        }
    }
}
