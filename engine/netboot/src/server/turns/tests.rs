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
