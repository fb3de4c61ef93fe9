//! One piece of work on images, or the least that such work could take, so that its instructions
//! can be counted, and its memory: the peak, in KiB, is printed at the end.
//! `image-work FOLDER WORK`; `prepare` makes what the others need.

use std::fs;
use std::path::Path;

use boot_benches::images::{pack_file, peak_memory, text};
use boot_benches::peer;
use boot_benches::served::ServedSleds;
use boot_format::Header;
use boot_image::{Contents, ImageFile};
use libdeflater::{CompressionLvl, Compressor, Decompressor};
use sha2::{Digest, Sha256};

const MIB: usize = 1 << 20;
/// Bytes that are compressed apart from each other.
const CHUNK: usize = 2 * MIB;
const LEVEL: u8 = 6;
/// Bytes of what is large, for memory that must not grow with it.
const MUCH: usize = 64 * MIB;

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (Some(folder), Some(work)) = (arguments.next(), arguments.next()) else {
        panic!("image-work FOLDER WORK");
    };
    let path = |name: &str| Path::new(&folder).join(name);
    let read = |name: &str| fs::read(path(name)).expect("it was prepared");
    let pack = |raw: &str, level| {
        pack_file(&path(raw), &path("image"), level, Some(1));
    };
    match work.as_str() {
        "prepare" => {
            let raw = text(2 * CHUNK);
            fs::write(path("text"), &raw).expect("there is room");
            fs::write(path("zeros"), vec![0; 2 * CHUNK]).expect("there is room");
            pack_file(&path("text"), &path("plain"), None, None);
            fs::write(path("part"), &raw[..CHUNK]).expect("there is room");
            fs::write(path("small part"), compressed(&raw[..CHUNK])).expect("there is room");
            pack_file(&path("part"), &path("small"), Some(LEVEL), None);
            // By one that never flushes.
            peer::pack(&path("part"), &path("foreign"));
            fs::write(path("foreign stream"), &read("foreign")[Header::LEN..])
                .expect("there is room");
            fs::write(path("much"), raw.repeat(MUCH / raw.len())).expect("there is room");
            pack_file(&path("much"), &path("much packed"), Some(LEVEL), None);
        }
        "nothing" => {}
        "hash text" => hash(&read("text")),
        "hash zeros" => hash(&read("zeros")),
        "compress text and hash it" => {
            let raw = read("text");
            raw.chunks(CHUNK).for_each(|part| drop(compressed(part)));
            hash(&raw);
        }
        "inflate a part and hash it" => {
            let mut out = vec![0; CHUNK];
            let inflated = Decompressor::new().deflate_decompress(&read("small part"), &mut out);
            hash(&out[..inflated.expect("it was prepared")]);
        }
        "inflate the foreign and hash it" => {
            let mut out = vec![0; CHUNK];
            let inflated = Decompressor::new().zlib_decompress(&read("foreign stream"), &mut out);
            hash(&out[..inflated.expect("it was prepared")]);
        }
        "pack raw text" => pack("text", None),
        "pack text" => pack("text", Some(LEVEL)),
        "pack zeros" => pack("zeros", Some(10)),
        "verify raw text" => verify(&path("plain")),
        // Of more parts, a worker inflates two beside each other if it finds the second in time:
        // so what they cost depends on when they are read.
        "verify a part" => verify(&path("small")),
        "verify foreign" => verify(&path("foreign")),
        "load raw text" => load(&path("plain")),
        "load a part" => load(&path("small")),
        "pack much raw" => pack("much", None),
        "pack much" => pack("much", Some(LEVEL)),
        "verify much" => verify(&path("much packed")),
        "load much" => load(&path("much packed")),
        "serve 1024 sleds" => _ = ServedSleds::new(1024).serve(1 << 20),
        _ => panic!("{work:?} is no work"),
    }
    if let Some(kibibytes) = peak_memory() {
        println!("{kibibytes}");
    }
}

fn hash(bytes: &[u8]) {
    Sha256::digest(bytes);
}

fn compressed(part: &[u8]) -> Vec<u8> {
    let level = CompressionLvl::new(LEVEL.into()).expect("there is such a level");
    let mut compressor = Compressor::new(level);
    let mut out = vec![0; compressor.deflate_compress_bound(part.len())];
    let length = compressor.deflate_compress(part, &mut out).expect("there is room");
    out.truncate(length);
    out
}

fn load(path: &Path) {
    Contents::load(path).expect("it is good");
}

fn verify(path: &Path) {
    let image = ImageFile::open(path).expect("it was prepared");
    image.unpack(&mut |_| Ok(())).expect("it is good");
}
