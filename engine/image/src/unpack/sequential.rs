//! A deflate stream inflated from start to end, or from where the parallel way stopped.

use std::ops::Range;

use boot_format::Header;
use flate2::{Decompress, DecompressError, FlushDecompress, Status};

use super::in_place::Destination;
use super::zlib::{InflateError, ZLIB_HEADER, ZLIB_TRAILER};
use super::{Emit, ImageErrorKind, ImageFile, Part};
use crate::adler::Adler;
use crate::holes::zeros;

/// How far a stream has been inflated: to the end of some block, at the start of a byte.
pub(super) struct Progress<'a> {
    image: &'a ImageFile,
    /// Payload offset of what comes next.
    at: u64,
    /// Bytes of output, and their sum.
    output: u64,
    adler: Adler,
    /// The last of the output, to which later symbols may refer.
    window: Vec<u8>,
}

impl<'a> Progress<'a> {
    const WINDOW: usize = 32 << 10;

    /// At the start of the deflate stream.
    pub(super) fn new(image: &'a ImageFile) -> Self {
        Self { image, at: ZLIB_HEADER, output: 0, adler: Adler::EMPTY, window: Vec::new() }
    }

    /// Notes `taken` more bytes of payload, which gave `bytes`.
    pub(super) fn advance(
        &mut self,
        taken: u64,
        bytes: &[u8],
        adler: Adler,
    ) -> Result<(), ImageErrorKind> {
        self.at += taken;
        self.keep(bytes);
        self.count(bytes.len() as u64, adler)
    }

    /// The same for `count` zeros.
    pub(super) fn advance_zeros(
        &mut self,
        taken: u64,
        length: u64,
        adler: Adler,
    ) -> Result<(), ImageErrorKind> {
        self.at += taken;
        zeros(length.min(Self::WINDOW as u64)).for_each(|zeros| self.keep(zeros));
        self.count(length, adler)
    }

    fn keep(&mut self, bytes: &[u8]) {
        if bytes.len() >= Self::WINDOW {
            self.window.clear();
        } else if self.window.len() + bytes.len() > 4 * Self::WINDOW {
            self.window.drain(..self.window.len() - Self::WINDOW);
        }
        self.window.extend_from_slice(&bytes[bytes.len().saturating_sub(Self::WINDOW)..]);
    }

    fn count(&mut self, length: u64, adler: Adler) -> Result<(), ImageErrorKind> {
        let wanted = self.image.header.image_size;
        self.output += length;
        if self.output > wanted {
            return Err(InflateError::Long { wanted }.into());
        }
        self.adler = self.adler.then(adler);
        Ok(())
    }

    /// Inflates the rest of the stream, and checks how it ends.
    pub(super) fn go_on(self, emit: &mut Emit<'_>) -> Result<(), ImageErrorKind> {
        let mut rest = Rest::new(self)?;
        loop {
            let mut output = emit.crew.fresh();
            output.clear();
            output.reserve_exact(rest.room().min(ImageFile::BLOCK as u64) as usize);
            let step = rest.inflate(|stream, input| {
                stream.decompress_vec(input, &mut output, FlushDecompress::None)
            })?;
            if !output.is_empty() {
                rest.progress.count(output.len() as u64, Adler::of(&output))?;
                emit.emit(Part::Bytes(output))?;
            }
            if rest.has_ended(step)? {
                return Ok(());
            }
        }
    }

    /// Inflates the rest of the stream in place, and checks how it ends.
    pub(super) fn go_on_in(self, place: &mut Destination<'_>) -> Result<(), ImageErrorKind> {
        let mut rest = Rest::new(self)?;
        loop {
            // One byte more than allowed, so that a stream that continues is noticed.
            let mut beyond = [0];
            let room = match place.room(ImageFile::BLOCK) {
                [] => &mut beyond,
                room => room,
            };
            let before = rest.stream.total_out();
            let step = rest
                .inflate(|stream, input| stream.decompress(input, room, FlushDecompress::None))?;
            let given = (rest.stream.total_out() - before) as usize;
            rest.progress.count(given as u64, Adler::of(&room[..given]))?;
            place.filled(given);
            if rest.has_ended(step)? {
                return Ok(());
            }
        }
    }

    /// Checks that the deflate stream, which ends at payload offset `end`, is followed by the sum
    /// of the output and nothing else, and that the output is complete.
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

/// The rest of a stream, which is inflated from start to end.
struct Rest<'a> {
    progress: Progress<'a>,
    stream: Decompress,
    /// Payload offset of its start.
    start: u64,
    input: Vec<u8>,
    /// The input that has not been inflated.
    left: Range<usize>,
}

/// The result of inflating some.
#[derive(Clone, Copy)]
struct Step {
    status: Status,
    /// It neither took input nor gave output.
    stuck: bool,
}

impl<'a> Rest<'a> {
    /// Bytes of payload read at a time.
    const INPUT: usize = 128 << 10;

    fn new(progress: Progress<'a>) -> Result<Self, ImageErrorKind> {
        let mut stream = Decompress::new(false);
        let start = progress.at;
        let window = &progress.window[progress.window.len().saturating_sub(Progress::WINDOW)..];
        if !window.is_empty() {
            stream.set_dictionary(window).map_err(|error| corrupt(start, &error))?;
        }
        Ok(Self { progress, stream, start, input: vec![0; Self::INPUT], left: 0..0 })
    }

    /// Bytes that can come out, and one more, so that a stream that continues is noticed.
    fn room(&self) -> u64 {
        (self.progress.image.header.image_size - self.progress.output).saturating_add(1)
    }

    /// Inflates some of the input with `inflate`.
    fn inflate(
        &mut self,
        inflate: impl FnOnce(&mut Decompress, &[u8]) -> Result<Status, DecompressError>,
    ) -> Result<Step, ImageErrorKind> {
        let image = self.progress.image;
        if self.left.is_empty() && self.progress.at < image.header.data_size {
            let length = (image.header.data_size - self.progress.at).min(Self::INPUT as u64);
            self.left = 0..length as usize;
            image.read_payload(&mut self.input[self.left.clone()], self.progress.at)?;
            self.progress.at += length;
        }
        let before = (self.stream.total_in(), self.stream.total_out());
        let status = inflate(&mut self.stream, &self.input[self.left.clone()])
            .map_err(|error| corrupt(self.start + self.stream.total_in(), &error))?;
        self.left.start += (self.stream.total_in() - before.0) as usize;
        Ok(Step { status, stuck: (self.stream.total_in(), self.stream.total_out()) == before })
    }

    /// Whether the stream has ended, as it should.
    fn has_ended(&self, step: Step) -> Result<bool, ImageErrorKind> {
        let Header { data_size, image_size: wanted, .. } = self.progress.image.header;
        if step.status == Status::StreamEnd {
            self.progress.check_end(self.start + self.stream.total_in())?;
            return Ok(true);
        }
        if step.stuck && self.progress.at == data_size && self.left.is_empty() {
            return Err(InflateError::Truncated { found: self.progress.output, wanted }.into());
        }
        Ok(false)
    }
}

fn corrupt(at: u64, error: &DecompressError) -> InflateError {
    // zlib does not report an error twice, and the first report came with the last of the output.
    let told = error.message().filter(|message| !message.starts_with("repeated call"));
    InflateError::Corrupt { at, what: told.unwrap_or("a broken block").to_owned() }
}
