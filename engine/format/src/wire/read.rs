//! The body of a READ: which offsets a sled asks for.

/// Slots of a sled, and offsets in each of its READs (P7, P13).
pub const SLOTS: usize = 128;

const READ_LEN: usize = 8 + 8 * SLOTS;

/// The checked body of a READ.
///
/// The offset of a slot stands at the slot's position, so the first `count` entries are not the
/// ones that are asked for (P18): see [`Read::offsets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Read<'a> {
    count: u64,
    /// Whether offset zero is asked for.
    zero: bool,
    entries: &'a [[u8; 8]],
}

/// Why a body is not a valid READ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No room for the count.
    #[error("a READ body has at least 8 bytes, not {found}")]
    Length {
        /// The length field.
        found: usize,
    },
    /// It claims to ask for more than any sled has slots.
    #[error("a READ asks for at most {} offsets, not {found}", Read::MAX_ENTRIES)]
    Count {
        /// The count field.
        found: u64,
    },
}

impl<'a> Read<'a> {
    /// The most entries that are looked at, and the largest count accepted.
    pub const MAX_ENTRIES: usize = 160;

    pub(super) fn parse(body: &'a [u8]) -> Result<Self, ReadError> {
        let (count, entries) =
            body.split_first_chunk::<8>().ok_or(ReadError::Length { found: body.len() })?;
        let count = u64::from_be_bytes(*count);
        if count > Self::MAX_ENTRIES as u64 {
            return Err(ReadError::Count { found: count });
        }
        let (entries, _) = entries.as_chunks::<8>();
        let entries = &entries[..entries.len().min(Self::MAX_ENTRIES)];
        let non_zero = entries.iter().filter(|entry| **entry != [0; 8]).count();
        Ok(Self { count, zero: count > non_zero as u64, entries })
    }

    /// The number of offsets asked for, by the count field.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The entry at `slot`, whether it is wanted or not.
    pub fn entry(&self, slot: usize) -> Option<u64> {
        self.entries.get(slot).map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// The offsets asked for: zero first if it is wanted, then the others in slot order.
    ///
    /// Every non-zero entry is wanted. Unused entries are zero too, so offset zero is wanted if
    /// and only if the count exceeds the number of non-zero entries (P19).
    pub fn offsets(&self) -> impl Iterator<Item = u64> {
        let non_zero = self.entries.iter().map(|e| u64::from_be_bytes(*e)).filter(|&o| o != 0);
        self.zero.then_some(0).into_iter().chain(non_zero)
    }
}

/// The body of a READ for `count` offsets, each at its slot's position in `offsets`.
pub fn emit_read(count: u64, offsets: &[u64; SLOTS]) -> [u8; READ_LEN] {
    let mut body = [0; READ_LEN];
    body[..8].copy_from_slice(&count.to_be_bytes());
    for (entry, offset) in body[8..].chunks_exact_mut(8).zip(offsets) {
        entry.copy_from_slice(&offset.to_be_bytes());
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(count: u64, entries: &[(usize, u64)]) -> Vec<u64> {
        let mut offsets = [0; SLOTS];
        for &(slot, offset) in entries {
            offsets[slot] = offset;
        }
        let body = emit_read(count, &offsets);
        Read::parse(&body).unwrap().offsets().collect()
    }

    #[test]
    fn a_sparse_read_is_found_by_its_entries_not_by_its_count() {
        assert_eq!(wanted(2, &[(24, 24_576), (28, 28_672)]), [24_576, 28_672]);
        assert_eq!(wanted(1, &[(127, 130_048)]), [130_048]);
    }

    #[test]
    fn zero_is_wanted_only_when_the_count_says_so() {
        assert_eq!(wanted(2, &[(5, 5120)]), [0, 5120]);
        assert_eq!(wanted(1, &[]), [0]);
        assert_eq!(wanted(0, &[]), [0_u64; 0]);
        let full: Vec<_> = (0..SLOTS).map(|slot| (slot, slot as u64 * 1024)).collect();
        assert_eq!(wanted(128, &full), full.iter().map(|&(_, offset)| offset).collect::<Vec<_>>());
    }

    #[test]
    fn a_read_of_160_entries_is_read_to_its_end() {
        let mut body = 160_u64.to_be_bytes().to_vec();
        (0..160_u64).for_each(|slot| body.extend((slot * 1024).to_be_bytes()));
        let read = Read::parse(&body).unwrap();
        assert_eq!(
            read.offsets().collect::<Vec<_>>(),
            (0..160).map(|i| i * 1024).collect::<Vec<_>>()
        );
    }

    #[test]
    fn a_count_beyond_any_sled_is_refused() {
        let mut body = emit_read(0, &[1024; SLOTS]);
        body[..8].copy_from_slice(&161_u64.to_be_bytes());
        assert_eq!(Read::parse(&body), Err(ReadError::Count { found: 161 }));
        body[..8].copy_from_slice(&u64::MAX.to_be_bytes());
        assert_eq!(Read::parse(&body), Err(ReadError::Count { found: u64::MAX }));
        assert_eq!(Read::parse(&body[..7]), Err(ReadError::Length { found: 7 }));
    }

    #[test]
    fn a_read_has_a_count_and_an_entry_for_each_slot() {
        assert_eq!(emit_read(1, &[1024; SLOTS]).len(), 8 + 128 * 8);
    }

    #[test]
    fn a_read_cut_short_asks_for_what_is_there() {
        let body = emit_read(128, &[3072; SLOTS]);
        assert_eq!(
            Read::parse(&body[..8 + 17]).unwrap().offsets().collect::<Vec<_>>(),
            [0, 3072, 3072]
        );
    }
}
