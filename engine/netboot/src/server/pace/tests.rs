use boot_format::wire::MacAddr;

use super::*;
use crate::server::sled::Sled;
use crate::server::table::{Room, SledId, Table};

fn sleds(count: u8) -> Vec<SledId> {
    let mut table = Table::new(usize::from(count));
    let sled = |n| Sled::new(MacAddr::new([2, 0, 0, 0, 0, n]), Instant::ZERO);
    (0..count).map(|n| table.insert(Room::Free, sled(n)).0).collect()
}

/// A way that carries so many frames per second and, unasked, loses from each batch a share.
struct Way {
    carries: f64,
    /// Repeats for each frame that come of chance alone.
    chance: f64,
}

impl Way {
    /// Sends batches at the pacer's pace for so long, to one sled after another, and returns how
    /// many frames went out.
    fn run(&self, pacer: &mut Pacer, now: &mut Instant, sleds: &[SledId], time: Duration) -> u64 {
        const BATCH: u64 = 128;
        let end = *now + time;
        let mut sent = 0;
        for sled in sleds.iter().cycle() {
            let first = *now;
            for _ in 0..BATCH {
                *now = (*now).max(pacer.next());
                pacer.sent(*now, 1);
                *now += Duration::from_nanos(50);
            }
            sent += BATCH;
            let rate = BATCH as f64 / now.since(first).as_secs_f64();
            // Repeats are lost as often.
            let lost = (rate / self.carries - 1.0).clamp(0.0, 8.0) + self.chance;
            let answer = Answer {
                sled: *sled,
                first,
                last: *now,
                least: Duration::ZERO,
                frames: BATCH,
                arrived: true,
                repeats: (lost * BATCH as f64) as u64,
                passed: BATCH,
            };
            // What is lost takes its time to repair, and nothing arrives faster than it is carried.
            let frames = BATCH as f64 * (1.0 + lost);
            let arrived = first + Duration::from_secs_f64(frames / self.carries);
            *now = (*now).max(arrived) + Duration::from_micros(20);
            pacer.answered(*now, &answer);
            if *now >= end {
                break;
            }
        }
        sent
    }
}

const SECOND: Duration = Duration::from_secs(1);
const ENDLESS: f64 = 1e9;

#[test]
fn a_way_without_loss_is_open_after_a_few_batches() {
    let mut pacer = Pacer::of_link(Pace::Auto);
    let mut now = Instant::ZERO;
    let way = Way { carries: ENDLESS, chance: 0.0 };
    way.run(&mut pacer, &mut now, &sleds(1), Duration::from_millis(10));
    assert!(pacer.is_open() && pacer.allows(now));
}

#[test]
fn the_rate_that_a_way_carries_is_found_and_kept() {
    for carries in [20_000.0, 115_000.0, 900_000.0] {
        let mut pacer = Pacer::of_link(Pace::Auto);
        let (mut now, sleds) = (Instant::ZERO, sleds(8));
        let way = Way { carries, chance: 0.0 };
        way.run(&mut pacer, &mut now, &sleds, 5 * SECOND);
        let began = now;
        let sent = way.run(&mut pacer, &mut now, &sleds, 20 * SECOND);
        let rate = sent as f64 / now.since(began).as_secs_f64();
        assert!((0.85..1.03).contains(&(rate / carries)), "{carries}: {rate}");
    }
}

#[test]
fn losses_that_no_rate_avoids_do_not_slow_it_down() {
    let mut pacer = Pacer::of_link(Pace::Auto);
    let (mut now, sleds) = (Instant::ZERO, sleds(8));
    Way { carries: ENDLESS, chance: 0.6 }.run(&mut pacer, &mut now, &sleds, 5 * SECOND);
    assert!(pacer.is_open());
}

#[test]
fn one_sled_that_loses_much_does_not_slow_down_the_others() {
    let mut pacer = Pacer::of_link(Pace::Auto);
    let (mut now, sleds) = (Instant::ZERO, sleds(8));
    let (good, bad) = (Way { carries: ENDLESS, chance: 0.0 }, Way { carries: 1.0, chance: 1.0 });
    for _ in 0..2000 {
        good.run(&mut pacer, &mut now, &sleds[1..], Duration::from_micros(100));
        bad.run(&mut pacer, &mut now, &sleds[..1], Duration::from_nanos(1));
    }
    assert!(pacer.is_open());
}

#[test]
fn a_limit_is_never_exceeded() {
    let mut pacer = Pacer::of_link(Pace::AtMost(50_000.0));
    let mut now = Instant::ZERO;
    let way = Way { carries: ENDLESS, chance: 0.0 };
    let sent = way.run(&mut pacer, &mut now, &sleds(8), 2 * SECOND);
    let rate = sent as f64 / now.since(Instant::ZERO).as_secs_f64();
    assert!((49_000.0..50_500.0).contains(&rate), "{rate}");
}

#[test]
fn without_a_limit_nothing_is_ever_held_back() {
    let mut pacer = Pacer::of_link(Pace::Unlimited);
    for _ in 0..1000 {
        assert!(pacer.allows(Instant::ZERO));
        pacer.sent(Instant::ZERO, 128);
    }
}

#[test]
fn batches_that_nobody_answers_call_for_a_lower_rate_at_the_start() {
    let mut pacer = Pacer::of_link(Pace::Auto);
    let now = Instant::ZERO + SECOND;
    let sleds = sleds(5);
    let unanswered = |pacer: &mut Pacer, sled, first| {
        let (least, frames) = (Duration::ZERO, 128);
        let batch = Answer {
            sled,
            first,
            last: first,
            least,
            frames,
            arrived: false,
            repeats: frames,
            passed: frames,
        };
        pacer.unanswered(now, &batch);
    };
    // One sled that does not answer tells of itself.
    for _ in 0..10 {
        unanswered(&mut pacer, sleds[0], now);
    }
    // What was begun before the rate was changed tells nothing of it.
    pacer.set(now, Pacer::START);
    for &sled in &sleds {
        unanswered(&mut pacer, sled, Instant::ZERO);
    }
    for &sled in &sleds[1..] {
        assert!((pacer.rate - Pacer::START).abs() < 1.0, "{}", pacer.rate);
        unanswered(&mut pacer, sled, now);
    }
    // None of them tells that anything got through.
    assert!((pacer.rate - Pacer::FIRST).abs() < 1.0, "{}", pacer.rate);
}

#[test]
fn a_rate_far_below_the_first_that_is_tried_is_found_too() {
    let mut pacer = Pacer::of_link(Pace::Auto);
    let (mut now, sleds) = (Instant::ZERO, sleds(8));
    let way = Way { carries: 1_800.0, chance: 0.0 };
    way.run(&mut pacer, &mut now, &sleds, 20 * SECOND);
    assert!((1_200.0..2_100.0).contains(&pacer.rate), "{}", pacer.rate);
}

#[test]
fn the_rate_does_not_grow_while_far_more_than_usual_is_lost() {
    let mut pacer = Pacer::of_link(Pace::Auto);
    let (mut now, sleds) = (Instant::ZERO, sleds(8));
    Way { carries: 20_000.0, chance: 0.0 }.run(&mut pacer, &mut now, &sleds, 5 * SECOND);
    let State::Nearing(_) = pacer.state else { panic!("{:?}", pacer.state) };
    let lossy = Way { carries: 20_000.0, chance: 0.5 };
    lossy.run(&mut pacer, &mut now, &sleds[..4], Duration::from_millis(1));
    let before = pacer.rate;
    for sled in 0..3 {
        lossy.run(&mut pacer, &mut now, &sleds[sled..=sled], Duration::from_nanos(1));
        assert!(pacer.rate <= before, "{} after {before}", pacer.rate);
    }
}
