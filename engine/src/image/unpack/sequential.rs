//! A deflate stream inflated from start to end, or from where others got stuck.

use flate2::{Decompress, FlushDecompress, Status};

use super::inflate::{InflateError, ZLIB_HEADER, ZLIB_TRAILER};
use super::{Emit, ImageErrorKind, ImageFile, Part};
use crate::image::adler::Adler;
use crate::image::holes::zeros;

/// How far a stream has been inflated: to the end of some block, at the start of a byte.
pub(super) struct Progress<'a> {
    image: &'a ImageFile,
    /// Payload offset of what comes next.
    at: u64,
    /// Bytes that came out, and their sum.
    output: u64,
    adler: Adler,
    /// The last of what came out, which what follows may refer to.
    window: Vec<u8>,
}

impl<'a> Progress<'a> {
    const WINDOW: usize = 32 << 10;

    /// At the start of the deflate stream.
    pub(super) fn new(image: &'a ImageFile) -> Self {
        Self { image, at: ZLIB_HEADER, output: 0, adler: Adler::EMPTY, window: Vec::new() }
    }

    /// Takes note of `taken` more bytes of payload that gave `part`, and emits that.
    pub(super) fn advance(
        &mut self,
        taken: u64,
        part: Part,
        adler: Adler,
        emit: &mut Emit<'_>,
    ) -> Result<(), ImageErrorKind> {
        self.at += taken;
        match &part {
            Part::Bytes(bytes) => self.keep(bytes),
            Part::Zeros(length) => {
                zeros((*length).min(Self::WINDOW as u64)).for_each(|zeros| self.keep(zeros));
            }
        }
        self.emit(part, adler, emit)
    }

    fn keep(&mut self, bytes: &[u8]) {
        if bytes.len() >= Self::WINDOW {
            self.window.clear();
        } else if self.window.len() + bytes.len() > 4 * Self::WINDOW {
            self.window.drain(..self.window.len() - Self::WINDOW);
        }
        self.window.extend_from_slice(&bytes[bytes.len().saturating_sub(Self::WINDOW)..]);
    }

    fn emit(
        &mut self,
        part: Part,
        adler: Adler,
        emit: &mut Emit<'_>,
    ) -> Result<(), ImageErrorKind> {
        let wanted = self.image.header.image_size;
        self.output += part.length();
        if self.output > wanted {
            return Err(InflateError::Long { wanted }.into());
        }
        self.adler = self.adler.then(adler);
        Ok(emit.emit(part)?)
    }

    /// Inflates the rest of the stream, and checks how it ends.
    pub(super) fn go_on(mut self, emit: &mut Emit<'_>) -> Result<(), ImageErrorKind> {
        let data_size = self.image.header.data_size;
        let wanted = self.image.header.image_size;
        let mut stream = Decompress::new(false);
        let start = self.at;
        let window = &self.window[self.window.len().saturating_sub(Self::WINDOW)..];
        if !window.is_empty() {
            stream.set_dictionary(window).map_err(|error| corrupt(start, &error))?;
        }
        let mut input = vec![0; ImageFile::BLOCK];
        let (mut next, mut end) = (0, 0);
        loop {
            if next == end && self.at < data_size {
                end = (data_size - self.at).min(ImageFile::BLOCK as u64) as usize;
                next = 0;
                self.image.read_payload(&mut input[..end], self.at)?;
                self.at += end as u64;
            }
            let mut output = emit.fresh();
            output.clear();
            // A byte more than there may be, so that a stream that goes on is found out.
            let left = (wanted - self.output).saturating_add(1);
            output.reserve_exact(left.min(ImageFile::BLOCK as u64) as usize);
            let before = (stream.total_in(), stream.total_out());
            let status = stream
                .decompress_vec(&input[next..end], &mut output, FlushDecompress::None)
                .map_err(|error| corrupt(start + stream.total_in(), &error))?;
            next += (stream.total_in() - before.0) as usize;
            let stuck = (stream.total_in(), stream.total_out()) == before;
            if !output.is_empty() {
                let adler = Adler::of(&output);
                self.emit(Part::Bytes(output), adler, emit)?;
            }
            if status == Status::StreamEnd {
                return self.check_end(start + stream.total_in());
            }
            if stuck && self.at == data_size && next == end {
                return Err(InflateError::Truncated { found: self.output, wanted }.into());
            }
        }
    }

    /// Checks that the deflate stream, which ends at payload offset `end`, is followed by the
    /// sum of what came out and nothing else, and that this was all.
    pub(super) fn check_end(&self, end: u64) -> Result<(), ImageErrorKind> {
        let data_size = self.image.header.data_size;
        let (found, wanted) = (self.output, self.image.header.image_size);
        if data_size - end < ZLIB_TRAILER {
            return Err(InflateError::Truncated { found, wanted }.into());
        }
        let mut trailer = [0; ZLIB_TRAILER as usize];
        self.image.read_payload(&mut trailer, end)?;
        let sum = self.adler.to_bytes();
        if trailer != sum {
            let [found, wanted] = [sum, trailer].map(u32::from_be_bytes);
            let what = format!("the contents' Adler-32 is {found:08x}, not {wanted:08x}");
            return Err(InflateError::Corrupt { at: end, what }.into());
        }
        if end + ZLIB_TRAILER < data_size {
            return Err(InflateError::Trailing { at: end + ZLIB_TRAILER, data_size }.into());
        }
        if found < wanted {
            return Err(InflateError::Short { found, wanted }.into());
        }
        Ok(())
    }
}

fn corrupt(at: u64, error: &flate2::DecompressError) -> InflateError {
    // What was wrong is not told twice, and the first time it was behind what came out.
    let told = error.message().filter(|message| !message.starts_with("repeated call"));
    InflateError::Corrupt { at, what: told.unwrap_or("a broken block").to_owned() }
}
