//! Which offsets a sled waits for: those still to be sent, and those sent but not acknowledged.

use std::ops::Range;

use crate::wire::{BLOCK, Read, UNANSWERABLE};

/// The offsets that one sled has asked for and, as far as we know, not received.
///
/// A READ names all that a sled lacks and still waits for, so it acknowledges every offset
/// that was sent and is not named in it. No offset stands here twice.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// Those before `next` have been sent, in this order.
    offsets: Vec<u64>,
    next: usize,
}

/// What a READ told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Merged {
    /// Offsets that were sent and are asked for again: lost on the way, or late.
    pub(super) again: usize,
    /// Whether the READ named an offset that had not been asked for: so the sled has moved on.
    pub(super) fresh: bool,
}

impl Asked {
    /// The most offsets kept: two READs' worth, for two sleds that share one address.
    const MOST: usize = 2 * Read::MAX_ENTRIES;

    /// Takes in a READ. What is still to be sent stays before what the READ adds.
    pub(super) fn merge(&mut self, read: &Read<'_>) -> Merged {
        let mut merged = Merged::default();
        let sent = self.next;
        let held = self.offsets.len();
        let range = self.range(0..held);
        let mut newest = None;
        for offset in read.offsets().filter(|&offset| offset != UNANSWERABLE) {
            if range.contains(&offset)
                && let Some(index) = self.offsets[..held].iter().position(|&known| known == offset)
            {
                if index >= sent {
                    continue;
                }
                merged.again += 1;
            } else {
                merged.fresh = true;
            }
            let ascends = newest.is_none_or(|newest| offset > newest);
            if !ascends && self.offsets[held..].contains(&offset) {
                continue;
            }
            newest = newest.max(Some(offset));
            self.offsets.push(offset);
        }
        let surplus = (self.offsets.len() - sent).saturating_sub(Self::MOST);
        self.offsets.drain(..sent + surplus);
        self.next = 0;
        merged
    }

    /// The next offset to send.
    pub(super) fn next(&mut self) -> Option<u64> {
        let offset = *self.offsets.get(self.next)?;
        self.next += 1;
        Some(offset)
    }

    /// How many offsets wait to be sent.
    pub(super) fn pending(&self) -> usize {
        self.offsets.len() - self.next
    }

    /// Whether an offset waits to be sent.
    pub(super) fn is_pending(&self) -> bool {
        self.pending() > 0
    }

    /// The offsets that were sent and not acknowledged, in the order of sending.
    pub(super) fn unacknowledged(&self) -> &[u64] {
        &self.offsets[..self.next]
    }

    /// Whether the end of an image of `size` bytes has been asked for and not acknowledged.
    pub(super) fn reaches(&self, size: u64) -> bool {
        self.offsets.iter().any(|offset| offset.saturating_add(BLOCK as u64) >= size)
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.offsets.clear();
        self.next = 0;
    }

    fn range(&self, indices: Range<usize>) -> Range<u64> {
        let offsets = &self.offsets[indices];
        let least = offsets.iter().min().copied().unwrap_or(0);
        let most = offsets.iter().max().copied().map_or(0, |most| most.saturating_add(1));
        least..most
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Frame, FrameType, Head, MacAddr, Message, SLOTS, emit_read};

    fn merge(asked: &mut Asked, count: u64, entries: &[u64]) -> Merged {
        let mut offsets = [0; SLOTS];
        offsets[..entries.len()].copy_from_slice(entries);
        let body = emit_read(count, &offsets);
        let any = MacAddr::BROADCAST;
        let head = Head::new(any, any, FrameType::Read, body.len());
        let bytes = [head.as_bytes(), &body].concat();
        match Frame::parse(&bytes).unwrap().message {
            Message::Read(read) => asked.merge(&read),
            _ => unreachable!("a READ was emitted"),
        }
    }

    fn drain(asked: &mut Asked) -> Vec<u64> {
        std::iter::from_fn(|| asked.next()).collect()
    }

    #[test]
    fn an_offset_asked_for_twice_is_sent_once() {
        let mut asked = Asked::default();
        merge(&mut asked, 5, &[3072, 1024, 3072, 1024, 2048]);
        merge(&mut asked, 2, &[2048, 4096]);
        assert_eq!(drain(&mut asked), [3072, 1024, 2048, 4096]);
    }

    #[test]
    fn a_read_acknowledges_what_it_does_not_name() {
        let mut asked = Asked::default();
        merge(&mut asked, 3, &[1024, 2048, 3072]);
        drain(&mut asked);
        assert_eq!(merge(&mut asked, 1, &[2048]), Merged { again: 1, fresh: false });
        assert_eq!(drain(&mut asked), [2048]);
        assert_eq!(merge(&mut asked, 1, &[4096]), Merged { again: 0, fresh: true });
        assert_eq!(asked.unacknowledged(), [0_u64; 0]);
        assert_eq!(drain(&mut asked), [4096]);
    }

    #[test]
    fn the_offset_of_an_empty_slot_is_never_sent() {
        let mut asked = Asked::default();
        merge(&mut asked, 2, &[u64::MAX, u64::MAX - 1]);
        assert_eq!(drain(&mut asked), [u64::MAX - 1]);
    }

    #[test]
    fn a_flood_of_reads_is_bounded() {
        let mut asked = Asked::default();
        for batch in 0..50_u64 {
            let offsets: Vec<_> = (1..=128).map(|slot| (batch * 128 + slot) * 1024).collect();
            merge(&mut asked, 128, &offsets);
        }
        let left = drain(&mut asked);
        assert_eq!(left.len(), Asked::MOST);
        assert_eq!(left.last(), Some(&(50 * 128 * 1024)));
    }

    #[test]
    fn the_last_batch_is_known_by_its_end() {
        let mut asked = Asked::default();
        merge(&mut asked, 2, &[1024, 2048]);
        assert!(asked.reaches(3072));
        assert!(!asked.reaches(3073));
    }
}
