//! Raw contents read or inflated to the memory where they stay, with almost no other memory.

use boot_format::Checksum;
use crossbeam::channel::{self, Sender};
use sha2::{Digest, Sha256};

use super::{ImageError, ImageErrorKind, ImageFile, inflate};

impl ImageFile {
    /// Reads the raw contents to `memory`, and checks them. This takes almost no memory of its own,
    /// and one more thread. The content of `memory` after an error is unspecified.
    ///
    /// # Errors
    ///
    /// As [`ImageFile::unpack`].
    ///
    /// # Panics
    ///
    /// If `memory` has another length than the contents.
    pub fn read_to(&self, memory: &mut [u8]) -> Result<(), ImageError> {
        self.check_sizes()?;
        assert_eq!(memory.len() as u64, self.header.image_size, "memory of another length");
        let (sender, receiver) = channel::unbounded::<&[u8]>();
        let (fed, found) = std::thread::scope(|scope| {
            // It hashes what is in place while more arrives.
            let hash = scope.spawn(move || {
                let mut hash = Sha256::new();
                receiver.into_iter().for_each(|bytes| hash.update(bytes));
                Checksum::from_bytes(hash.finalize().into())
            });
            let mut place = Destination { rest: memory, full: sender };
            let fed = if self.header.compressed {
                inflate::inflate_in(self, &mut place)
            } else {
                self.read_raw_in(&mut place)
            };
            drop(place);
            (fed, hash.join().expect("hashing does not panic"))
        });
        self.check_contents(fed, found)
    }

    fn read_raw_in(&self, place: &mut Destination<'_>) -> Result<(), ImageErrorKind> {
        let mut at = 0;
        while at < self.header.image_size {
            let room = place.room(Self::BLOCK);
            let length = room.len();
            self.read_payload(room, at)?;
            place.filled(length);
            at += length as u64;
        }
        Ok(())
    }
}

/// Where raw contents belong.
pub(super) struct Destination<'a> {
    rest: &'a mut [u8],
    full: Sender<&'a [u8]>,
}

impl Destination<'_> {
    /// All the memory that has not been filled.
    pub(super) fn rest(&mut self) -> &mut [u8] {
        self.rest
    }

    /// Up to `most` bytes of it.
    pub(super) fn room(&mut self, most: usize) -> &mut [u8] {
        let length = self.rest.len().min(most);
        &mut self.rest[..length]
    }

    /// `length` more bytes are in place.
    pub(super) fn filled(&mut self, length: usize) {
        let (full, rest) = std::mem::take(&mut self.rest).split_at_mut(length);
        self.rest = rest;
        // If the other end is gone, joining it will show that.
        let _ = self.full.send(full);
    }
}
