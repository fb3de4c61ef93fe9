use super::*;

const MS: Duration = Duration::from_millis(1);

fn at(millis: f64) -> Instant {
    Instant::ZERO + Duration::from_secs_f64(millis / 1e3)
}

/// A sled that has answered after 0.2 ms for a while, and then a batch sent at 100 ms.
fn settled() -> Repair {
    let mut repair = Repair::new();
    for batch in 0..40 {
        let sent = at(f64::from(batch));
        repair.batch_sent(sent, false, false);
        repair.heard(sent + MS / 5, false);
    }
    repair.batch_sent(at(100.0), false, false);
    repair
}

fn drain(repair: &mut Repair, now: Instant, offsets: &[u64]) -> Vec<u64> {
    std::iter::from_fn(|| repair.take(now, offsets, None)).collect()
}

#[test]
fn nothing_is_sent_again_while_the_sled_may_still_answer() {
    let mut repair = settled();
    assert_eq!(drain(&mut repair, at(100.4), &[0, 1024]), [0_u64; 0]);
    assert!(!drain(&mut repair, at(101.4), &[0, 1024]).is_empty());
}

#[test]
fn the_tail_goes_first_and_a_read_ends_it() {
    let mut repair = settled();
    let due = repair.due().unwrap();
    assert_eq!(repair.take(due, &[0, 1024, 2048], None), Some(2048));
    assert_eq!(repair.take(due, &[0, 1024, 2048], None), None);
    assert_eq!(repair.heard(due + MS, false).tried, 1);
    assert_eq!(drain(&mut repair, at(500.0), &[0, 1024, 2048]), [0_u64; 0]);
}

#[test]
fn a_dead_sled_gets_a_few_rounds_and_no_more() {
    let mut repair = settled();
    let offsets: Vec<_> = (0..128).collect();
    let sent: usize = (0..100_000)
        .map(|step| drain(&mut repair, at(100.0 + f64::from(step)), &offsets).len())
        .sum();
    assert_eq!(sent, Repair::ROUNDS as usize * offsets.len());
    assert_eq!(repair.due(), None);
}

#[test]
fn after_the_last_batch_the_wait_for_finished_is_no_loss() {
    let mut repair = settled();
    repair.batch_sent(at(100.0), true, false);
    assert_eq!(repair.take(at(110.0), &[0], None), None);
    assert_eq!(repair.take(at(111.0), &[0], None), Some(0));
}

/// Sends a batch of 128 of which the `lost` one is lost, to a sled that answers 0.1 ms after
/// it has all and to which each needless frame costs so much. Returns how long it took to
/// repair.
fn repaired(repair: &mut Repair, start: Instant, lost: u64, cost: Duration) -> Duration {
    const HAD: u64 = 1000;
    let offsets: Vec<_> = (0..128).collect();
    repair.batch_sent(start, false, false);
    let (mut now, mut busy, mut answer) = (start, start, None);
    loop {
        now += Duration::from_micros(1);
        while let Some(offset) = repair.take(now, &offsets, Some(HAD)) {
            if offset == lost {
                answer = answer.or(Some(busy.max(now) + MS / 10));
            } else {
                busy = busy.max(now) + cost;
            }
        }
        if answer.is_some_and(|answer| answer <= now) {
            assert!(repair.heard(now, false).needed);
            return now.since(start);
        }
        assert!(now.since(start) < 1000 * MS, "no answer");
    }
}

#[test]
fn a_loss_is_soon_repaired_fast_where_needless_frames_cost_little() {
    let mut repair = Repair::new();
    repair.answers_within(MS / 10);
    let mut repaired = |lost| repaired(&mut repair, at(lost as f64 * 100.0), lost, MS / 500);
    assert!(repaired(60) > 8 * MS);
    // One answer may be chance, and makes it faster by a factor only.
    let second = repaired(61);
    assert!(second > 2 * MS && second < 6 * MS, "{second:?}");
    assert!(repaired(62) < 2 * MS);
}

#[test]
fn a_loss_is_repaired_slowly_where_needless_frames_cost_much() {
    let mut repair = Repair::new();
    repair.answers_within(MS / 10);
    for lost in 50..100 {
        repaired(&mut repair, at(lost as f64 * 100.0), lost, Console::ASSUMED);
        assert_eq!(repair.console.cost, Console::ASSUMED);
    }
}

#[test]
fn a_guess_that_does_not_help_is_given_up() {
    let mut repair = Repair::new();
    repair.answers_within(MS / 10);
    repaired(&mut repair, at(0.0), 60, MS / 500);
    assert!(repair.console.cost < Console::ASSUMED);
    for batch in 1..20_u32 {
        repaired(&mut repair, at(f64::from(batch) * 1000.0), 10, Console::ASSUMED);
    }
    assert_eq!(repair.console.cost, Console::ASSUMED);
}

#[test]
fn a_slow_answer_to_an_offer_is_forgotten_once_a_repeat_is_answered_fast() {
    let mut repair = Repair::new();
    repair.console.cost = MS / 500;
    repair.answers_within(12 * MS);
    repair.batch_sent(at(100.0), false, false);
    while repair.tried < Repair::FEW {
        repair.take(repair.due.unwrap(), &[0; 128], None);
    }
    assert!(repair.heard(repair.due.unwrap(), false).needed);
    assert!(repair.answers.patience(repair.console.cost) < MS);
}

#[test]
fn where_others_are_served_too_nobody_is_hasty() {
    let mut repair = Repair::new();
    repair.answers_within(MS / 10);
    repair.console.cost = MS / 500;
    let mut waits = |shared| {
        repair.batch_sent(at(100.0), false, shared);
        repair.due().unwrap().since(at(100.0))
    };
    assert!(waits(true) > 4 * waits(false));
}

#[test]
fn where_others_are_served_too_no_frames_are_spent_on_guesses() {
    let mut repair = settled();
    repair.batch_sent(at(100.0), false, true);
    let offsets: Vec<_> = (0..128).collect();
    let mut sent = (0..1_000_000_u32)
        .filter_map(|step| repair.take(at(100.0 + f64::from(step) / 1e3), &offsets, Some(1000)));
    assert!(sent.all(|offset| offset != 1000));
}

/// A batch whose answer comes `late`, though nothing of it is lost. Returns when the sled goes on,
/// and how many frames it was sent again until then.
fn answers_late(repair: &mut Repair, start: Instant, late: Duration) -> (Instant, u32) {
    let offsets: Vec<_> = (0..128).collect();
    repair.batch_sent(start, false, false);
    let answer = start + late;
    let mut now = start;
    while now < answer {
        while repair.take(now, &offsets, None).is_some() {}
        now += Duration::from_micros(1);
    }
    (answer, repair.heard(answer, false).tried)
}

#[test]
fn a_sled_that_was_late_once_is_not_kept_late_by_repeats() {
    let mut repair = settled();
    let (gone_on, repeats) = answers_late(&mut repair, at(100.0), 15 * MS);
    assert!(repeats > 50, "{repeats}");
    // It drops them all before it comes to the next batch.
    let late = repeats * Console::ASSUMED + MS / 10;
    let (gone_on, more) = answers_late(&mut repair, gone_on, late);
    assert_eq!(more, 0);
    // Then it is as fast as before, and so is the repair of what is lost.
    assert_eq!(answers_late(&mut repair, gone_on, MS / 5).1, 0);
    assert!(answers_late(&mut repair, at(1000.0), 2 * MS).1 > 0);
}

#[test]
fn when_a_guess_was_wrong_the_sled_is_given_the_time_to_drop_what_was_sent_too_fast() {
    let mut repair = settled();
    repair.console.cost = MS / 100;
    let offsets: Vec<_> = (0..128).collect();
    let first = repair.due().unwrap();
    let mut times: Vec<Instant> = Vec::new();
    let mut now = first;
    while times.len() < 129 {
        times.extend(repair.take(now, &offsets, None).map(|_| now));
        now += Duration::from_micros(1);
    }
    assert!(times[127].since(first) < 3 * MS);
    assert!(times[128].since(first) > 128 * Console::ASSUMED);
}

#[test]
fn a_sled_that_was_not_late_is_not_waited_for_any_longer() {
    let mut repair = settled();
    let (gone_on, repeats) = answers_late(&mut repair, at(100.0), 15 * MS);
    assert!(repeats > 50, "{repeats}");
    // It had dropped the repeats before, or it could not answer so soon.
    let (gone_on, _) = answers_late(&mut repair, gone_on, MS / 5);
    repair.batch_sent(gone_on, false, false);
    assert!(repair.due().unwrap().since(gone_on) < 2 * MS);
}

#[test]
fn the_time_that_a_sled_was_given_is_not_taken_for_how_long_it_needs() {
    let mut repair = settled();
    let (gone_on, _) = answers_late(&mut repair, at(100.0), 15 * MS);
    repair.batch_sent(gone_on, false, false);
    let due = repair.due().unwrap();
    assert!(due.since(gone_on) > 5 * MS);
    // The answer crosses the first repeat.
    assert!(repair.take(due, &[0; 128], None).is_some());
    assert!(!repair.heard(due + MS / 100, false).needed);
    repair.batch_sent(due + MS, false, false);
    assert!(repair.due().unwrap().since(due + MS) < 3 * MS);
}
