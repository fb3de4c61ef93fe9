//! What became of the batches that were sent last.

use std::collections::VecDeque;
use std::time::Duration;

use super::table::SledId;
use crate::time::Instant;

/// A batch on its way.
#[derive(Clone, Copy, Debug)]
pub(super) struct SentBatch {
    /// When its first frame was handed out, and its last.
    pub(super) first: Instant,
    pub(super) last: Instant,
    pub(super) frames: u64,
    /// How many frames the link had been handed before the first one, and up to the last.
    pub(super) released: (u64, u64),
}

/// What a READ told of the batch before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    pub(super) batch: SentBatch,
    /// Frames that were sent again, because they had to be.
    pub(super) repeats: u64,
    /// The probability that it had lost a frame.
    pub(super) lost: f64,
}

impl SentBatch {
    /// What became of it: it was sent to this sled, whose answers take this long at least, and so
    /// many frames had to be sent again.
    pub(super) fn answer(self, sled: SledId, least: Duration, repeats: u64) -> Answer {
        let Self { first, last, frames, released: (before, after) } = self;
        Answer { sled, first, last, least, frames, arrived: true, repeats, passed: after - before }
    }
}

/// What became of a batch.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answer {
    /// Whose batch it was.
    pub(super) sled: SledId,
    /// When its first frame went out, and its last.
    pub(super) first: Instant,
    /// See `first`.
    pub(super) last: Instant,
    /// The least time that this sled's answers take.
    pub(super) least: Duration,
    /// Its frames.
    pub(super) frames: u64,
    /// Whether they have arrived, as far as is known.
    pub(super) arrived: bool,
    /// Frames that were sent again before it was answered.
    pub(super) repeats: u64,
    /// Frames, to whomever, from the batch's first to its last.
    pub(super) passed: u64,
}

/// What became of the last batches.
#[derive(Debug)]
pub(super) struct Outcomes {
    /// When the last answer came.
    answered: Instant,
    /// How many are kept.
    window: usize,
    last: VecDeque<Outcome>,
    /// How many have been added of late.
    added: usize,
    /// Frames per second that passed the narrowest place while more were sent; less is thought of
    /// what was seen longer ago.
    pub(super) carried: f64,
}

#[derive(Clone, Copy, Debug)]
struct Outcome {
    begun: Instant,
    at: Instant,
    /// Time in which it was on its way, and no other answered.
    took: Duration,
    sled: SledId,
    frames: u64,
    arrived: bool,
    repeats: u64,
}

impl Outcomes {
    const FADING: f64 = 0.997;
    const MORE: usize = 4;

    pub(super) fn new(window: usize) -> Self {
        let last = VecDeque::with_capacity(window);
        Self { answered: Instant::ZERO, window, last, added: 0, carried: 0.0 }
    }

    /// Forgets all: the rate has changed.
    pub(super) fn clear(&mut self) {
        self.last.clear();
        self.added = 0;
        self.carried = 0.0;
    }

    /// Takes in an answer that came at `now`.
    pub(super) fn add(&mut self, now: Instant, answer: &Answer) {
        let &Answer { sled, first, frames, arrived, repeats, .. } = answer;
        if self.last.len() == self.window {
            self.last.pop_front();
        }
        // From the answer before, unless there was nothing to send between.
        let took = now.since(self.answered.max(first));
        self.answered = now;
        self.added += 1;
        self.last.push_back(Outcome {
            begun: first,
            at: now,
            took,
            sled,
            frames,
            arrived,
            repeats,
        });
        self.carried *= Self::FADING;
    }

    /// Repeats per frame, of the last `count` of them.
    pub(super) fn late_repeats(&self, count: usize) -> f64 {
        share(self.last.iter().rev().take(count))
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.last.len()
    }

    /// Whether all that are kept are new since it was last so.
    pub(super) fn is_renewed(&mut self) -> bool {
        let renewed = self.added >= self.window;
        if renewed {
            self.added = 0;
        }
        renewed
    }

    /// Repeats per frame.
    pub(super) fn repeats(&self) -> f64 {
        share(self.last.iter())
    }

    /// Frames per second that reached their sleds, about.
    pub(super) fn goodput(&self) -> f64 {
        let arrived = self.last.iter().filter(|outcome| outcome.arrived);
        let frames: u64 = arrived.map(|outcome| outcome.frames).sum();
        let time: Duration = self.last.iter().map(|outcome| outcome.took).sum();
        frames as f64 / time.as_secs_f64().max(1e-9)
    }

    /// Whether of late most sleds needed more repeats than `bearable`, and few batches needed
    /// none: a rate that is too high spares none, chance does.
    pub(super) fn are_bad(&self, bearable: f64) -> bool {
        // The fewer there are, the more of them must be bad.
        let enough = |count: usize, most_clean: usize| {
            let late = || self.last.iter().rev().take(count);
            let clean = late().filter(|outcome| outcome.repeats == 0).count();
            self.last.len() >= count
                && clean <= most_clean
                && share(late()) > bearable
                && is_general(late(), bearable)
        };
        enough(8, 0) || enough(8.max(self.window / 2), self.window / 8)
    }

    /// Whether batches that were begun after the first bad answer were bad too: a machine that
    /// stops for a moment spoils what is on its way, and no more.
    pub(super) fn stay_bad(&self) -> bool {
        let mut bad = self.last.iter().filter(|outcome| outcome.repeats > 0);
        let Some(first) = bad.next().map(|outcome| outcome.at) else {
            return false;
        };
        bad.filter(|outcome| outcome.begun >= first).count() >= Self::MORE
    }

    /// Whether more than one sled has answered.
    pub(super) fn is_shared(&self) -> bool {
        self.last.iter().zip(self.last.iter().skip(1)).any(|(a, b)| a.sled != b.sled)
    }

    /// Whether more than half of the sleds needed more repeats than `bearable`.
    pub(super) fn is_general(&self, bearable: f64) -> bool {
        is_general(self.last.iter(), bearable)
    }
}

fn is_general<'a>(outcomes: impl ExactSizeIterator<Item = &'a Outcome>, bearable: f64) -> bool {
    let mut sleds: Vec<Outcome> = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        match sleds.iter_mut().find(|known| known.sled == outcome.sled) {
            Some(known) => {
                known.frames += outcome.frames;
                known.repeats += outcome.repeats;
            }
            None => sleds.push(*outcome),
        }
    }
    let suffers = |sled: &&Outcome| sled.repeats as f64 > bearable * sled.frames as f64;
    2 * sleds.iter().filter(suffers).count() > sleds.len()
}

/// Repeats per frame.
fn share<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> f64 {
    let (frames, repeats) = outcomes.fold((0, 0), |(frames, repeats), outcome| {
        (frames + outcome.frames, repeats + outcome.repeats)
    });
    repeats as f64 / frames.max(1) as f64
}
