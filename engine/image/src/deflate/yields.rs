//! How much output the parts of a stream give, found in one walk.

use super::walk::walk_behind;
use super::{BrokenStream, Observer, Walk, inflate_observed, walk_observed};

/// How many bytes a prefix of a stream inflates to: known for prefixes that end near either end of
/// the stream, or where there is a lot of output.
#[derive(Clone, Debug)]
pub(crate) struct Yields {
    /// Lengths of prefixes, and the output of each, in order.
    marks: Vec<(u32, u32)>,
    length: u32,
    total: u32,
}

impl Yields {
    /// Inflates the stream that is `bytes` into the capacity of `output`, behind its contents,
    /// to which it may refer: less than 4 GiB of either. Everything is known within `reach` bytes
    /// of either end, and for every stretch of up to `reach` bytes that gives `lot` bytes or more.
    pub(crate) fn inflate(
        bytes: &[u8],
        output: &mut Vec<u8>,
        reach: u64,
        lot: u64,
    ) -> Result<(Self, Walk), BrokenStream> {
        let before = output.len() as u64;
        let mut marks = Marks::at_ends(bytes, reach);
        let first = marks.wanted.after(0);
        let walk = inflate_observed(bytes, output, &mut marks, first)?;
        let rich = rich_stretches(&marks.marks, reach, lot);
        if !rich.is_empty() {
            marks = Marks::at_ends(bytes, reach);
            marks.wanted.add(rich);
            let first = marks.wanted.after(0);
            walk_behind(bytes, before, &mut marks, first)?;
        }
        let marks = marks.marks.into_iter();
        let marks = marks.map(|(byte, output)| (byte, output - before as u32)).collect();
        let total = (walk.output - before) as u32;
        Ok((Self { marks, length: bytes.len() as u32, total }, walk))
    }

    /// Walks the stream that is `bytes`, which refers to nothing before it. Everything is known:
    /// for streams that give a lot of output everywhere.
    pub(crate) fn of_all(bytes: &[u8]) -> Result<(Self, Walk), BrokenStream> {
        let length = bytes.len() as u64;
        let mut marks = Marks::at_ends(bytes, length);
        let walk = walk_observed(bytes, &mut marks, 1)?;
        let (length, total) = (length as u32, walk.output as u32);
        Ok((Self { marks: marks.marks, length, total }, walk))
    }

    /// The output of the first `bytes` bytes, if that is known.
    pub(crate) fn of_first(&self, bytes: u64) -> Option<u64> {
        if bytes == 0 {
            return Some(0);
        }
        if bytes >= u64::from(self.length) {
            return Some(self.total());
        }
        let bytes = bytes as u32;
        let found = self.marks.binary_search_by_key(&bytes, |&(byte, _)| byte).ok()?;
        Some(self.marks[found].1.into())
    }

    /// The output of the whole stream.
    pub(crate) fn total(&self) -> u64 {
        self.total.into()
    }
}

/// Stretches of at most `reach` bytes between marks that may give `lot` bytes or more, as pairs
/// of bytes; they may overlap.
fn rich_stretches(marks: &[(u32, u32)], reach: u64, lot: u64) -> Vec<(u64, u64)> {
    let mut stretches = Vec::new();
    let mut from = 0;
    for (to, &(byte, output)) in marks.iter().enumerate() {
        // The last mark that any stretch of that length up to here can begin at, or behind.
        while from < to && u64::from(marks[from + 1].0) + reach + Wanted::COARSE < byte.into() {
            from += 1;
        }
        if u64::from(output - marks[from].1) >= lot {
            stretches.push((marks[from].0.into(), byte.into()));
        }
    }
    stretches
}

/// Which bytes to note: all in some stretches, and one in a number elsewhere.
struct Wanted {
    /// Ordered, and apart.
    stretches: Vec<(u64, u64)>,
    /// The first stretch that does not end before the last request.
    at: usize,
}

impl Wanted {
    const COARSE: u64 = 1024;

    fn ends(length: u64, reach: u64) -> Self {
        let mut wanted = Self { stretches: Vec::new(), at: 0 };
        wanted.add(vec![(0, reach.min(length)), (length.saturating_sub(reach), length)]);
        wanted
    }

    fn add(&mut self, mut more: Vec<(u64, u64)>) {
        more.append(&mut self.stretches);
        more.sort_unstable();
        for (start, end) in more {
            match self.stretches.last_mut() {
                Some(last) if start <= last.1 => last.1 = last.1.max(end),
                _ => self.stretches.push((start, end)),
            }
        }
    }

    /// The next byte to note after `byte`.
    fn after(&mut self, byte: u64) -> u64 {
        while self.stretches.get(self.at).is_some_and(|&(_, end)| end <= byte) {
            self.at += 1;
        }
        let coarse = (byte / Self::COARSE + 1) * Self::COARSE;
        match self.stretches.get(self.at) {
            Some(&(start, _)) if start <= byte => byte + 1,
            Some(&(start, _)) => coarse.min(start.max(byte + 1)),
            None => coarse,
        }
    }
}

struct Marks {
    marks: Vec<(u32, u32)>,
    wanted: Wanted,
}

impl Marks {
    fn at_ends(bytes: &[u8], reach: u64) -> Self {
        Self { marks: Vec::new(), wanted: Wanted::ends(bytes.len() as u64, reach) }
    }
}

impl Observer for Marks {
    fn pass(&mut self, byte: u64, output: u64) -> u64 {
        self.marks.push((byte as u32, output as u32));
        self.wanted.after(byte)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn what_is_known_is_what_comes_out_and_rich_stretches_are_known() {
        let mut raw = Vec::new();
        for index in 0..60_000_u32 {
            raw.extend_from_slice(&index.wrapping_mul(0x9e37_79b1).to_le_bytes());
            if index % 20_000 == 7 {
                raw.resize(raw.len() + 300_000, 0);
            }
        }
        let mut encoder =
            flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(&raw).unwrap();
        let stream = encoder.finish().unwrap();
        let mut inflated = Vec::with_capacity(raw.len());
        let (yields, walk) = Yields::inflate(&stream, &mut inflated, 4096, 128 << 10).unwrap();
        assert!(inflated == raw);
        assert_eq!((walk.output, walk.end.div_ceil(8)), (raw.len() as u64, stream.len() as u64));
        let mut inflater = flate2::Decompress::new(false);
        let mut out = vec![0; raw.len() + 1];
        let mut exact = vec![0_u64];
        for byte in &stream {
            let rest = &mut out[inflater.total_out() as usize..];
            let byte = std::slice::from_ref(byte);
            inflater.decompress(byte, rest, flate2::FlushDecompress::None).unwrap();
            exact.push(inflater.total_out());
        }
        let length = stream.len();
        for (byte, &output) in exact.iter().enumerate() {
            let known = yields.of_first(byte as u64);
            assert!(known.is_none_or(|known| known == output), "{byte}: {known:?}, not {output}");
            let near_an_end = byte <= 4096 || byte + 4096 >= length;
            assert!(known.is_some() || !near_an_end, "{byte} is not known");
        }
        let unknown = (0..length).filter(|&byte| yields.of_first(byte as u64).is_none());
        assert!(unknown.count() > length / 2);
        for start in 0..length - 4096 {
            if exact[start + 4096] - exact[start] >= 128 << 10 {
                assert!(yields.of_first(start as u64).is_some(), "{start}");
                assert!(yields.of_first(start as u64 + 4096).is_some(), "{start}");
            }
        }
    }
}
