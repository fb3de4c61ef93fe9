//! A zlib stream to raw contents, accepting all that the sled's inflater accepts.

use std::collections::BTreeMap;

use crossbeam::channel::Receiver;

use super::crew::{InflatedSegment, Job, summed};
use super::in_place::Destination;
use super::segments::{Inflating, Scanner, Segment};
use super::sequential::Progress;
use super::zlib::{ZLIB_HEADER, ZLIB_TRAILER, check_header};
use super::{Emit, ImageErrorKind, ImageFile, Part};
use crate::adler::Adler;
use crate::deflate::Inflation;
use crate::holes::is_zero;

/// Inflates the payload of `image`, and checks that the stream ends where both the payload and
/// the image do.
///
/// As long as it consists of independent segments, they are inflated in parallel. From where it
/// does not, it is inflated sequentially, and that is how all errors are found. The segments that
/// were inflated come from `done`.
pub(super) fn inflate(
    image: &ImageFile,
    done: &Receiver<InflatedSegment>,
    emit: &mut Emit<'_>,
) -> Result<(), ImageErrorKind> {
    check_header(image)?;
    let mut progress = Progress::new(image);
    match in_segments(image, done, &mut progress, emit)? {
        Joining::Complete => progress.check_end(image.header.data_size - ZLIB_TRAILER),
        Joining::Stuck => progress.go_on(emit),
    }
}

/// Inflates to where the output belongs, segment by segment, with memory for one.
pub(super) fn inflate_in(
    image: &ImageFile,
    place: &mut Destination<'_>,
) -> Result<(), ImageErrorKind> {
    check_header(image)?;
    let mut progress = Progress::new(image);
    let end = image.header.data_size - ZLIB_TRAILER;
    let mut scanner = Scanner::new(image, ZLIB_HEADER, end);
    let mut spent = Segment::default();
    while let Some(mut segment) = scanner.next(spent)? {
        let mut joined = 0;
        let given = loop {
            let given = segment.inflate_to(place.rest());
            if given.is_some() || segment.is_last || joined == Joiner::MOST_JOINED {
                break given;
            }
            let Some(next) = scanner.next(Segment::default())? else {
                break None;
            };
            segment = segment.join(&next);
            joined += 1;
        };
        let Some(given) = given else {
            break;
        };
        let bytes = &place.rest()[..given];
        progress.advance(segment.bytes().len() as u64, bytes, Adler::of(bytes))?;
        place.filled(given);
        if segment.is_last {
            return progress.check_end(end);
        }
        spent = segment;
    }
    progress.go_on_in(place)
}

enum Joining {
    /// The whole stream has been inflated.
    Complete,
    /// It has to be inflated sequentially from here on.
    Stuck,
}

fn in_segments(
    image: &ImageFile,
    done: &Receiver<InflatedSegment>,
    progress: &mut Progress<'_>,
    emit: &mut Emit<'_>,
) -> Result<Joining, ImageErrorKind> {
    let workers = emit.crew.workers();
    let mut joiner = Joiner {
        scanner: Scanner::new(image, ZLIB_HEADER, image.header.data_size - ZLIB_TRAILER),
        most: image.header.image_size,
        done,
        waiting: BTreeMap::new(),
        spare: Vec::new(),
        zeros: Vec::new(),
        begun: 0,
        taken: 0,
        is_open: true,
    };
    // Two for each worker, some waiting, so that no worker is left with one, and some done early.
    let outcome = joiner.run(2 * workers + 4, progress, emit);
    emit.crew.give_up();
    outcome
}

/// A segment's bytes, and how many zeros they give.
struct ZeroSegment {
    bytes: Vec<u8>,
    zeros: u64,
}

/// From segments to raw contents in their order.
struct Joiner<'a> {
    scanner: Scanner<'a>,
    /// The most output of a segment.
    most: u64,
    done: &'a Receiver<InflatedSegment>,
    /// Segments that came early.
    waiting: BTreeMap<usize, InflatedSegment>,
    /// Segments' memory, to be used again.
    spare: Vec<Segment>,
    /// Segments that are known to give nothing but zeros.
    zeros: Vec<ZeroSegment>,
    begun: usize,
    /// Segments that are done with.
    taken: usize,
    /// Whether there may be more segments.
    is_open: bool,
}

impl Joiner<'_> {
    /// How many markers may turn out to be false before all are given up: where segments of a
    /// stream depend on each other, all of them do.
    const MOST_JOINED: usize = 4;
    /// The longest segment that is remembered as giving zeros, and how many are: a packer turns
    /// equal zeros into equal bytes.
    const ZEROS_LEAST: u64 = 64 << 10;
    const ZEROS_BYTES: usize = 8 << 10;
    const ZEROS_KNOWN: usize = 8;

    fn run(
        &mut self,
        window: usize,
        progress: &mut Progress<'_>,
        emit: &mut Emit<'_>,
    ) -> Result<Joining, ImageErrorKind> {
        let mut joined: Option<(Segment, usize)> = None;
        loop {
            while self.is_open && self.begun - self.taken < window {
                self.begin(emit)?;
            }
            let Some(InflatedSegment { mut segment, mut output, .. }) = self.next() else {
                return Ok(Joining::Stuck);
            };
            let mut count = 0;
            if let Some((before, joins)) = joined.take() {
                count = joins + 1;
                let inflation = Box::new(Inflation::new());
                segment = before.join(&segment);
                let mut whole = Inflating::new(segment, emit.crew.fresh(), self.most, inflation);
                let is_good = whole.finish();
                let bytes;
                (segment, bytes, _) = whole.into_parts();
                output = is_good.then(|| summed(bytes));
            }
            let is_last = segment.is_last;
            match output {
                Some((part, adler)) => {
                    self.learn(&segment, &part);
                    let taken = segment.bytes().len() as u64;
                    match &part {
                        Part::Bytes(bytes) => progress.advance(taken, bytes, adler)?,
                        Part::Zeros(length) => progress.advance_zeros(taken, *length, adler)?,
                    }
                    emit.emit(part)?;
                    self.spare.push(segment);
                    if is_last {
                        return Ok(Joining::Complete);
                    }
                }
                None if is_last || count == Self::MOST_JOINED => return Ok(Joining::Stuck),
                None => joined = Some((segment, count)),
            }
        }
    }

    fn begin(&mut self, emit: &Emit<'_>) -> Result<(), ImageErrorKind> {
        let Some(segment) = self.scanner.next(self.spare.pop().unwrap_or_default())? else {
            self.is_open = false;
            return Ok(());
        };
        self.is_open = !segment.is_last;
        let index = self.begun;
        self.begun += 1;
        let is_known = |known: &&ZeroSegment| known.bytes == segment.bytes();
        if let Some(&ZeroSegment { zeros, .. }) = self.zeros.iter().find(is_known)
            && zeros <= self.most
            && !segment.is_last
        {
            let output = Some((Part::Zeros(zeros), Adler::of_zeros(zeros)));
            self.waiting.insert(index, InflatedSegment { index, segment, output });
            return Ok(());
        }
        // If no worker is left, waiting for the answer will show that.
        emit.crew.begin(Job { index, segment });
        Ok(())
    }

    /// Remembers a segment that gives only zeros, so that the next one like it need not be
    /// inflated.
    fn learn(&mut self, segment: &Segment, part: &Part) {
        let Part::Bytes(output) = part else {
            return;
        };
        let zeros = output.len() as u64;
        let bytes = segment.bytes();
        if self.zeros.len() < Self::ZEROS_KNOWN
            && bytes.len() <= Self::ZEROS_BYTES
            && zeros >= Self::ZEROS_LEAST
            && self.zeros.iter().all(|known| known.bytes != bytes)
            && is_zero(output)
        {
            self.zeros.push(ZeroSegment { bytes: bytes.to_vec(), zeros });
        }
    }

    /// The next segment in order; `None` if there is no more.
    fn next(&mut self) -> Option<InflatedSegment> {
        if self.taken == self.begun {
            return None;
        }
        loop {
            if let Some(done) = self.waiting.remove(&self.taken) {
                self.taken += 1;
                return Some(done);
            }
            let done = self.done.recv().ok()?;
            self.waiting.insert(done.index, done);
        }
    }
}
