//! How hard a chunk is worth being compressed.

use libdeflater::{CompressionLvl, Compressor};

use super::PackOptions;

/// Compressors for the level that was asked for, and for chunks that gain too little by it.
pub(super) struct Effort {
    asked: Compressor,
    quick: Option<Quick>,
}

/// A fast compressor, and a faster one that tells when it is good enough.
struct Quick {
    probe: Compressor,
    compressor: Compressor,
    /// What the probe gives, which is of no use.
    scrap: Vec<u8>,
}

impl Effort {
    /// The level whose purpose is a balance: those above are asked for by who wants the last byte,
    /// those below are fast.
    const BALANCED: u8 = PackOptions::LEVEL;

    /// For `level`, 1 to 12.
    pub(super) fn new(level: u8) -> Self {
        let quick = (level == Self::BALANCED).then(Quick::new);
        Self { asked: compressor(level), quick }
    }

    /// The compressor for `chunk`; the same one whenever the chunk is.
    pub(super) fn suited_to(&mut self, chunk: &[u8]) -> &mut Compressor {
        match &mut self.quick {
            None => &mut self.asked,
            Some(quick) => {
                if quick.suffices(chunk) {
                    &mut quick.compressor
                } else {
                    &mut self.asked
                }
            }
        }
    }
}

impl Quick {
    const LEVEL: u8 = 6;
    const PROBE_LEVEL: u8 = 1;
    /// Samples of a chunk, and the bytes of each.
    const SAMPLES: usize = 8;
    const SAMPLE: usize = 8 << 10;
    /// The probe's share of their bytes above which hardly anything can be gained, and below which
    /// there is little to gain of, at most time for each byte of it. Chunk by chunk, of ext4 images
    /// with files of /usr, a fifth of all time would go there, for a sixth of what the level gains.
    const MOST: f64 = 0.8;
    const LEAST: f64 = 0.32;

    fn new() -> Self {
        let mut probe = compressor(Self::PROBE_LEVEL);
        let scrap = vec![0; probe.deflate_compress_bound(Self::SAMPLE)];
        Self { probe, compressor: compressor(Self::LEVEL), scrap }
    }

    /// Whether more effort would gain too little for its time.
    fn suffices(&mut self, chunk: &[u8]) -> bool {
        let step = chunk.len() / Self::SAMPLES;
        if step < 2 * Self::SAMPLE {
            return false;
        }
        let samples = chunk.chunks_exact(step).map(|part| &part[step / 2..][..Self::SAMPLE]);
        let (mut raw, mut compressed) = (0, 0);
        for sample in samples {
            raw += sample.len();
            compressed += self.probe.deflate_compress(sample, &mut self.scrap).unwrap_or(raw);
        }
        let share = compressed as f64 / raw as f64;
        !(Self::LEAST..=Self::MOST).contains(&share)
    }
}

fn compressor(level: u8) -> Compressor {
    Compressor::new(CompressionLvl::new(level.into()).unwrap_or(CompressionLvl::best()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Some of so many words of a few letters: neither random nor of a kind.
    fn text(words: usize, length: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(1);
        let words: Vec<Vec<u8>> = (0..words)
            .map(|_| (0..random.usize(2..9)).map(|_| random.u8(b'a'..=b'z')).collect())
            .collect();
        let mut text = Vec::with_capacity(length + 16);
        while text.len() < length {
            text.extend_from_slice(random.choice(&words).expect("there are words"));
            text.push(b' ');
        }
        text.truncate(length);
        text
    }

    fn random(length: usize) -> Vec<u8> {
        let mut random = fastrand::Rng::with_seed(1);
        std::iter::repeat_with(|| random.u8(..)).take(length).collect()
    }

    #[test]
    fn what_gains_nothing_takes_no_effort_at_the_balanced_level() {
        let mut quick = Quick::new();
        for length in [1 << 20, 2 << 20, (1 << 20) + 777] {
            assert!(!quick.suffices(&text(4000, length)));
            assert!(quick.suffices(&random(length)));
            assert!(quick.suffices(&vec![1; length]));
        }
    }

    #[test]
    fn the_balanced_level_is_two() {
        let length = 1 << 20;
        let mut out = vec![0; 2 * length];
        let mut effort = Effort::new(Effort::BALANCED);
        for (chunk, level) in
            [(text(4000, length), Effort::BALANCED), (text(8, length), Quick::LEVEL)]
        {
            let expected = compressor(level).deflate_compress(&chunk, &mut out).unwrap();
            let expected = out[..expected].to_vec();
            let found = effort.suited_to(&chunk).deflate_compress(&chunk, &mut out).unwrap();
            assert!(out[..found] == expected, "{level}");
            let other = Effort::BALANCED + Quick::LEVEL - level;
            let other = compressor(other).deflate_compress(&chunk, &mut out).unwrap();
            assert!(out[..other] != expected, "both levels give the same");
        }
    }

    #[test]
    fn chunks_too_small_to_be_sampled_get_the_level_that_was_asked_for() {
        let mut quick = Quick::new();
        for length in [0, 1, Quick::SAMPLE, 2 * Quick::SAMPLES * Quick::SAMPLE - 1] {
            assert!(!quick.suffices(&random(length)));
        }
        assert!(quick.suffices(&random(2 * Quick::SAMPLES * Quick::SAMPLE)));
    }

    #[test]
    fn all_other_levels_are_what_was_asked_for() {
        let chunk = vec![1; 1 << 20];
        for level in 1..=12 {
            let mut out = vec![0; 1 << 20];
            let expected = compressor(level).deflate_compress(&chunk, &mut out).unwrap();
            let expected = out[..expected].to_vec();
            let found = Effort::new(level).suited_to(&chunk).deflate_compress(&chunk, &mut out);
            let same = out[..found.unwrap()] == expected;
            assert!(same || level == Effort::BALANCED, "{level}");
        }
    }
}
