//! What trials of lower rates come to.

use super::batches::{Batches, ENDLESS, SECOND, answer, assert_rate};
use super::*;

#[test]
fn a_first_rate_that_no_batch_survives_is_left_for_one_that_they_do() {
    // At most two in four are lossy there.
    for late in [[false; 4], [true, false, false, false], [false, true, true, false]] {
        let mut batches = Batches::new(Pace::Auto, ENDLESS);
        let low = batches.send(&[true, true]);
        assert_rate(batches.send(&late[..3]), low);
        let rate = batches.send(&late[3..]);
        assert_rate(rate, 1.25 * low);
        // From there on it grows as more is delivered.
        assert!(batches.send(&[false; 30]) > 10.0 * rate);
    }
}

#[test]
fn chance_does_not_leave_all_four_batches_whole_that_speak_for_a_lower_first_rate_of_a_sled_alone()
{
    let after = |late: &[bool]| {
        let mut batches = Batches { alone: true, ..Batches::new(Pace::Auto, ENDLESS) };
        batches.send(&[true; 4]);
        batches.send(late)
    };
    assert_rate(after(&[false, false, true]), 1.25 * 60_000.0);
    assert_rate(after(&[false; 4]), 1.25 * 60_000.0 / 8.0);
    // The first batch may find a queue that is full.
    assert_rate(after(&[true, false, false, false]), 60_000.0 / 8.0);
    assert_rate(after(&[true, false, false, false, false]), 1.25 * 60_000.0 / 8.0);
    assert_rate(after(&[true, true]), 1.25 * 60_000.0);
}

#[test]
fn a_first_rate_is_restored_if_an_eighth_of_it_loses_as_much() {
    for late in [&[true; 3][..], &[false, true, true, true]] {
        let mut batches = Batches::new(Pace::Auto, ENDLESS);
        batches.send(&[true, true]);
        assert_rate(batches.send(late), 1.25 * 60_000.0);
    }
}

fn unknown(carries: f64) -> Batches {
    let mut batches = Batches::new(Pace::Auto, carries);
    batches.send(&[true; 2]);
    batches.send(&[true; 3]);
    batches
}

#[test]
fn a_rate_that_is_restored_holds_until_a_batch_shows_what_is_delivered() {
    let mut batches = unknown(20_000.0);
    assert_rate(batches.send(&[true; 20]), 1.25 * 60_000.0);
    assert_rate(batches.send(&[false]), 1.25 * 20_000.0);
}

#[test]
fn a_rate_that_was_never_shown_to_be_delivered_is_left_for_what_arrives() {
    let mut batches = unknown(1_500.0);
    assert_eq!(batches.until_trial(), Pacer::SPARED);
    assert_rate(batches.pacer.rate, 1_500.0);
    batches.send(&[false; 4]);
    assert_rate(batches.pacer.rate, 1.25 * 1_500.0);
    // If it is chance all the same, the rate is restored, and left alone for longer.
    let mut batches = unknown(1_500.0);
    batches.until_trial();
    assert_rate(batches.send(&[true; 3]), 1.25 * 60_000.0);
    assert_eq!(batches.until_trial(), 4 * Pacer::SPARED);
}

#[test]
fn a_rate_that_was_lowered_in_vain_doubles_until_it_is_where_slow_start_ended() {
    let mut batches = Batches::new(Pace::Auto, ENDLESS);
    batches.send(&[true; 2]);
    // Chance left these whole, and spoils all others.
    batches.send(&[false; 4]);
    let mut rate = batches.send(&[false]);
    assert_rate(rate, 1.25 * 1.25 * 60_000.0 / 8.0);
    while rate < 1.25 * 60_000.0 {
        batches.until_trial();
        let next = batches.send(&[true; 4]);
        assert_rate(next, (2.0 * rate).min(1.25 * 60_000.0));
        rate = next;
    }
}

#[test]
fn batches_that_are_answered_late_count_in_a_trial() {
    let mut pacer = Batches::after_losses().pacer;
    let mut now = pacer.next() + SECOND;
    while !matches!(pacer.state, State::Trial(_)) {
        let answer = answer(now, true);
        pacer.batch_sent(now);
        pacer.answered(answer.last, &answer);
        now = answer.last;
    }
    let (changed, rate) = (now, pacer.rate);
    (0..32).for_each(|_| pacer.batch_sent(changed));
    // Those of 16 sleds that lost nothing, then those of the others.
    for lossy in [[false; 16], [true; 16]].concat() {
        assert_rate(pacer.rate, rate);
        now += Duration::from_millis(1);
        pacer.answered(now, &answer(changed, lossy));
    }
    // One was answered within a millisecond.
    assert_rate(pacer.rate, 1.25 * 128_000.0);
}

#[test]
fn an_unlimited_path_that_was_never_measured_is_tried_far_above_any_link() {
    let mut pacer = Pacer::of_link(Pace::Auto);
    pacer.state = State::Open;
    pacer.rate = f64::INFINITY;
    for _ in 0..2 {
        pacer.batch_sent(pacer.changed);
        pacer.answered(pacer.changed + SECOND, &answer(pacer.changed, true));
    }
    assert_rate(pacer.rate, Pacer::LIMIT / 8.0);
}

#[test]
fn losses_in_half_of_the_batches_call_for_no_lower_rate() {
    let mut batches = Batches::after_losses();
    for _ in 0..50 {
        batches.send(&[true, true, false, false]);
        assert_rate(batches.pacer.rate, 1.25 * 64_000.0);
    }
    assert_eq!(batches.until_trial(), 6);
    assert_rate(batches.pacer.rate, 0.7 * 64_000.0);
}

#[test]
fn cubic_follows_where_a_lower_rate_loses_less() {
    // A queue that is full at first spoils three batches.
    for late in [0, 3] {
        let mut batches = Batches::after_losses();
        batches.until_trial();
        batches.send(&vec![true; late]);
        assert_rate(batches.send(&vec![false; 7 - late]), 0.7 * 64_000.0);
        assert_rate(batches.send(&[false]), 0.93 * 64_000.0);
        let begun = batches.now;
        while batches.now < begun + SECOND {
            assert!(batches.send(&[false]) < 1.001 * 64_000.0);
        }
        assert_rate(batches.pacer.rate, 64_000.0);
        while batches.now < begun + 3 * SECOND {
            batches.send(&[false]);
        }
        assert!(batches.pacer.rate > 1.2 * 64_000.0);
    }
}

#[test]
fn a_rate_that_cubic_finds_too_high_again_is_tried_later() {
    let mut batches = Batches::after_losses();
    batches.until_trial();
    batches.send(&[false; 8]);
    batches.send(&[false; 100]);
    batches.until_trial();
    batches.send(&[false; 8]);
    let (begun, low) = (batches.now, batches.pacer.rate);
    while batches.now < begun + SECOND {
        batches.send(&[false]);
    }
    assert!(batches.pacer.rate < low / 0.93, "{} {low}", batches.pacer.rate);
}

#[test]
fn after_a_vain_trial_no_more_is_sent_than_a_little_over_what_is_delivered() {
    let mut batches = Batches::after_losses();
    batches.until_trial();
    // CUBIC has reached that much, and is suspected.
    assert_rate(batches.send(&[false; 2000]), 1.25 * 64_000.0);
    batches.until_trial();
    assert_rate(batches.send(&[true; 8]), 1.25 * 64_000.0);
}

#[test]
fn trials_that_change_nothing_become_rare() {
    let mut batches = Batches::after_losses();
    batches.until_trial();
    for spared in [64, 256, 1024] {
        // Four lossy batches of eight are too many.
        batches.send(&[false, true, false, true, false, true, false, true]);
        assert_rate(batches.pacer.rate, 1.25 * 64_000.0);
        assert_eq!(batches.until_trial(), spared);
    }
}
