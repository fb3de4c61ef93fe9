//! Chunks compressed beside each other, written in order.

use std::collections::BTreeMap;
use std::fs::File;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};

use crossbeam::channel;
use rayon::ThreadPoolBuilder;

use super::stitch::{BadPiece, Piece, Seam, ZLIB_HEADER};
use super::{BLOCK, Hasher, PackError, Progress, Source, hashed, is_zero, write_at};
use crate::image::{Checksum, Header};

/// Blocks in a chunk at most: larger ones compress a little better and take more memory.
const BLOCKS: usize = 2;

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
) -> Result<Option<(u64, Checksum)>, PackError> {
    let threads = threads.map_or(0, NonZeroUsize::get);
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|_| PackError::Worker("no threads can be had"))?;
    let window = pool.current_num_threads() + 1;
    let zeros = OnceLock::new();
    let result = hashed(|hasher| {
        let (results, finished) = channel::unbounded();
        pool.in_place_scope(|scope| {
            let mut reader = Reader { source, at: 0, ahead: None };
            let mut writer = Writer::new(source, image)?;
            let (mut begun, mut waiting) = (0, BTreeMap::new());
            loop {
                while begun - writer.written < window
                    && let Some(chunk) = reader.next(hasher)?
                {
                    let results = results.clone();
                    let index = begun;
                    let zeros = &zeros;
                    scope.spawn(move |_| {
                        let work = || piece_of(&chunk, level, zeros);
                        // A panic must reach the one who waits.
                        let piece = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(BadPiece));
                        let _ = results.send((index, piece));
                    });
                    begun += 1;
                }
                if writer.written == begun {
                    return writer.finish();
                }
                let (index, piece) =
                    finished.recv().map_err(|_| PackError::Worker("one that compresses"))?;
                let piece = piece.map_err(|BadPiece| PackError::Worker("one that compresses"))?;
                waiting.insert(index, piece);
                while let Some(piece) = waiting.remove(&writer.written) {
                    if !writer.write(&piece)? {
                        return Ok(None);
                    }
                }
                if !progress(reader.at) {
                    return Err(PackError::Interrupted);
                }
            }
        })
    });
    let (length, checksum) = result?;
    Ok(length.map(|length| (length, checksum)))
}

/// A chunk of contents: some blocks, or one of zeros only, whose piece is always the same.
enum Chunk {
    Bytes(Vec<Arc<Vec<u8>>>),
    Zeros,
}

fn piece_of(
    chunk: &Chunk,
    level: u8,
    zeros: &OnceLock<Result<Arc<Piece>, BadPiece>>,
) -> Result<Arc<Piece>, BadPiece> {
    let compress =
        |bytes: &[u8]| Piece::compress(&mut Piece::compressor(level), bytes).map(Arc::new);
    match chunk {
        Chunk::Zeros => zeros.get_or_init(|| compress(&vec![0; BLOCK])).clone(),
        Chunk::Bytes(blocks) => match blocks.as_slice() {
            [block] => compress(block),
            blocks => {
                compress(&blocks.iter().flat_map(|block| block.iter().copied()).collect::<Vec<_>>())
            }
        },
    }
}

/// Cuts the contents into chunks, the same way every time.
struct Reader<'a> {
    source: &'a Source<'a>,
    at: u64,
    /// A block that was read and belongs to the next chunk.
    ahead: Option<Arc<Vec<u8>>>,
}

impl Reader<'_> {
    fn next(&mut self, hasher: &Hasher) -> Result<Option<Chunk>, PackError> {
        let mut blocks = Vec::new();
        while blocks.len() < BLOCKS
            && let Some(block) = self.block(hasher)?
        {
            let zeros = block.len() == BLOCK && is_zero(&block);
            if zeros && blocks.is_empty() {
                return Ok(Some(Chunk::Zeros));
            }
            if zeros {
                self.ahead = Some(block);
                break;
            }
            blocks.push(block);
        }
        Ok((!blocks.is_empty()).then_some(Chunk::Bytes(blocks)))
    }

    fn block(&mut self, hasher: &Hasher) -> Result<Option<Arc<Vec<u8>>>, PackError> {
        if let Some(block) = self.ahead.take() {
            return Ok(Some(block));
        }
        if self.at == self.source.image_size {
            return Ok(None);
        }
        let block = self.source.read(self.at, BLOCK)?;
        self.at += block.len() as u64;
        hasher.send(Arc::clone(&block))?;
        Ok(Some(block))
    }
}

/// Writes pieces one behind the other.
struct Writer<'a> {
    source: &'a Source<'a>,
    image: &'a File,
    seam: Seam,
    /// Pieces written.
    written: usize,
    length: u64,
}

impl<'a> Writer<'a> {
    fn new(source: &'a Source<'a>, image: &'a File) -> Result<Self, PackError> {
        let mut writer = Self { source, image, seam: Seam::new(), written: 0, length: 0 };
        writer.append(&ZLIB_HEADER)?;
        Ok(writer)
    }

    /// Says whether the stream is still shorter than the contents.
    fn write(&mut self, piece: &Piece) -> Result<bool, PackError> {
        let shift = self.seam.before(piece);
        self.append(&shift)?;
        self.append(&piece.bytes)?;
        self.written += 1;
        Ok(self.length < self.source.image_size)
    }

    fn finish(mut self) -> Result<Option<u64>, PackError> {
        let end = self.seam.end();
        self.append(&end)?;
        self.source.check_unchanged()?;
        Ok((self.length < self.source.image_size).then_some(self.length))
    }

    fn append(&mut self, bytes: &[u8]) -> Result<(), PackError> {
        write_at(self.image, bytes, Header::LEN as u64 + self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}
