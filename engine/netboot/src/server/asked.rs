//! Which offsets a sled waits for: those still to be sent, and those sent but not acknowledged.

use std::ops::Range;

use boot_format::wire::{BLOCK, Read, SLOTS, UNANSWERABLE};

/// The offsets that one sled has asked for and, as far as is known, not received.
///
/// A READ names everything that a sled still lacks, so it acknowledges every offset that was sent
/// and is not named (P13). No offset appears twice.
#[derive(Debug, Default)]
pub(super) struct Asked {
    /// `offsets[..next]` have been sent, in this order.
    offsets: Vec<u64>,
    next: usize,
    /// An upper bound of all offsets.
    end: u64,
    /// The lowest offset that was dropped unsent, because there were too many.
    given_up: Option<u64>,
}

/// What a READ says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Merged {
    /// Offsets that were sent and are asked for again: lost, or late.
    pub(super) again: usize,
    /// Whether the READ named an offset for the first time: the sled has moved on.
    pub(super) fresh: bool,
}

impl Asked {
    /// The most offsets kept: two READs' worth, for two sleds that share one address.
    const MOST: usize = 2 * Read::MAX_ENTRIES;

    /// Merges a READ. What is still to be sent stays ahead of what the READ adds.
    pub(super) fn merge(&mut self, read: &Read<'_>) -> Merged {
        let sent = self.next;
        let held = self.offsets.len();
        // P19. Appended without a lookup: a sled that moves on asks only for new offsets.
        read.offsets().for_each(|offset| self.offsets.push(offset));
        let added = &self.offsets[held..];
        let merged = if ascends_from(self.end, added) {
            self.end = added.last().map_or(self.end, |last| last + 1);
            Merged { again: 0, fresh: !added.is_empty() }
        } else {
            let merged = self.sift(held);
            self.end = self.range().end;
            merged
        };
        let surplus = (self.offsets.len() - sent).saturating_sub(Self::MOST);
        if surplus > 0 {
            let least = self.offsets[sent..sent + surplus].iter().min().copied();
            self.given_up = [self.given_up, least].into_iter().flatten().min();
        }
        self.offsets.drain(..sent + surplus);
        self.next = 0;
        merged
    }

    /// Of the offsets after the first `held`, keeps those that may be sent and are not queued yet.
    fn sift(&mut self, held: usize) -> Merged {
        let mut merged = Merged::default();
        let mut newest = None;
        let added = self.offsets.split_off(held);
        let range = self.range();
        // P23
        for offset in added.into_iter().filter(|&offset| offset != UNANSWERABLE) {
            if range.contains(&offset)
                && let Some(index) = self.offsets[..held].iter().position(|&known| known == offset)
            {
                if index >= self.next {
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
        merged
    }

    /// The next offset to send.
    pub(super) fn next(&mut self) -> Option<u64> {
        let offset = *self.offsets.get(self.next)?;
        self.next += 1;
        Some(offset)
    }

    /// The start of the batch that waits to be sent, if exactly one whole batch waits.
    pub(super) fn batch(&self) -> Option<u64> {
        let &start = self.offsets.first()?;
        let consecutive = |(place, &offset): (u64, &u64)| offset == start + place * BLOCK as u64;
        let whole = self.next == 0 && self.offsets.len() == SLOTS && start < u64::MAX / 2;
        (whole && (0..).zip(&self.offsets).all(consecutive)).then_some(start)
    }

    /// Forgets what waits to be sent.
    pub(super) fn drop_pending(&mut self) {
        self.offsets.truncate(self.next);
    }

    /// Marks everything that waits as sent.
    pub(super) fn send_all(&mut self) {
        self.next = self.offsets.len();
    }

    /// How many offsets wait to be sent.
    pub(super) fn pending(&self) -> usize {
        self.offsets.len() - self.next
    }

    /// Whether an offset waits to be sent.
    pub(super) fn is_pending(&self) -> bool {
        self.pending() > 0
    }

    /// The lowest offset that waits to be sent.
    pub(super) fn least_pending(&self) -> Option<u64> {
        self.offsets[self.next..].iter().min().copied()
    }

    /// The lowest offset that was dropped unsent since the last call.
    pub(super) fn take_given_up(&mut self) -> Option<u64> {
        self.given_up.take()
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
        (self.next, self.end) = (0, 0);
        self.given_up = None;
    }

    fn range(&self) -> Range<u64> {
        let Some(&first) = self.offsets.first() else {
            return 0..0;
        };
        let widen =
            |(least, most): (u64, u64), &offset: &u64| (least.min(offset), most.max(offset));
        let (least, most) = self.offsets.iter().fold((first, first), widen);
        least..most + 1
    }
}

/// Whether offsets ascend, none is less than `least`, and all can be answered.
fn ascends_from(least: u64, offsets: &[u64]) -> bool {
    offsets.first().is_none_or(|&first| first >= least)
        && offsets.last() != Some(&UNANSWERABLE)
        && offsets.is_sorted_by(|a, b| a < b)
}

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_set, vec};
    use proptest::prelude::*;

    use super::*;
    use boot_format::wire::{Frame, FrameType, Head, MacAddr, Message, SLOTS, emit_read};

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
        merge(&mut asked, 2, &[5120, 5120]);
        assert_eq!(drain(&mut asked), [5120]);
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
        merge(&mut asked, 1, &[u64::MAX]);
        assert_eq!(drain(&mut asked), [0_u64; 0]);
    }

    #[test]
    fn a_flood_of_reads_is_bounded() {
        let mut asked = Asked::default();
        for batch in 0..50_u64 {
            let offsets: Vec<_> = (1..=128).map(|slot| (batch * 128 + slot) * 1024).collect();
            merge(&mut asked, 128, &offsets);
        }
        assert_eq!(asked.take_given_up(), Some(1024));
        assert_eq!(asked.least_pending(), Some((50 * 128 + 1 - Asked::MOST as u64) * 1024));
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

    /// Asked for `count` blocks from `start` on, none of which has been sent.
    fn asked_from(start: u64, count: usize) -> Asked {
        let mut asked = Asked::default();
        let offsets: Vec<_> = (0..count as u64).map(|block| start + block * 1024).collect();
        merge(&mut asked, count as u64, &offsets);
        asked
    }

    #[test]
    fn a_whole_batch_is_known_by_its_start_until_any_of_it_is_sent() {
        let mut asked = asked_from(7 * 1024, SLOTS);
        assert_eq!(asked.batch(), Some(7 * 1024));
        asked.next();
        assert_eq!(asked.batch(), None);
        assert_eq!(Asked::default().batch(), None);
        assert_eq!(asked_from(1024, SLOTS - 1).batch(), None);
        let mut scattered = asked_from(1024, SLOTS - 1);
        merge(&mut scattered, 1, &[500 * 1024]);
        assert_eq!((scattered.pending(), scattered.batch()), (SLOTS, None));
        // Its end would be past that of all numbers.
        assert_eq!(asked_from(u64::MAX / 2 - 1, SLOTS).batch(), Some(u64::MAX / 2 - 1));
        assert_eq!(asked_from(u64::MAX / 2, SLOTS).batch(), None);
    }

    #[test]
    fn what_waits_can_be_dropped_or_taken_for_sent() {
        let mut asked = asked_from(1024, 3);
        asked.next();
        assert!(asked.is_pending());
        asked.drop_pending();
        assert_eq!((asked.pending(), asked.unacknowledged()), (0, &[1024][..]));
        assert!(!asked.is_pending());
        let mut asked = asked_from(1024, 3);
        asked.send_all();
        assert_eq!((asked.pending(), asked.unacknowledged()), (0, &[1024, 2048, 3072][..]));
        assert_eq!(asked.next(), None);
    }

    #[test]
    fn what_is_forgotten_may_be_asked_for_anew() {
        let mut asked = asked_from(1024, 3);
        asked.next();
        asked.clear();
        assert_eq!((asked.pending(), asked.least_pending()), (0, None));
        assert_eq!(asked.unacknowledged(), [0_u64; 0]);
        assert_eq!(merge(&mut asked, 1, &[1024]), Merged { again: 0, fresh: true });
        assert_eq!(drain(&mut asked), [1024]);
    }

    #[test]
    fn the_last_offset_of_a_batch_is_known_as_the_others_are() {
        let mut asked = asked_from(1024, SLOTS);
        drain(&mut asked);
        let next: Vec<_> = (SLOTS as u64..2 * SLOTS as u64).map(|block| block * 1024).collect();
        assert_eq!(merge(&mut asked, 128, &next), Merged { again: 1, fresh: true });
        assert_eq!((asked.pending(), asked.take_given_up()), (SLOTS, None));
    }

    #[test]
    fn no_more_than_two_reads_wait_and_what_was_sent_does_not_count() {
        let mut asked = asked_from(1024, 100);
        (0..60).for_each(|_| assert!(asked.next().is_some()));
        for batch in 1..3 {
            let offsets: Vec<_> = (0..128).map(|slot| (batch * 1000 + slot) * 1024).collect();
            merge(&mut asked, 128, &offsets);
        }
        assert_eq!((asked.pending(), asked.take_given_up()), (40 + 2 * 128, None));
        let offsets: Vec<_> = (0..24).map(|slot| (3000 + slot) * 1024).collect();
        merge(&mut asked, 24, &offsets);
        assert_eq!((asked.pending(), asked.take_given_up()), (320, None));
        merge(&mut asked, 2, &[4_000 * 1024, 4_001 * 1024]);
        assert_eq!((asked.pending(), asked.take_given_up()), (320, Some(61 * 1024)));
    }

    /// Offsets from a small range, so that READs overlap; ascending, or shuffled with duplicates.
    fn entries() -> impl Strategy<Value = Vec<u64>> {
        let offset = || prop_oneof![8 => (1..40_u64).prop_map(|block| block * 1024), 1 => Just(!0)];
        let ordered = btree_set(offset(), 0..12).prop_map(|set| set.into_iter().collect());
        prop_oneof![ordered, vec(offset(), 0..12)]
    }

    proptest! {
        #[test]
        fn each_offset_that_does_not_wait_yet_is_sent_once(
            reads in vec((entries(), 0..16_usize), 1..8)
        ) {
            let mut asked = Asked::default();
            let (mut sent, mut waiting) = (Vec::new(), Vec::new());
            for (entries, sends) in reads {
                let wanted = || entries.iter().copied().filter(|&offset| offset != UNANSWERABLE);
                let expected = Merged {
                    again: wanted().filter(|offset| sent.contains(offset)).count(),
                    fresh: wanted().any(|o| !sent.contains(&o) && !waiting.contains(&o)),
                };
                prop_assert_eq!(merge(&mut asked, entries.len() as u64, &entries), expected);
                for offset in wanted() {
                    if !waiting.contains(&offset) {
                        waiting.push(offset);
                    }
                }
                sent = waiting.drain(..sends.min(waiting.len())).collect();
                let out: Vec<_> = std::iter::from_fn(|| asked.next()).take(sends).collect();
                prop_assert_eq!(&out, &sent);
                prop_assert_eq!(asked.pending(), waiting.len());
            }
        }
    }
}
