use super::*;

const MS: Duration = Duration::from_millis(1);
const LINK: f64 = 1e-3;

fn at(millis: f64) -> Instant {
    Instant::ZERO + Duration::from_secs_f64(millis / 1e3)
}

fn offsets() -> Vec<u64> {
    (0..128).collect()
}

/// A sled that has answered after 0.2 ms for a while, and then a batch sent at 100 ms, on a link
/// that loses a frame of a batch with this probability.
fn settled(link: f64) -> Recovery {
    let mut recovery = Recovery::new(65_536);
    for batch in 0..40 {
        let sent = at(f64::from(batch));
        recovery.batch_sent(sent, 128, false, link);
        recovery.heard(sent + MS / 5, false);
    }
    recovery.batch_sent(at(100.0), 128, false, link);
    recovery
}

fn drain(recovery: &mut Recovery, now: Instant) -> Vec<u64> {
    std::iter::from_fn(|| recovery.take(now, &offsets(), LINK)).collect()
}

#[test]
fn without_losses_a_sled_is_doubted_after_tens_of_milliseconds() {
    let mut recovery = settled(LINK);
    assert_eq!(drain(&mut recovery, at(140.0)), [0_u64; 0]);
    assert!(!drain(&mut recovery, at(155.0)).is_empty());
}

#[test]
fn on_a_lossy_link_it_is_doubted_soon() {
    let mut recovery = settled(0.2);
    // Forty answers without a loss speak for this sled, its link against it.
    assert!(recovery.due().unwrap() < at(112.0));
    for _ in 0..5 {
        recovery.heard(at(1100.0), true);
        recovery.batch_sent(at(1200.0), 128, false, 0.2);
    }
    assert!(recovery.due().unwrap() < at(1201.0));
}

#[test]
fn the_tail_goes_first_one_by_one_and_a_read_ends_it() {
    let mut recovery = settled(LINK);
    let due = recovery.due().unwrap();
    assert_eq!(recovery.take(due, &[0, 1024, 2048], LINK), Some(2048));
    assert_eq!(recovery.take(due, &[0, 1024, 2048], LINK), None);
    assert_eq!(recovery.heard(due + MS, false).tried, 1);
    assert_eq!(drain(&mut recovery, at(500.0)), [0_u64; 0]);
}

#[test]
fn an_answer_right_after_a_retransmit_was_late_and_one_in_the_middle_was_not() {
    let probability = |after: Duration, retransmits: u32| {
        let mut recovery = settled(0.05);
        let start = recovery.due().unwrap();
        let mut now = start;
        let mut sent = 0;
        while now < start + after {
            sent += u32::from(recovery.take(now, &offsets(), LINK).is_some());
            now += MS / 50;
        }
        assert_eq!(sent, retransmits);
        recovery.heard(start + after, false).lost
    };
    assert!(probability(MS / 10, 1) < 0.5);
    assert!(probability(16 * MS, 64) > 0.9);
}

#[test]
fn without_proof_a_silent_sled_gets_one_batch_again_and_no_more() {
    let mut recovery = settled(LINK);
    let sent: usize = (0..100_000)
        .map(|step| drain(&mut recovery, at(100.0 + f64::from(step) / 10.0)).len())
        .sum();
    assert_eq!(sent, 128);
    assert_eq!(recovery.due(), None);
}

#[test]
fn after_the_last_batch_the_wait_for_finished_is_no_loss() {
    let mut recovery = settled(0.9);
    recovery.batch_sent(at(100.0), 128, true, 0.9);
    assert_eq!(recovery.take(at(110.0), &[0], LINK), None);
    assert_eq!(recovery.take(at(115.0), &[0], LINK), Some(0));
}

#[test]
fn what_a_late_sled_was_sent_in_vain_it_may_drop_before_it_is_doubted_again() {
    let mut recovery = settled(0.05);
    let mut now = recovery.due().unwrap();
    for _ in 0..4 {
        recovery.take(now, &offsets(), LINK);
        now = recovery.due().unwrap();
    }
    recovery.heard(now, false);
    recovery.batch_sent(now, 128, false, 0.05);
    let rto = recovery.rto(recovery.loss.of_sled(0.05));
    assert!(recovery.due().unwrap() > now + rto + Duration::from_micros(300));
}
