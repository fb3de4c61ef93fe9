use std::sync::LazyLock;

use super::*;
use crate::deflate::Yields;

/// Contents of many kinds: what a compressor may get wrong.
static CONTENTS: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(|| {
    let mut random = fastrand::Rng::with_seed(1);
    let noise: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(100_000).collect();
    let words: Vec<u8> = (0..60_000)
        .flat_map(|_| {
            let word = random.u32(..).min(random.u32(..)) % 500;
            format!("{word:x} ").into_bytes()
        })
        .collect();
    let runs: Vec<u8> = (0..300)
        .flat_map(|_| {
            let (byte, length) = (random.u8(..4), random.usize(1..5000));
            std::iter::repeat_n(byte, length)
        })
        .collect();
    let mut far = noise[..40_000].to_vec();
    for distance in [32_766, 32_767, 32_768, 32_769] {
        let from = far.len() - distance;
        far.extend_from_within(from..from + 500);
        far.extend_from_slice(&noise[distance..distance + 50]);
    }
    let period: Vec<u8> = b"abcdefg".iter().copied().cycle().take(50_000).collect();
    let mixed =
        [&noise[..3000], &vec![0; 70_000], &words[..40_000], &runs[..20_000], &noise].concat();
    vec![
        ("nothing", vec![]),
        ("a byte", vec![7]),
        ("few bytes", b"abcabcabc".to_vec()),
        ("zeros", vec![0; 300_000]),
        ("noise", noise),
        ("words", words),
        ("runs", runs),
        ("far", far),
        ("period", period),
        ("mixed", mixed),
    ]
});

/// What comes out of a stream behind `window`.
fn inflated(stream: &[u8], window: &[u8], room: usize) -> Vec<u8> {
    let mut output = Vec::with_capacity(window.len() + room);
    output.extend_from_slice(window);
    let (_, walk) = Yields::inflate(stream, &mut output, 0, u64::MAX)
        .unwrap_or_else(|error| panic!("{error:?} behind {} bytes", output.len()));
    assert_eq!(walk.end.div_ceil(8), stream.len() as u64);
    output
}

#[test]
fn all_comes_out_again_at_every_level() {
    for level in Effort::LEAST..=13 {
        let mut encoder = Encoder::new(Effort::of(level));
        for (name, bytes) in CONTENTS.iter() {
            for start in [0, bytes.len() / 3, bytes.len()] {
                let stream = encoder.encode(bytes, start..bytes.len(), |_| true).finish();
                let window = &bytes[start.saturating_sub(WINDOW)..start];
                let output = inflated(&stream, window, bytes.len() - start);
                let same = output[window.len()..] == bytes[start..];
                assert!(same, "{name} from {start} at level {level}");
            }
        }
    }
}

#[test]
fn processors_with_avx2_and_without_make_the_same() {
    let mut random = fastrand::Rng::with_seed(2);
    let mut all: Vec<Vec<u8>> = CONTENTS.iter().map(|(_, bytes)| bytes.clone()).collect();
    // Pieces of all of them, as an image has them.
    all.push(
        (0..400)
            .flat_map(|_| {
                let (_, bytes) = &CONTENTS[random.usize(3..CONTENTS.len())];
                let start = random.usize(..bytes.len());
                bytes[start..bytes.len().min(start + random.usize(1..9000))].to_vec()
            })
            .collect(),
    );
    // Few different bytes, so that there are matches of all lengths.
    for kinds in 2..30 {
        let alike: Vec<u8> = (0..random.usize(..3000)).map(|_| random.u8(..kinds)).collect();
        all.push([&alike[..], &alike[alike.len() / 2..], &alike].concat());
    }
    for level in Effort::LEAST..=13 {
        let effort = Effort::of(level);
        let (mut plain, mut best) = (Encoder::with(effort, None), Encoder::new(effort));
        for bytes in &all {
            let start = bytes.len() / 5;
            let stream =
                |encoder: &mut Encoder| encoder.encode(bytes, start..bytes.len(), |_| true);
            let (plain, best) = (stream(&mut plain).finish(), stream(&mut best).finish());
            assert!(plain == best, "{} bytes at level {level}", bytes.len());
        }
    }
}
