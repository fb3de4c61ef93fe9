//! In step or one by one: how long a batch for all members is expected to take.

use std::time::Duration;

use boot_format::wire::SLOTS;

use super::event::Expected;
use super::members::BATCH;

/// An exponentially weighted mean over about `MEMORY` samples.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Mean<const MEMORY: u32 = 32> {
    value: f64,
    count: u32,
}

impl<const MEMORY: u32> Mean<MEMORY> {
    pub(super) fn add(&mut self, sample: f64) {
        self.count = (self.count + 1).min(MEMORY);
        self.value += (sample - self.value) / f64::from(self.count);
    }

    /// The mean, or `prior` before the first sample.
    pub(super) fn or(&self, prior: f64) -> f64 {
        if self.count == 0 { prior } else { self.value }
    }

    /// The number of samples, up to `MEMORY`.
    pub(super) fn count(&self) -> u32 {
        self.count
    }
}

/// Estimates of a segment, kept from boot to boot. Times are in seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Estimates {
    /// From a batch's first frame to its first answer: roughly the recent minimum.
    wire: Option<f64>,
    /// From the first answer to the last one without loss, scaled to one sled.
    spread: Mean,
    /// From a batch's last frame to the answer of a sled that lost a frame of it.
    repair: Mean,
    /// Retransmits per batch and sled.
    repeats: Mean<512>,
    /// The link's time for a batch to one sled, where several are served one by one.
    apart: Option<f64>,
    /// How many times longer than expected batches took in step when that was given up.
    bias: f64,
}

/// The timing of a batch that went out in step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// From its first frame to the first answer.
    pub(super) first: Duration,
    /// From there to the last answer without loss.
    pub(super) spread: Duration,
    pub(super) members: usize,
}

impl Estimates {
    /// A batch at 1 Gbit/s: 128 frames of 1,082 bytes on the wire.
    const WIRE: f64 = 1.108e-3;
    /// The mean of measured answers, and how the slowest of n grows with n: 0.08 ms for one sled,
    /// 0.8 for 32, 1.9 for 128 (`engine/src/sled/answer_times/quiet.txt`).
    const ANSWER: f64 = 0.08e-3;
    const GROWTH: f64 = 0.65;
    /// Half a batch at the first retransmit gap, 250 us.
    const REPAIR: f64 = 16e-3;
    /// How much the wire's time may rise with each batch: a pause of the server does not make the
    /// wire slower.
    const RISE: f64 = 1.02;
    /// The largest bias that is assumed: its cause may pass.
    const MOST_BIAS: f64 = 2.0;

    /// Adds the timing of a batch.
    pub(super) fn stepped(&mut self, step: &Step) {
        let wire = step.first.as_secs_f64();
        self.wire = Some(self.wire.map_or(wire, |known| wire.min(known * Self::RISE)));
        self.spread.add(step.spread.as_secs_f64() / Self::growth(step.members));
    }

    /// A sled answered `time` after its batch, of which `again` frames were retransmitted; `lost`
    /// if it had lost some.
    pub(super) fn answered(&mut self, time: Duration, repeats: u64, lost: bool) {
        self.repeats.add(repeats as f64);
        if lost {
            self.repair.add(time.as_secs_f64());
        }
    }

    /// `frames` went out in `time` to sleds that are served one by one.
    pub(super) fn sent_apart(&mut self, frames: u64, time: Duration) {
        let each = time.as_secs_f64() * SLOTS as f64 / frames.max(1) as f64;
        self.apart = Some(self.apart.map_or(each, |known| each.min(known * Self::RISE)));
    }

    /// How long one by one takes for `sleds` if only their broadcast frames are slowed down.
    pub(super) fn without_broadcast(&self, sleds: usize) -> f64 {
        sleds as f64 * self.apart.unwrap_or_else(|| self.wire().min(Self::WIRE))
    }

    /// The wire's time for a batch.
    pub(super) fn wire(&self) -> f64 {
        self.wire.unwrap_or(Self::WIRE)
    }

    /// How long a repair takes.
    pub(super) fn repair(&self) -> Duration {
        Duration::from_secs_f64(self.repair.or(Self::REPAIR))
    }

    /// The wire's time for `bytes`, whichever sled they are for.
    pub(super) fn time_of(&self, bytes: u64) -> Duration {
        let each = self.apart.unwrap_or(self.wire());
        Duration::from_secs_f64(each * bytes as f64 / BATCH as f64)
    }

    /// How long a batch is expected to take for `sleds`, each of which loses a frame of it with
    /// probability `loss`.
    pub(super) fn expected(&self, sleds: usize, loss: f64) -> Expected {
        let each = sleds as f64;
        let spread = self.spread.or(Self::ANSWER);
        let repair = self.repair.or(Self::REPAIR);
        let any = 1.0 - (1.0 - loss).powf(each);
        // Of n uniformly distributed repairs, the longest takes 2n/(n + 1) times the mean.
        let repairs = (each * loss / any.max(1e-9)).max(1.0);
        let longest = any * repair * 2.0 * repairs / (repairs + 1.0);
        let in_step = self.wire() + spread * Self::growth(sleds) + longest;
        // While one is repaired, others are served, unless it is alone.
        let again = self.wire() * (1.0 + self.repeats.or(0.0) / SLOTS as f64);
        let all = each * self.apart.unwrap_or(again);
        let alone = self.wire() + spread + loss * repair;
        Expected {
            in_step: Duration::from_secs_f64(in_step * self.bias.max(1.0)),
            one_by_one: Duration::from_secs_f64(all.max(alone)),
        }
    }

    /// Records how long batches took in step when that was given up.
    pub(super) fn gave_up(&mut self, sleds: usize, loss: f64, took: f64) {
        self.bias = 1.0;
        let ratio = took / self.expected(sleds, loss).in_step.as_secs_f64().max(1e-9);
        self.bias = ratio.min(Self::MOST_BIAS);
    }

    fn growth(sleds: usize) -> f64 {
        (sleds as f64).powf(Self::GROWTH)
    }
}

impl Expected {
    /// One by one must be faster by this factor, so that chance does not decide.
    pub(super) const MARGIN: f64 = 1.1;
    /// And in step by this one, for sleds that must be gathered first.
    const GAIN: f64 = 1.25;

    pub(super) fn speaks_for_one_by_one(&self) -> bool {
        self.in_step > self.one_by_one.mul_f64(Self::MARGIN)
    }

    pub(super) fn speaks_for_step(&self) -> bool {
        self.in_step.mul_f64(Self::GAIN) < self.one_by_one
    }

    /// The time gained in step over this many batches.
    pub(super) fn gain(&self, batches: u64) -> Duration {
        let each = self.one_by_one.saturating_sub(self.in_step);
        each.saturating_mul(u32::try_from(batches).unwrap_or(u32::MAX))
    }
}
