//! Packing and unpacking: whatever is packed comes out again, by any inflater, and no sled's
//! inflater gives up on it.

mod decoders;

use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use boot_format::boot_source::SliceTraps;
use boot_format::{Header, Name};
use boot_image::pack::{PackError, PackOptions, Packed, pack};
use boot_image::{Contents, ImageFile};
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::decoders::{BUFFER, assert_all_inflate, assert_python_inflates, sled_inflates};

const MIB: usize = 1 << 20;
/// Bytes that are compressed independently of the rest.
const CHUNK: usize = 2 * MIB;

fn options(level: Option<u8>) -> PackOptions {
    PackOptions {
        image_name: Name::new("test").unwrap(),
        dataset: Name::new("rpool/ROOT/ramdisk").unwrap(),
        target_size: PackOptions::TARGET_SIZE,
        level,
        threads: NonZeroUsize::new(2),
        pad: false,
    }
}

/// An image made of `raw`, and its path.
struct Made {
    path: PathBuf,
    bytes: Vec<u8>,
    packed: Packed,
    _folder: TempDir,
}

fn make(raw: &[u8], options: &PackOptions) -> Result<Made, PackError> {
    let folder = tempfile::tempdir().unwrap();
    let raw_path = folder.path().join("raw");
    let path = folder.path().join("image");
    fs::write(&raw_path, raw).unwrap();
    let image = File::create_new(&path).unwrap();
    let packed =
        pack(&File::open(&raw_path).unwrap(), raw.len() as u64, &image, options, &mut |_| true)?;
    let bytes = fs::read(&path).unwrap();
    Ok(Made { path, bytes, packed, _folder: folder })
}

impl Made {
    fn payload(&self) -> &[u8] {
        &self.bytes[Header::LEN..]
    }

    /// Checks everything that holds for any image of `raw`.
    fn check(&self, raw: &[u8]) {
        let header = Header::parse(&self.bytes).unwrap();
        header.check().unwrap();
        assert_eq!(header, self.packed.header);
        assert_eq!(header.checksum.as_bytes()[..], Sha256::digest(raw)[..]);
        assert_eq!(header.image_size, raw.len() as u64);
        assert_eq!(self.payload().len() as u64, header.data_size);
        let mut out = Vec::new();
        let image = ImageFile::open(&self.path).unwrap();
        image
            .unpack(&mut |bytes| {
                out.extend_from_slice(bytes);
                Ok(())
            })
            .unwrap();
        assert!(out == raw, "unpacked to something else");
        if header.compressed {
            assert_all_inflate(self.payload(), raw);
            for slice in [4096, 974] {
                assert_eq!(sled_inflates(self.payload(), slice).as_deref(), Ok(raw));
            }
            assert_eq!(image.slice_traps().unwrap(), SliceTraps::default());
        }
    }
}

/// Bytes that no compressor can shrink.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// Text-like content with some structure, from a seed.
fn content(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(length);
    while bytes.len() < length {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        match state % 5 {
            0 => bytes.extend_from_slice(&state.to_le_bytes()),
            1 => bytes.extend_from_slice(b"the quick brown fox "),
            2 => {
                bytes.extend(std::iter::repeat_n((state >> 8) as u8, (state >> 20) as usize % 300));
            }
            // Bytes that look like the seams of a stream.
            3 => bytes.extend_from_slice(&[0, 0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff]),
            _ => {
                let back = (state >> 16) as usize % (bytes.len() + 1);
                let part =
                    bytes[bytes.len() - back..].iter().copied().take(700).collect::<Vec<_>>();
                bytes.extend(part);
            }
        }
    }
    bytes.truncate(length);
    bytes
}

#[test]
fn every_level_comes_out_again_and_of_every_decoder() {
    for level in 1..=PackOptions::MOST {
        let mut raw = content(level.into(), 3 * MIB / 2);
        raw.resize(4 * MIB, 0);
        raw.extend(content(99, MIB / 3));
        let made = make(&raw, &options(Some(level))).unwrap();
        made.check(&raw);
        assert_python_inflates(made.payload(), &raw);
    }
}

#[test]
fn odd_sizes_come_out_again() {
    for base in [0, CHUNK, 2 * CHUNK, 3 * CHUNK] {
        for off in [-5_i64, -1, 0, 1, 5] {
            let size = base as i64 + off;
            if size > 0 {
                let raw = content(9, size as usize);
                make(&raw, &options(Some(1))).unwrap().check(&raw);
                make(&raw, &options(None)).unwrap().check(&raw);
                let zeros = vec![0; size as usize];
                make(&zeros, &options(Some(6))).unwrap().check(&zeros);
            }
        }
    }
}

#[test]
fn the_output_does_not_depend_on_the_number_of_threads() {
    let mut raw = content(3, 5 * MIB + 77);
    raw.resize(12 * MIB, 0);
    raw.extend(content(4, 3 * MIB));
    for level in [6, PackOptions::LEVEL, 12] {
        let made = [1, 2, 5].map(|threads| {
            let threads = NonZeroUsize::new(threads);
            make(&raw, &PackOptions { threads, ..options(Some(level)) }).unwrap()
        });
        made[0].check(&raw);
        assert!(made.iter().all(|other| other.bytes == made[0].bytes));
    }
}

#[test]
fn zero_runs_of_every_length_are_no_trap() {
    // Ends of content at every place within a slice shift what follows through all alignments.
    for extra in (0..4096).step_by(311) {
        let mut raw = content(extra as u64 + 1, extra * 3 + 1000);
        raw.resize(raw.len() + 9 * MIB + extra * 4096, 0);
        raw.extend(content(5, 5000));
        let made = make(&raw, &options(Some(if extra % 2 == 0 { 1 } else { 10 }))).unwrap();
        for slice in [4096, 974] {
            assert!(
                sled_inflates(made.payload(), slice).is_ok_and(|out| out == raw),
                "{extra} {slice}"
            );
        }
    }
}

#[test]
fn a_slice_that_ends_with_the_contents_is_no_trap() {
    // It gives two buffers; the end of the stream and the head of a block give nothing.
    let noise = noise(900);
    for length in 400..900 {
        let mut raw = noise[..length].to_vec();
        raw.resize(2 * BUFFER, 0);
        for behind in [0, 900] {
            raw.extend_from_slice(&noise[..behind]);
            let made = make(&raw, &options(Some(6))).unwrap();
            let image = ImageFile::open(&made.path).unwrap();
            assert_eq!(image.slice_traps().unwrap(), SliceTraps::default(), "{length} {behind}");
            assert!(sled_inflates(made.payload(), 974).is_ok_and(|out| out == raw));
        }
    }
}

#[test]
fn what_does_not_shrink_is_stored() {
    let raw = noise(3 * MIB);
    let made = make(&raw, &options(Some(6))).unwrap();
    assert!(made.packed.incompressible && !made.packed.header.compressed);
    made.check(&raw);
}

#[test]
fn zeros_become_holes() {
    use std::os::unix::fs::MetadataExt;
    let mut raw = content(1, MIB);
    raw.resize(64 * MIB, 0);
    let made = make(&raw, &options(None)).unwrap();
    made.check(&raw);
    let blocks = fs::metadata(&made.path).unwrap().blocks();
    assert!(blocks * 512 < 2 * MIB as u64, "{blocks} blocks are taken");
}

#[test]
fn padding_makes_an_image_that_boots_over_the_network() {
    for size in [1, MIB, MIB + 1, 3 * BUFFER] {
        let raw = content(2, size);
        let plain = make(&raw, &options(None)).unwrap();
        let padded = make(&raw, &PackOptions { pad: true, ..options(None) }).unwrap();
        let contents = Contents::load(&padded.path).unwrap();
        assert_eq!(contents.held().unwrap()[..size], raw);
        assert!(contents.held().unwrap()[size..].iter().all(|&byte| byte == 0));
        assert_eq!(padded.packed.padding, (contents.size() - size) as u64);
        assert_eq!(Contents::load(&plain.path).is_ok(), padded.packed.padding == 0);
    }
}

#[test]
fn what_can_not_be_packed_is_refused() {
    assert!(matches!(make(&[], &options(None)), Err(PackError::Empty)));
    let small = PackOptions { target_size: 4095, ..options(Some(6)) };
    assert!(matches!(
        make(&[1; 4096], &small),
        Err(PackError::TooLarge { found: 4096, most: 4095 })
    ));
    let raw = tempfile::tempfile().unwrap();
    raw.set_len(MIB as u64).unwrap();
    for level in [None, Some(1)] {
        let image = tempfile::tempfile().unwrap();
        let result = pack(&raw, 2 * MIB as u64, &image, &options(level), &mut |_| true);
        assert!(matches!(result, Err(PackError::Shrunk { found, .. }) if found == MIB as u64));
        let result = pack(&raw, MIB as u64, &image, &options(level), &mut |_| false);
        assert!(matches!(result, Err(PackError::Interrupted)));
    }
}

#[test]
fn what_is_changed_while_it_is_read_is_refused() {
    for level in [None, Some(1)] {
        for length in [13 * MIB as u64, 9 * MIB as u64] {
            let raw = tempfile::tempfile().unwrap();
            raw.write_all_at(&noise(12 * MIB), 0).unwrap();
            let image = tempfile::tempfile().unwrap();
            let mut changed = false;
            let mut progress = |_| {
                if !std::mem::replace(&mut changed, true) {
                    raw.set_len(length).unwrap();
                }
                true
            };
            let packed = pack(&raw, 12 * MIB as u64, &image, &options(level), &mut progress);
            let error = packed.unwrap_err();
            let is_right = match error {
                PackError::Changed => length > 12 * MIB as u64,
                PackError::Shrunk { found, .. } => found == length,
                _ => false,
            };
            assert!(is_right, "{level:?}: {error}");
        }
    }
}

#[test]
fn a_damaged_payload_is_never_called_good() {
    let raw = content(11, MIB + MIB / 3);
    let made = make(&raw, &options(Some(6))).unwrap();
    let unpack = |bytes: &[u8]| {
        fs::write(&made.path, bytes).unwrap();
        ImageFile::open(&made.path).and_then(|image| image.unpack(&mut |_| Ok(())))
    };
    for at in (Header::LEN..made.bytes.len()).step_by(997) {
        let mut bytes = made.bytes.clone();
        bytes[at] ^= 0x10;
        unpack(&bytes).unwrap_err();
    }
    let with_data_size = |change: i64| {
        let mut bytes = made.bytes.clone();
        let size = (made.packed.header.data_size as i64 + change) as u64;
        bytes[16..24].copy_from_slice(&size.to_le_bytes());
        bytes.extend_from_slice(&[0; 16]);
        unpack(&bytes).unwrap_err().to_string()
    };
    assert!(with_data_size(1).contains("the zlib stream ends at byte"));
    assert!(with_data_size(-1).contains("ends before its zlib stream does"));
    let with_image_size = |change: i64| {
        let mut bytes = made.bytes.clone();
        let size = (raw.len() as i64 + change) as u64;
        bytes[24..32].copy_from_slice(&size.to_le_bytes());
        unpack(&bytes).unwrap_err().to_string()
    };
    assert!(with_image_size(1).contains("inflates to"));
    assert!(with_image_size(-1).contains("inflates to more than"));
    unpack(&[&made.bytes[..], b"what follows on the disk"].concat()).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn zero_runs_anywhere_are_no_trap(
        runs in proptest::collection::vec((1_usize..9000, 0_usize..80 << 10, 0_usize..60), 1..6),
        seed: u64,
    ) {
        let mut raw = Vec::new();
        for (length, odd, units) in runs {
            raw.extend(content(seed, length));
            raw.resize(raw.len() + odd + (units << 16), 0);
        }
        for level in [6, PackOptions::LEVEL] {
            make(&raw, &options(Some(level))).unwrap().check(&raw);
        }
    }

    #[test]
    fn whatever_is_packed_comes_out_again(
        seed: u64,
        parts in proptest::collection::vec((any::<bool>(), 1_usize..1_500_000), 1..6),
        level in 1_u8..=12,
    ) {
        let mut raw = Vec::new();
        for (zeros, length) in parts {
            if zeros {
                raw.resize(raw.len() + length * 4, 0);
            } else {
                raw.extend(content(seed, length));
            }
        }
        make(&raw, &options(Some(level))).unwrap().check(&raw);
    }
}
