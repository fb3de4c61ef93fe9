//! Chunks compressed in parallel, written in order.

use std::collections::BTreeMap;
use std::fs::File;
use std::iter::repeat_n;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use boot_format::{Checksum, Header};
use crossbeam::channel::{self, Receiver, RecvTimeoutError, Sender};
use rayon::{Scope, ThreadPoolBuilder};

use super::chunks::{Chunk, Chunks};
use super::source::Source;
use super::stitch::{BadPiece, Piece, Seam, Trapped, ZLIB_HEADER};
use super::work::Work;
use super::workers::Workers;
use super::{PackError, Progress, Stages, write_at};

/// Compresses the contents to a zlib stream behind the place of the header. Returns the
/// stream's length and the contents' checksum; or `None` if the stream would not be shorter than
/// the contents.
///
/// The stream is the same for any number of threads.
pub(super) fn compress(
    source: &Source<'_>,
    image: &File,
    level: u8,
    threads: Option<NonZeroUsize>,
    progress: &mut Progress<'_>,
    stages: &mut Stages,
) -> Result<Option<(u64, Checksum)>, PackError> {
    let threads = threads.map_or(0, NonZeroUsize::get);
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|_| PackError::Worker("starting threads"))?;
    let window = pool.current_num_threads() + 1;
    let stop = AtomicBool::new(false);
    let workers = Workers::new(level, &stop);
    // The hash reads the contents itself, so that it can run ahead: it can't be split, and all
    // cores should be busy to the end.
    let (packed, hashed) = std::thread::scope(|threads| {
        let hash = threads.spawn(|| source.sums(&stop));
        let packed = pool.in_place_scope(|scope| {
            let mut assembly = Assembly {
                source,
                chunks: Chunks::new(source, workers.cut()),
                writer: Writer::new(image),
                waiting: BTreeMap::new(),
                done: channel::unbounded(),
                spare: Vec::new(),
                begun: 0,
                at_work: 0,
                work: Duration::ZERO,
            };
            let run = assembly.run(scope, &workers, window, &stop, progress);
            if !matches!(run, Ok(Some(_))) {
                // Otherwise the workers would be waited for.
                stop.store(true, Ordering::Relaxed);
            }
            run.map(|length| {
                stages.compress += assembly.work;
                stages.write += assembly.writer.time;
                (length, assembly.writer.seam.adler())
            })
        });
        (packed, hash.join())
    });
    let hashed = hashed.map_err(|_| PackError::Worker("the hashing thread"))?;
    let (length, adler) = match packed {
        // Then it is the hash that failed and stopped the rest.
        Err(PackError::Interrupted) => return Err(hashed.err().unwrap_or(PackError::Interrupted)),
        packed => packed?,
    };
    let Some(length) = length else {
        return Ok(None);
    };
    let (sums, time) = hashed?;
    stages.hash += time;
    source.check_unchanged()?;
    if sums.adler != adler {
        return Err(PackError::Changed);
    }
    Ok(Some((length, sums.checksum)))
}

/// A chunk that workers compress.
struct AtWork<'a> {
    work: Work<'a>,
    /// How long they did.
    nanos: AtomicU64,
}

impl<'a> AtWork<'a> {
    /// What `do_it` returns, unless it panics: the waiting thread must hear of that.
    fn timed<R>(&self, do_it: impl FnOnce(&Work<'a>) -> R) -> Option<R> {
        let started = Instant::now();
        let result = catch_unwind(AssertUnwindSafe(|| do_it(&self.work))).ok();
        self.nanos.fetch_add(started.elapsed().as_nanos() as u64, Ordering::Relaxed);
        result
    }
}

/// A chunk that the workers are done with.
struct CompressedChunk {
    index: usize,
    piece: Result<Piece, BadPiece>,
    chunk: Vec<u8>,
    time: Duration,
}

/// A piece whose turn to be written has not come.
enum Ready {
    Chunk(Piece),
    Run(Piece),
}

/// From chunks to written pieces.
struct Assembly<'a> {
    source: &'a Source<'a>,
    chunks: Chunks<'a>,
    writer: Writer<'a>,
    waiting: BTreeMap<usize, Ready>,
    done: (Sender<CompressedChunk>, Receiver<CompressedChunk>),
    /// Chunks' memory, to be used again.
    spare: Vec<Vec<u8>>,
    /// Pieces begun.
    begun: usize,
    /// Chunks in memory: with the workers, or compressed and not written yet.
    at_work: usize,
    /// The time of all workers together.
    work: Duration,
}

impl Assembly<'_> {
    /// Runs that may wait: the longest takes some hundred KiB.
    const MOST_WAITING: usize = 64;

    /// Returns the length of the stream, if it is shorter than the contents.
    fn run<'scope>(
        &mut self,
        scope: &Scope<'scope>,
        workers: &'scope Workers<'scope>,
        window: usize,
        stop: &AtomicBool,
        progress: &mut Progress<'_>,
    ) -> Result<Option<u64>, PackError> {
        self.writer.append(&ZLIB_HEADER)?;
        loop {
            while self.at_work < window && self.waiting.len() < Self::MOST_WAITING {
                let buffer = self.spare.pop().unwrap_or_default();
                match self.chunks.next(buffer)? {
                    Some(Chunk::Bytes { bytes, window }) => {
                        self.begin(scope, workers, bytes, window);
                    }
                    Some(Chunk::Run { byte, length }) => {
                        self.pass_run(byte, length)?;
                        workers.add(length);
                    }
                    None => break,
                }
                self.write_what_waits()?;
                if stop.load(Ordering::Relaxed) || !progress(workers.done()) {
                    return Err(PackError::Interrupted);
                }
            }
            if self.writer.length >= self.source.image_size {
                return Ok(None);
            }
            if self.at_work == 0 {
                let length = self.writer.finish()?;
                return Ok((length < self.source.image_size).then_some(length));
            }
            let taken = self.take_back(workers, progress);
            if stop.load(Ordering::Relaxed) {
                return Err(PackError::Interrupted);
            }
            taken?;
            self.write_what_waits()?;
            if !progress(workers.done()) {
                return Err(PackError::Interrupted);
            }
        }
    }

    fn begin<'scope>(
        &mut self,
        scope: &Scope<'scope>,
        workers: &'scope Workers<'scope>,
        chunk: Vec<u8>,
        window: usize,
    ) {
        let index = self.begun;
        let work = Work::new(workers, chunk, window);
        let tasks = work.tasks().max(1);
        let at_work = Arc::new(AtWork { work, nanos: AtomicU64::new(0) });
        for (task, at_work) in repeat_n(at_work, tasks).enumerate() {
            let done = self.done.0.clone();
            scope.spawn(move |_| {
                at_work.timed(|work| work.run(task));
                // The last one to be done with its task.
                if let Some(at_work) = Arc::into_inner(at_work) {
                    let piece = at_work.timed(Work::end).unwrap_or(Err(BadPiece));
                    let time = Duration::from_nanos(at_work.nanos.into_inner());
                    let chunk = at_work.work.chunk;
                    let _ = done.send(CompressedChunk { index, piece, chunk, time });
                }
            });
        }
        self.begun += 1;
        self.at_work += 1;
    }

    fn pass_run(&mut self, byte: u8, length: u64) -> Result<(), PackError> {
        let piece = Piece::run(byte, length).map_err(failed)?;
        self.waiting.insert(self.begun, Ready::Run(piece));
        self.begun += 1;
        Ok(())
    }

    /// Waits for a worker to finish a chunk, and reports progress meanwhile.
    fn take_back(
        &mut self,
        workers: &Workers<'_>,
        progress: &mut Progress<'_>,
    ) -> Result<(), PackError> {
        /// How soon an interruption is noticed.
        const PATIENCE: Duration = Duration::from_millis(100);
        let done = loop {
            match self.done.1.recv_timeout(PATIENCE) {
                Ok(done) => break done,
                Err(RecvTimeoutError::Timeout) if progress(workers.done()) => {}
                Err(RecvTimeoutError::Timeout) => return Err(PackError::Interrupted),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(PackError::Worker("a compressing thread"));
                }
            }
        };
        self.waiting.insert(done.index, Ready::Chunk(done.piece.map_err(failed)?));
        self.spare.push(done.chunk);
        self.work += done.time;
        Ok(())
    }

    fn write_what_waits(&mut self) -> Result<(), PackError> {
        while let Some(ready) = self.waiting.remove(&self.writer.written) {
            match ready {
                Ready::Run(piece) => self.writer.write(piece)?,
                Ready::Chunk(piece) => {
                    self.writer.write(piece)?;
                    self.at_work -= 1;
                }
            }
        }
        Ok(())
    }
}

fn failed(BadPiece: BadPiece) -> PackError {
    PackError::Worker("a compressing thread")
}

fn trapped(Trapped(at): Trapped) -> PackError {
    PackError::Trapped { at }
}

/// Writes pieces one after the other, each once it is known whether it is the last one.
struct Writer<'a> {
    image: &'a File,
    seam: Seam,
    last: Option<Piece>,
    /// Pieces taken.
    written: usize,
    length: u64,
    time: Duration,
}

impl<'a> Writer<'a> {
    fn new(image: &'a File) -> Self {
        let time = Duration::ZERO;
        Self { image, seam: Seam::new(), last: None, written: 0, length: 0, time }
    }

    fn write(&mut self, piece: Piece) -> Result<(), PackError> {
        self.written += 1;
        let Some(piece) = self.last.replace(piece) else {
            return Ok(());
        };
        let bytes = self.seam.add(piece).map_err(trapped)?;
        self.append(&bytes)
    }

    /// Returns the length of the stream.
    fn finish(&mut self) -> Result<u64, PackError> {
        let last = self.last.take().ok_or(PackError::Empty)?;
        let bytes = self.seam.end(last).map_err(trapped)?;
        self.append(&bytes)?;
        Ok(self.length)
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        let started = Instant::now();
        write_at(self.image, bytes, Header::LEN as u64 + self.length)?;
        self.length += bytes.len() as u64;
        self.time += started.elapsed();
        Ok(())
    }
}
