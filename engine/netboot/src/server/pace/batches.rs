//! What batches that arrive whole, or lose frames, do to the rate.

use super::*;

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const ENDLESS: f64 = 1e9;

/// Batches that are sent at the pace, one after another, over a path that queues what it can't carry,
/// and are answered as soon as they are through.
pub(super) struct Batches {
    pub(super) pacer: Pacer,
    pub(super) now: Instant,
    pub(super) carries: f64,
    pub(super) alone: bool,
}

impl Batches {
    pub(super) fn new(pace: Pace, carries: f64) -> Self {
        Self { pacer: Pacer::of_link(pace), now: Instant::ZERO, carries, alone: false }
    }

    /// Sends a batch for each of these; one that is true loses a frame. Returns the rate after them.
    pub(super) fn send(&mut self, losses: &[bool]) -> f64 {
        for &lossy in losses {
            let first = self.now;
            let last = first + Duration::from_secs_f64(128.0 / self.pacer.rate);
            self.now = last.max(first + Duration::from_secs_f64(128.0 / self.carries));
            let answer = Answer {
                first,
                last,
                passed: 128,
                lossy,
                tried: lossy,
                alone: self.alone,
                crowded: !self.alone,
            };
            self.pacer.batch_sent(first);
            self.pacer.answered(self.now, &answer);
        }
        self.pacer.rate
    }

    /// Loses frames in each batch until a lower rate is tried, and returns how many batches that takes.
    pub(super) fn until_trial(&mut self) -> u32 {
        let mut batches = 0;
        while !matches!(self.pacer.state, State::Trial(_)) {
            self.send(&[true]);
            batches += 1;
            assert!(batches < 10_000, "no lower rate is tried");
        }
        batches
    }

    /// As after losses on a path that carries 64,000 frames per second.
    pub(super) fn after_losses() -> Self {
        let mut batches = Self::new(Pace::Auto, 64_000.0);
        batches.send(&[false, false, true, true]);
        batches
    }
}

pub(super) fn assert_rate(rate: f64, expected: f64) {
    assert!((rate / expected - 1.0).abs() < 1e-3, "{rate}, expected {expected}");
}

#[test]
fn frames_wait_until_the_limit_allows_them() {
    let mut pacer = Pacer::of_link(Pace::AtMost(10_000.0));
    let now = Instant::ZERO + SECOND;
    let burst = (0..100).take_while(|_| {
        let allowed = pacer.allows(now);
        pacer.sent(now, 1);
        allowed
    });
    assert_eq!(burst.count(), 9);
    assert!(!pacer.allows(now) && !pacer.allows(pacer.next() - Duration::from_nanos(1)));
    assert!(pacer.allows(pacer.next()));
}

#[test]
fn not_even_by_rounding_is_a_limit_exceeded() {
    let mut batches = Batches::new(Pace::AtMost(4e6), ENDLESS);
    assert_rate(batches.send(&[false; 8]), 4e6);
    let Batches { mut pacer, now: begun, .. } = batches;
    let mut now = begun;
    for _ in 0..1_000_000 {
        pacer.sent(now, 1);
        now = pacer.next();
    }
    // But for the burst.
    assert!(now.since(begun) >= Duration::from_micros(249_900), "{now:?}");
}

#[test]
fn a_late_caller_makes_up_for_what_it_missed_and_an_idle_one_missed_nothing() {
    let burst = |idle: bool| {
        let mut pacer = Pacer::of_link(Pace::AtMost(50_000.0));
        pacer.sent(Instant::ZERO, 1);
        if idle {
            pacer.rest();
        }
        let now = Instant::ZERO + SECOND;
        let burst = (0..100).take_while(|_| {
            let allowed = pacer.allows(now);
            pacer.sent(now, 1);
            allowed
        });
        burst.count()
    };
    // Of 200 us, and of eight frames, besides the frame that is due.
    assert_eq!(burst(false), 11);
    assert_eq!(burst(true), 9);
}

#[test]
fn the_rate_doubles_with_each_batch_that_arrives_whole_until_there_is_no_limit() {
    let mut batches = Batches::new(Pace::Auto, ENDLESS);
    for doubled in [2.0, 4.0, 8.0] {
        assert_rate(batches.send(&[false]), doubled * 60_000.0);
    }
    // A loss limits nothing, but is no reason to go faster.
    assert_rate(batches.send(&[true]), 8.0 * 60_000.0);
    batches.send(&[false; 3]);
    assert!(!batches.pacer.is_open());
    assert!(batches.send(&[false]).is_infinite());
    assert!(batches.pacer.is_open());
}

#[test]
fn a_limit_ends_slow_start() {
    let mut batches = Batches::new(Pace::AtMost(150_000.0), ENDLESS);
    assert_rate(batches.send(&[false]), 120_000.0);
    assert!(!batches.pacer.is_open());
    assert_rate(batches.send(&[false]), 150_000.0);
    assert!(batches.pacer.is_open());
    assert_rate(Batches::new(Pace::AtMost(30_000.0), ENDLESS).pacer.rate, 30_000.0);
}

#[test]
fn one_loss_in_eight_batches_limits_nothing() {
    let mut batches = Batches::new(Pace::Auto, ENDLESS);
    batches.send(&[false; 7]);
    for _ in 0..10 {
        let mut losses = [false; 8];
        losses[0] = true;
        assert!(batches.send(&losses).is_infinite());
    }
}

#[test]
fn chance_may_spoil_three_of_the_first_batches_of_a_sled_alone_and_one_of_a_rack() {
    let after = |alone, lossy: usize| {
        let mut batches = Batches { alone, ..Batches::new(Pace::Auto, 60_000.0) };
        batches.send(&vec![true; lossy])
    };
    for (alone, spared) in [(true, 3), (false, 1)] {
        assert_rate(after(alone, spared), 60_000.0);
        assert_rate(after(alone, spared + 1), 60_000.0 / 8.0);
    }
}

#[test]
fn two_losses_limit_a_sled_alone_once_its_rate_was_measured() {
    let mut batches = Batches { alone: true, ..Batches::new(Pace::Auto, 64_000.0) };
    assert_rate(batches.send(&[false, false, true, true]), 1.25 * 64_000.0);
}

/// A path of which nothing is known but that an eighth of the first rate loses as much.
#[test]
fn what_was_sent_slowly_for_other_reasons_does_not_show_what_a_path_carries() {
    let slow = |pacer: &mut Pacer, lossy| {
        let first = pacer.changed + SECOND;
        let last = first + Duration::from_millis(40);
        pacer.batch_sent(first);
        pacer.answered(last, &Answer { last, alone: true, ..answer(first, lossy) });
    };
    let mut pacer = Pacer::of_link(Pace::Auto);
    slow(&mut pacer, false);
    assert!(pacer.bandwidth.get() <= 0.0);
    let mut pacer = Batches::after_losses().pacer;
    slow(&mut pacer, false);
    assert_rate(pacer.bandwidth.get(), 64_000.0);
}

/// The answer to a batch of a sled among others that went out in a millisecond.
pub(super) fn answer(first: Instant, lossy: bool) -> Answer {
    let last = first + Duration::from_millis(1);
    Answer { first, last, passed: 128, lossy, tried: lossy, alone: false, crowded: true }
}

#[test]
fn batches_that_began_at_another_rate_say_nothing_about_this_one() {
    let mut batches = Batches::after_losses();
    let changed = batches.pacer.changed;
    let early = Answer {
        first: changed - Duration::from_nanos(1),
        last: changed,
        passed: 128,
        lossy: true,
        tried: true,
        alone: false,
        crowded: true,
    };
    (0..100).for_each(|_| batches.pacer.answered(batches.now, &early));
    assert_rate(batches.pacer.rate, 1.25 * 64_000.0);
    // Those that began with it do: see the other tests.
    assert_eq!(batches.pacer.changed, batches.now);
}

#[test]
fn a_link_whose_rate_is_not_wanted_does_not_hold_back_its_sleds_either() {
    let link = Pacer::of_link(Pace::Unlimited);
    assert!(!link.learns() && link.is_open() && !link.of_sled().learns());
    assert!(link.of_sled().rate.is_infinite());
    let link = Pacer::of_link(Pace::Auto);
    assert!(link.learns() && !link.is_open() && link.of_sled().learns());
}

#[test]
fn a_cap_holds_at_once_and_is_lifted_at_once() {
    let mut batches = Batches::new(Pace::Auto, ENDLESS);
    batches.pacer.cap(1_000.0);
    assert_rate(batches.pacer.rate, 1_000.0);
    let mut open = Batches::new(Pace::Auto, ENDLESS);
    open.send(&[false; 7]);
    open.pacer.cap(1_000.0);
    assert_rate(open.pacer.rate, 1_000.0);
    open.pacer.cap(f64::INFINITY);
    assert!(open.pacer.rate.is_infinite());
}
