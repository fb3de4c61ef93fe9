//! Compressed images of other makers, good and bad: exactly those that a sled's inflater accepts
//! are accepted, however they are inflated.

mod codes;
mod decoders;

use std::fs;

use boot_format::boot_source::SliceTraps;
use boot_format::{Checksum, Header, Name};
use boot_image::ImageFile;
use flate2::{Compress, Compression, FlushCompress};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use crate::decoders::{assert_all_inflate, sled_inflates, zlib_inflates};

const MIB: usize = 1 << 20;
const MARKER: [u8; 4] = [0, 0, 0xff, 0xff];
/// In one piece, in segments that need each other, and in segments that do not.
const FLUSHES: [FlushCompress; 3] = [FlushCompress::None, FlushCompress::Sync, FlushCompress::Full];

/// Unpacks an image with this payload, which should hold `raw`.
fn unpack(payload: &[u8], raw: &[u8]) -> Result<(), String> {
    let (image, _folder) = image(payload, raw.len() as u64, &Sha256::digest(raw).into());
    let mut at = 0;
    let mut differs = false;
    let result = image.unpack(&mut |bytes| {
        differs |= raw.get(at..at + bytes.len()) != Some(bytes);
        at += bytes.len();
        Ok(())
    });
    let result = result.map_err(|error| error.to_string());
    let mut memory = vec![0xa5; raw.len()];
    let read = image.read_to(&mut memory).map_err(|error| error.to_string());
    // If several things are wrong, each may report a different one.
    assert_eq!(read.is_ok(), result.is_ok(), "{read:?} in its place, else {result:?}");
    result?;
    assert!(!differs && at == raw.len(), "called good, and unpacked to something else");
    assert!(memory == raw, "called good, and read to its place as something else");
    Ok(())
}

fn image(payload: &[u8], image_size: u64, sum: &[u8; 32]) -> (ImageFile, tempfile::TempDir) {
    let header = Header {
        compressed: true,
        data_size: payload.len() as u64,
        image_size,
        target_size: 1 << 32,
        checksum: Checksum::from_bytes(*sum),
        dataset: Name::new("").unwrap(),
        image_name: Name::new("").unwrap(),
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("image");
    fs::write(&path, [&header.emit()[..], payload].concat()).unwrap();
    (ImageFile::open(&path).unwrap(), folder)
}

/// Bytes that compress somewhat, with markers among them.
fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes: Vec<u8> = Vec::with_capacity(length + 64);
    while bytes.len() < length {
        match random.u8(..) {
            0..90 => bytes.extend(std::iter::repeat_with(|| random.u8(..)).take(20)),
            90..100 => bytes.extend(MARKER),
            100..105 => bytes.resize(bytes.len() + random.usize(..4000), 0),
            _ => {
                let back = random.usize(..=bytes.len().min(40_000));
                let start = bytes.len() - back;
                bytes.extend_from_within(start..start + back.min(random.usize(..300)));
            }
        }
    }
    bytes.truncate(length);
    bytes
}

/// A zlib stream that is flushed after each `every` bytes.
fn flushed(raw: &[u8], every: usize, flush: FlushCompress, level: u32) -> Vec<u8> {
    flushed_after(raw.chunks(every), flush, level)
}

/// A zlib stream that is flushed after every part.
fn flushed_after<'a>(
    parts: impl Iterator<Item = &'a [u8]> + Clone,
    flush: FlushCompress,
    level: u32,
) -> Vec<u8> {
    let mut stream = Compress::new(Compression::new(level), true);
    let length: usize = parts.clone().map(<[u8]>::len).sum();
    let mut out = Vec::with_capacity(length * 2 + 10_000);
    for part in parts {
        let before = stream.total_in();
        stream.compress_vec(part, &mut out, FlushCompress::None).unwrap();
        assert_eq!(stream.total_in() - before, part.len() as u64);
        stream.compress_vec(&[], &mut out, flush).unwrap();
    }
    stream.compress_vec(&[], &mut out, FlushCompress::Finish).unwrap();
    out
}

fn stored(is_final: bool, bytes: &[u8]) -> Vec<u8> {
    let [low, high] = (bytes.len() as u16).to_le_bytes();
    [&[u8::from(is_final), low, high, !low, !high], bytes].concat()
}

/// A zlib stream of these deflate blocks, with the sum of `raw`.
fn zlib(blocks: &[&[u8]], raw: &[u8]) -> Vec<u8> {
    [&[0x78, 0xda], &blocks.concat()[..], &libdeflater::adler32(raw).to_be_bytes()].concat()
}

#[test]
fn whatever_way_a_maker_flushes_it_is_taken() {
    let raw = content(1, 5 * MIB);
    for level in [0, 1, 6] {
        for every in [5 * MIB, MIB, 100_000, 3000] {
            for flush in FLUSHES {
                let payload = flushed(&raw, every, flush, level);
                assert!(zlib_inflates(&payload, &raw));
                unpack(&payload, &raw).unwrap_or_else(|error| {
                    panic!("level {level}, {flush:?} every {every}: {error}")
                });
            }
        }
    }
}

#[test]
fn a_payload_larger_than_the_contents_is_good() {
    let mut raw = vec![0; 3 * MIB];
    fastrand::Rng::with_seed(2).fill(&mut raw);
    let payload = flushed(&raw, MIB, FlushCompress::Full, 6);
    assert!(payload.len() > raw.len());
    assert_all_inflate(&payload, &raw);
    unpack(&payload, &raw).unwrap();
}

#[test]
fn a_stream_that_ends_early_is_never_good() {
    let part = content(3, 2000);
    let raw = [&part[..], &part].concat();
    let both = [stored(true, &part), stored(true, &part)];
    let payload = zlib(&[&both[0], &MARKER, &both[1]], &raw);
    assert!(unpack(&payload, &raw).unwrap_err().contains("Adler-32"));
    // With the right sum where it ends, and a checksum that matches if an inflater goes on.
    let ending = [&zlib(&[&both[0]], &part)[2..], &both[1]].concat();
    let payload = [&[0x78, 0xda], &ending[..], &[0, 0, 0xff, 0xff]].concat();
    assert!(unpack(&payload, &raw).unwrap_err().contains("the zlib stream ends at byte 2011"));
    assert!(unpack(&payload[..2011], &raw).unwrap_err().contains("inflates to 2000 bytes"));
    assert!(unpack(&payload[..2010], &part).unwrap_err().contains("ends before its zlib stream"));
    unpack(&payload[..2011], &part).unwrap();
}

#[test]
fn markers_that_are_none_join_what_they_seem_to_part() {
    // Stored blocks full of markers, each of them a place where a stream could be cut.
    let raw: Vec<u8> = MARKER.iter().copied().cycle().take(600_000).collect();
    let blocks: Vec<_> = raw.chunks(60_000).map(|part| stored(false, part)).collect();
    let mut blocks: Vec<&[u8]> = blocks.iter().map(Vec::as_slice).collect();
    let end = stored(true, b"");
    blocks.push(&end);
    let payload = zlib(&blocks, &raw);
    assert_all_inflate(&payload, &raw);
    unpack(&payload, &raw).unwrap();
    // One of them now and then, in good segments.
    let part = [&content(4, 100_000)[..], &MARKER, &content(5, 100_000)].concat();
    let raw = part.repeat(12);
    let payload = flushed(&raw, part.len(), FlushCompress::Full, 0);
    unpack(&payload, &raw).unwrap();
}

#[test]
fn a_bomb_stops_at_the_image_size() {
    let zeros = vec![0; 600 * MIB];
    for flush in [FlushCompress::None, FlushCompress::Full] {
        let payload = flushed(&zeros, 100 * MIB, flush, 9);
        for size in [MIB, 20 * MIB] {
            let error = unpack(&payload, &zeros[..size]).unwrap_err();
            assert!(error.contains(&format!("inflates to more than the {size} bytes")), "{error}");
        }
    }
}

#[test]
fn what_is_wrong_with_the_first_bytes_is_said() {
    let raw = content(6, 10_000);
    let good = zlib(&[&stored(true, &raw)], &raw);
    unpack(&good, &raw).unwrap();
    for (bytes, reason) in [
        ([0x78, 0xdb], "incorrect header check"),
        ([0x77, 0x85], "unknown compression method"),
        ([0x88, 0x1c], "invalid window size"),
        ([0x78, 0xbb], "preset dictionary"),
    ] {
        let payload = [&bytes, &good[2..]].concat();
        assert!(!zlib_inflates(&payload, &raw));
        let error = unpack(&payload, &raw).unwrap_err();
        assert!(error.contains(reason) && error.contains("near its byte 0"), "{error}");
    }
    // A smaller window than is used: zlib accepts that.
    let payload = [&[0x08, 0x1d], &good[2..]].concat();
    assert_eq!(zlib_inflates(&payload, &raw), unpack(&payload, &raw).is_ok());
    for length in 0..6 {
        assert!(unpack(&good[..length], &raw).is_err());
    }
}

#[test]
fn where_it_is_broken_is_said() {
    let raw = content(7, 4 * MIB);
    let mut payload = flushed(&raw, MIB, FlushCompress::Full, 6);
    let markers = payload.windows(4).enumerate().filter(|(_, bytes)| *bytes == MARKER);
    let (marker, _) = markers.into_iter().nth(2).unwrap();
    // A block of a kind that does not exist.
    let middle = marker + MARKER.len();
    payload[middle] = 0x07;
    let error = unpack(&payload, &raw).unwrap_err();
    let at = error.split("near its byte ").nth(1).and_then(|rest| rest.split(':').next());
    let at: usize = at.unwrap_or_else(|| panic!("{error}")).parse().unwrap();
    assert!(at.abs_diff(middle) < 16, "{error}, and it is broken at {middle}");
}

#[test]
fn traps_are_found_where_a_sled_falls_into_them() {
    let mut trapped = 0;
    for seed in 0..30 {
        let mut random = fastrand::Rng::with_seed(seed);
        let lead = content(seed, random.usize(100..3000));
        let zeros = vec![0; 4 * MIB];
        let parts = std::iter::once(&lead[..]).chain(std::iter::repeat_n(&zeros[..], 6));
        let payload = flushed_after(parts, FlushCompress::Sync, 9);
        let size = (lead.len() + 6 * zeros.len()) as u64;
        let (image, _folder) = image(&payload, size, &[0; 32]);
        let at = |slice: usize| Some(sled_inflates(&payload, slice).err()? as u64 * slice as u64);
        let expected = SliceTraps { disk: at(4096), sp: at(974) };
        assert_eq!(image.slice_traps().unwrap(), expected, "seed {seed}");
        trapped += usize::from(expected != SliceTraps::default());
    }
    assert!(trapped > 0, "no stream was in the trap");
}

#[test]
fn traps_are_found_in_long_payloads_too() {
    let raw = content(8, 12 * MIB);
    for level in [0, 6] {
        let payload = flushed(&raw, 5 * MIB, FlushCompress::Sync, level);
        let (image, _folder) = image(&payload, raw.len() as u64, &[0; 32]);
        assert_eq!(image.slice_traps().unwrap(), SliceTraps::default());
        for slice in [4096, 974] {
            assert!(sled_inflates(&payload, slice).is_ok_and(|out| out == raw));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn what_zlib_refuses_is_refused(
        seed: u64, every in 600_usize..5000, level in 0_u32..=9,
        flush in prop::sample::select(&FLUSHES[..]),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let raw = content(seed, 20_000);
        let mut payload = flushed(&raw, every, flush, level);
        for (index, byte) in &changes {
            let length = payload.len();
            payload[index.index(length)] = *byte;
        }
        prop_assert_eq!(unpack(&payload, &raw).is_ok(), zlib_inflates(&payload, &raw));
        // The walk is as strict as zlib, except for distances and sums.
        let (image, _folder) = image(&payload, raw.len() as u64, &[0; 32]);
        let traps = image.slice_traps();
        if zlib_inflates(&payload, &raw) {
            let at = |slice: usize| {
                Some(sled_inflates(&payload, slice).err()? as u64 * slice as u64)
            };
            prop_assert_eq!(traps.unwrap(), SliceTraps { disk: at(4096), sp: at(974) });
        }
    }
}
