use std::time::Duration;

use super::*;

/// What a sled does, as the scheduler sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Nothing,
    /// It needs this many more turns.
    Waits(u8),
    /// It has been sent everything and has not answered.
    Owes,
    /// It is due a retransmit.
    Lacks,
}

/// Random operations, compared with a model without queues.
#[test]
fn every_sled_stands_in_one_line_and_gets_its_turns() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut turns = Turns::new(random.bool());
        let mut sleds = vec![Does::Nothing; random.usize(1..20)];
        let mut now = Instant::ZERO;
        for _ in 0..1000 {
            now += Duration::from_micros(random.u64(..20));
            let index = random.usize(..sleds.len());
            let id = SledId::new(index);
            match random.u8(..10) {
                0..3 => {
                    turns.ask(id, random.bool());
                    if !matches!(sleds[index], Does::Waits(_)) {
                        sleds[index] = Does::Waits(random.u8(1..5));
                    }
                }
                3 => {
                    turns.mend(id);
                    if !matches!(sleds[index], Does::Waits(_)) {
                        sleds[index] = Does::Lacks;
                    }
                }
                4 if random.u8(..4) == 0 => {
                    turns.leave(id);
                    sleds[index] = Does::Nothing;
                }
                5 if turns.is_stuck() || random.u8(..8) == 0 => turns.widen(),
                6 if random.u8(..20) == 0 => turns.narrow(),
                _ => {
                    let hold = random.u8(..6) == 0;
                    take_turn(&mut turns, &mut sleds, now, hold.then(|| random.u64(..50)));
                }
            }
            assert!(turns.is_consistent(), "seed {seed}: {turns:?} {sleds:?}");
        }
        drain(&mut turns, &mut sleds, now);
        let wait = |does: &Does| matches!(does, Does::Waits(_) | Does::Lacks);
        assert!(!sleds.iter().any(wait), "seed {seed}: {turns:?} {sleds:?}");
    }
}

/// Gives the next sled its turn, or holds it for this many microseconds.
fn take_turn(turns: &mut Turns, sleds: &mut [Does], now: Instant, hold: Option<u64>) -> bool {
    let Some(id) = turns.next(now) else {
        return false;
    };
    let does = &mut sleds[id.index()];
    match (&mut *does, hold) {
        (Does::Waits(_) | Does::Lacks, Some(micros)) => {
            turns.hold(id, now + Duration::from_micros(micros));
        }
        (Does::Waits(left @ 2..), None) => {
            *left -= 1;
            turns.resume(id);
        }
        (Does::Waits(_), None) => {
            *does = Does::Owes;
            turns.sent(id);
        }
        (Does::Lacks, None) => {
            *does = Does::Nothing;
            turns.sent(id);
        }
        (Does::Nothing | Does::Owes, _) => panic!("{id:?} has nothing to be sent: {turns:?}"),
    }
    true
}

/// Takes turns until no sled waits; what is in flight is answered meanwhile.
fn drain(turns: &mut Turns, sleds: &mut [Does], now: Instant) {
    let late = now + Duration::from_secs(1);
    for _ in 0..10_000 {
        if take_turn(turns, sleds, late, None) {
            continue;
        }
        let Some(index) = sleds.iter().position(|does| *does == Does::Owes) else {
            return;
        };
        turns.leave(SledId::new(index));
        sleds[index] = Does::Nothing;
    }
    panic!("turns without end: {turns:?}");
}

/// Sleds with these numbers ask.
fn ask(turns: &mut Turns, sleds: impl IntoIterator<Item = usize>, known: bool) {
    sleds.into_iter().for_each(|sled| turns.ask(SledId::new(sled), known));
}

/// Sends whole batches, each in one turn, for as long as any may be begun: to which sleds.
fn send_all(turns: &mut Turns) -> Vec<usize> {
    let send = || {
        let sled = turns.next(Instant::ZERO)?;
        turns.sent(sled);
        Some(sled.index())
    };
    std::iter::from_fn(send).collect()
}

/// With room for `window` batches.
fn with_window(window: usize) -> Turns {
    let mut turns = Turns::new(false);
    (1..window).for_each(|_| turns.widen());
    turns
}

/// Turns in which those who were not known have not answered well: `trust` is what is left.
fn wary(trust: usize) -> Turns {
    let mut turns = Turns::new(true);
    for _ in trust..Turns::MOST_NEW {
        ask(&mut turns, [0], false);
        assert_eq!(send_all(&mut turns), [0]);
        // It asks again, and is as little known as before.
        ask(&mut turns, [0], false);
        turns.leave(SledId::new(0));
    }
    assert_eq!(turns.trust, trust);
    turns
}

#[test]
fn as_many_batches_are_on_their_way_as_the_window_has_room_for() {
    let mut turns = with_window(3);
    ask(&mut turns, 0..5, true);
    assert!(!turns.is_crowded() && !turns.is_stuck());
    assert_eq!(turns.due(), Some(Instant::ZERO));
    let first = turns.next(Instant::ZERO).unwrap();
    assert!(turns.is_crowded() && !turns.is_stuck());
    turns.resume(first);
    assert_eq!(send_all(&mut turns), [1, 2, 0]);
    assert!(turns.is_crowded() && turns.is_stuck());
    assert_eq!(turns.due(), None);
    turns.widen();
    assert_eq!(send_all(&mut turns), [3]);
    turns.narrow();
    turns.leave(SledId::new(0));
    assert_eq!(send_all(&mut turns), [0; 0]);
    (1..4).for_each(|sled| turns.leave(SledId::new(sled)));
    assert_eq!(send_all(&mut turns), [4]);
    assert!(!turns.is_crowded() && !turns.is_stuck());
    assert_eq!(turns.due(), None);
}

#[test]
fn one_who_is_not_known_waits_for_room_like_everybody() {
    let mut turns = with_window(1);
    ask(&mut turns, [0, 1], false);
    assert_eq!(send_all(&mut turns), [0]);
    assert!(turns.is_crowded() && turns.is_stuck());
    assert_eq!(turns.due(), None);
    turns.widen();
    assert_eq!(turns.due(), Some(Instant::ZERO));
    assert_eq!(send_all(&mut turns), [1]);
}

#[test]
fn who_is_held_has_a_turn_when_it_is_due() {
    let mut turns = with_window(1);
    ask(&mut turns, [0], true);
    let sled = turns.next(Instant::ZERO).unwrap();
    assert!(!turns.is_holding());
    let due = Instant::ZERO + Duration::from_micros(7);
    turns.hold(sled, due);
    assert!(turns.is_holding());
    assert_eq!((turns.next(Instant::ZERO), turns.due()), (None, Some(due)));
    assert_eq!(turns.next(due), Some(sled));
    assert!(!turns.is_holding());
    turns.resume(sled);
    assert_eq!(turns.due(), Some(Instant::ZERO));
}

#[test]
fn repeats_get_every_second_turn() {
    let mut turns = with_window(8);
    let [a, b] = [10, 11].map(SledId::new);
    ask(&mut turns, 0..3, true);
    turns.mend(a);
    turns.mend(b);
    let mut order = Vec::new();
    for _ in 0..7 {
        let sled = turns.next(Instant::ZERO).unwrap();
        turns.resume(sled);
        order.push(sled.index());
    }
    assert_eq!(order, [10, 0, 11, 1, 10, 2, 11]);
    (0..3).for_each(|sled| turns.leave(SledId::new(sled)));
    assert_eq!(turns.due(), Some(Instant::ZERO));
    assert_eq!(send_all(&mut turns).len(), 2);
}

#[test]
fn eight_new_sleds_are_served_at_a_time_and_fewer_the_less_often_they_are_some() {
    for (trust, begun) in [(8, 8), (5, 5), (1, 1)] {
        let mut turns = wary(trust);
        ask(&mut turns, 1..4, true);
        assert_eq!(send_all(&mut turns), [1, 2, 3]);
        ask(&mut turns, 10..30, false);
        assert_eq!(send_all(&mut turns).len(), begun, "trust {trust}");
        assert!(!turns.is_stuck(), "the window has no end");
        assert_eq!(turns.due(), None);
    }
    // Nobody else is there: then nobody is kept waiting.
    let mut alone = wary(1);
    ask(&mut alone, 10..30, false);
    assert_eq!(send_all(&mut alone).len(), Turns::MOST_NEW);
}

#[test]
fn among_many_known_sleds_one_new_one_in_sixteen_is_served_without_trust() {
    for (known, begun) in [(31, 1), (32, 2), (64, 4), (200, 8)] {
        let mut turns = wary(1);
        ask(&mut turns, 100..100 + known, true);
        assert_eq!(send_all(&mut turns).len(), known);
        ask(&mut turns, 10..30, false);
        assert_eq!(send_all(&mut turns).len(), begun, "{known} known");
    }
}

#[test]
fn new_sleds_come_after_the_more_known_ones_the_less_they_are_trusted() {
    // The second one of those that are not trusted waits for its share of those on their way.
    for (trust, first, second) in [(8, 0, 1), (4, 8, 17), (1, 14, 33)] {
        let mut turns = wary(trust);
        turns.since_new = 0;
        ask(&mut turns, [10, 11], false);
        ask(&mut turns, 100..150, true);
        let order = send_all(&mut turns);
        let place = |new| order.iter().position(|&sled| sled == new).unwrap();
        assert_eq!((place(10), place(11)), (first, second), "trust {trust}: {order:?}");
    }
}

#[test]
fn trust_comes_back_with_answers_that_show_a_sled_and_goes_with_others() {
    let mut turns = wary(3);
    let mut answer = |known_before, known_now| {
        ask(&mut turns, [7], known_before);
        assert_eq!(send_all(&mut turns), [7]);
        ask(&mut turns, [7], known_now);
        turns.leave(SledId::new(7));
        turns.trust
    };
    assert_eq!(answer(false, true), 4);
    assert_eq!(answer(true, true), 4);
    assert_eq!(answer(true, false), 4);
    assert_eq!(answer(false, false), 3);
    assert_eq!([(); 6].map(|()| answer(false, true)), [4, 5, 6, 7, 8, 8]);
    assert_eq!([(); 8].map(|()| answer(false, false)), [7, 6, 5, 4, 3, 2, 1, 1]);
}

#[test]
fn a_first_batch_that_has_to_be_repeated_costs_trust_until_it_is_answered() {
    for (known, left) in [(false, 7), (true, 8)] {
        let mut turns = Turns::new(true);
        ask(&mut turns, [7], known);
        assert_eq!(send_all(&mut turns), [7]);
        turns.mend(SledId::new(7));
        assert_eq!((turns.trust, turns.flight), (left, 0));
        ask(&mut turns, [7], true);
        assert_eq!(turns.trust, 8);
    }
    // One that had been taken for answered already says nothing of others.
    let mut turns = wary(3);
    turns.mend(SledId::new(7));
    ask(&mut turns, [7], true);
    assert_eq!(turns.trust, 3);
}

#[test]
fn a_repeated_first_batch_gives_no_trust_back_to_an_answer_that_shows_no_sled() {
    let mut turns = wary(3);
    ask(&mut turns, [7], false);
    assert_eq!(send_all(&mut turns), [7]);
    turns.mend(SledId::new(7));
    ask(&mut turns, [7], false);
    assert_eq!(turns.trust, 2);
}

#[test]
fn new_sleds_get_no_more_than_their_trust_while_a_known_one_waits() {
    let mut turns = wary(1);
    ask(&mut turns, [100], true);
    ask(&mut turns, 10..30, false);
    assert_eq!(send_all(&mut turns), [100, 10]);
    for _ in 0..2 * Turns::KNOWN_FIRST {
        turns.leave(SledId::new(100));
        ask(&mut turns, [100], true);
        assert_eq!(send_all(&mut turns), [100]);
    }
}
