//! Chunks compressed beside each other, written in order.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use boot_format::{Checksum, Header};
use crossbeam::channel::{self, Receiver, Sender};
use rayon::{Scope, ThreadPoolBuilder};

use super::chunks::{Chunk, Chunks};
use super::source::Source;
use super::stitch::{BadPiece, Piece, Seam, Trapped, Workbench, ZLIB_HEADER};
use super::{PackError, Progress, Stages, write_at};

/// Compresses the contents to a zlib stream behind the place of the header. Returns the
/// stream's length and the contents' checksum; or nothing if the stream would not be shorter
/// than the contents.
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
    let workers = Workers { level, idle: Mutex::default() };
    let stop = AtomicBool::new(false);
    // The hash reads by itself, so that it can run ahead: one stream, it takes as long as it
    // takes, and the workers should find both cores busy to the end.
    let (packed, hashed) = std::thread::scope(|threads| {
        let hash = threads.spawn(|| source.sums(&stop));
        let packed = pool.in_place_scope(|scope| {
            let mut line = Line {
                source,
                chunks: Chunks::new(source),
                writer: Writer::new(image),
                zeros: HashMap::new(),
                waiting: BTreeMap::new(),
                done: channel::unbounded(),
                spare: Vec::new(),
                begun: 0,
                at_work: 0,
                work: Duration::ZERO,
            };
            line.run(scope, &workers, window, &stop, progress).map(|length| {
                stages.compress += line.work;
                stages.write += line.writer.time;
                (length, line.writer.seam.adler())
            })
        });
        if !matches!(packed, Ok((Some(_), _))) {
            stop.store(true, Ordering::Relaxed);
        }
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

/// What the workers share.
struct Workers {
    level: u8,
    idle: Mutex<Vec<Workbench>>,
}

impl Workers {
    /// Compresses a chunk, on a bench that is free.
    fn compress(&self, chunk: &[u8]) -> Result<Piece, BadPiece> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let bench = idle().pop();
        let mut bench = bench.unwrap_or_else(|| Workbench::new(self.level));
        let piece = bench.compress(chunk)?;
        idle().push(bench);
        Ok(piece)
    }
}

/// A chunk that a worker is done with.
struct Done {
    index: usize,
    piece: Result<Piece, BadPiece>,
    chunk: Vec<u8>,
    time: Duration,
}

/// A piece whose turn to be written has not come.
enum Ready {
    Chunk(Piece),
    Zeros(Arc<Piece>),
}

/// From chunks to written pieces.
struct Line<'a> {
    source: &'a Source<'a>,
    chunks: Chunks<'a>,
    writer: Writer<'a>,
    /// The pieces of runs of zeros, by their length.
    zeros: HashMap<u64, Arc<Piece>>,
    waiting: BTreeMap<usize, Ready>,
    done: (Sender<Done>, Receiver<Done>),
    /// Chunks' memory, to be used again.
    spare: Vec<Vec<u8>>,
    /// Pieces begun.
    begun: usize,
    /// Chunks in memory: with the workers, or compressed and not written yet.
    at_work: usize,
    /// All workers' time.
    work: Duration,
}

impl Line<'_> {
    /// Runs of zeros that may wait: they take no memory.
    const MOST_WAITING: usize = 4096;

    /// Returns the length of the stream, if it is shorter than the contents.
    fn run<'scope>(
        &mut self,
        scope: &Scope<'scope>,
        workers: &'scope Workers,
        window: usize,
        stop: &AtomicBool,
        progress: &mut Progress<'_>,
    ) -> Result<Option<u64>, PackError> {
        self.writer.append(&ZLIB_HEADER)?;
        loop {
            while self.at_work < window && self.waiting.len() < Self::MOST_WAITING {
                let buffer = self.spare.pop().unwrap_or_default();
                match self.chunks.next(buffer)? {
                    Some(Chunk::Bytes(chunk)) => self.begin(scope, workers, chunk),
                    Some(Chunk::Zeros(length)) => self.pass_zeros(length)?,
                    None => break,
                }
                self.write_what_waits()?;
                if stop.load(Ordering::Relaxed) || !progress(self.chunks.at()) {
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
            self.take_back()?;
            self.write_what_waits()?;
            if !progress(self.chunks.at()) {
                return Err(PackError::Interrupted);
            }
        }
    }

    fn begin<'scope>(&mut self, scope: &Scope<'scope>, workers: &'scope Workers, chunk: Vec<u8>) {
        let done = self.done.0.clone();
        let index = self.begun;
        scope.spawn(move |_| {
            let started = Instant::now();
            // A panic must reach the one who waits.
            let work = catch_unwind(AssertUnwindSafe(|| workers.compress(&chunk)));
            let piece = work.unwrap_or(Err(BadPiece));
            let _ = done.send(Done { index, piece, chunk, time: started.elapsed() });
        });
        self.begun += 1;
        self.at_work += 1;
    }

    fn pass_zeros(&mut self, length: u64) -> Result<(), PackError> {
        /// The same for every level: the high ones are slow on zeros, and gain nothing.
        const LEVEL: u8 = 9;
        let piece = match self.zeros.entry(length) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(place) => {
                let piece = Workbench::new(LEVEL).compress(&vec![0; length as usize]);
                Arc::clone(place.insert(Arc::new(piece.map_err(failed)?)))
            }
        };
        self.waiting.insert(self.begun, Ready::Zeros(piece));
        self.begun += 1;
        Ok(())
    }

    /// Waits for a worker to be done with a chunk.
    fn take_back(&mut self) -> Result<(), PackError> {
        let received = self.done.1.recv();
        let done = received.map_err(|_| PackError::Worker("a compressing thread"))?;
        self.waiting.insert(done.index, Ready::Chunk(done.piece.map_err(failed)?));
        self.spare.push(done.chunk);
        self.work += done.time;
        Ok(())
    }

    fn write_what_waits(&mut self) -> Result<(), PackError> {
        while let Some(ready) = self.waiting.remove(&self.writer.written) {
            match ready {
                Ready::Zeros(piece) => self.writer.write(&piece)?,
                Ready::Chunk(piece) => {
                    self.writer.write(&piece)?;
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

/// Writes pieces one behind the other.
struct Writer<'a> {
    image: &'a File,
    seam: Seam,
    /// Pieces written.
    written: usize,
    length: u64,
    time: Duration,
}

impl<'a> Writer<'a> {
    fn new(image: &'a File) -> Self {
        Self { image, seam: Seam::new(), written: 0, length: 0, time: Duration::ZERO }
    }

    fn write(&mut self, piece: &Piece) -> Result<(), PackError> {
        let shift = self.seam.before(piece).map_err(trapped)?;
        self.append(&shift)?;
        self.append(&piece.bytes)?;
        self.written += 1;
        Ok(())
    }

    /// Returns the length of the stream.
    fn finish(&mut self) -> Result<u64, PackError> {
        let end = self.seam.end().map_err(trapped)?;
        self.append(&end)?;
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
