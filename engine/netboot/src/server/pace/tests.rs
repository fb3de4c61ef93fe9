use super::*;

/// A path that carries `carries` frames per second, drops the excess, and loses some batches by
/// chance.
struct Path {
    carries: f64,
    chance: f64,
    /// The longest time that an answer takes.
    answer: Duration,
    random: fastrand::Rng,
}

impl Path {
    const BATCH: u64 = 128;

    fn new(carries: f64) -> Self {
        let random = fastrand::Rng::with_seed(1);
        Self { carries, chance: 0.0, answer: Duration::from_micros(20), random }
    }

    /// Sends batches at the pacer's pace, one after another, for `time`, and returns how many
    /// frames went out.
    fn run(&mut self, pacer: &mut Pacer, now: &mut Instant, time: Duration) -> u64 {
        let end = *now + time;
        let mut sent = 0;
        while *now < end {
            let first = *now;
            for _ in 0..Self::BATCH {
                *now = (*now).max(pacer.next());
                pacer.sent(*now, 1);
                *now += Duration::from_nanos(50);
            }
            let last = *now;
            pacer.batch_sent(first);
            sent += Self::BATCH;
            let frames = Self::BATCH as f64;
            let rate = frames / now.since(first).as_secs_f64();
            let lost = (rate / self.carries - 1.0).clamp(0.0, 8.0);
            let lossy = lost > 0.01 || self.random.f64() < self.chance;
            let answer = Answer {
                first,
                last,
                passed: Self::BATCH,
                lossy,
                tried: lossy,
                alone: false,
                crowded: true,
            };
            // Losses take time to repair, and nothing arrives faster than the path carries it.
            let arrived = first + Duration::from_secs_f64(frames * (1.0 + lost) / self.carries);
            *now = (*now).max(arrived) + self.answer.mul_f64(self.random.f64());
            pacer.answered(*now, &answer);
        }
        sent
    }
}

const SECOND: Duration = Duration::from_secs(1);
const ENDLESS: f64 = 1e9;

#[test]
fn a_path_without_loss_is_open_after_a_few_batches() {
    let (mut pacer, mut now) = (Pacer::of_link(Pace::Auto), Instant::ZERO);
    Path::new(ENDLESS).run(&mut pacer, &mut now, Duration::from_millis(10));
    assert!(pacer.is_open() && pacer.allows(now));
}

#[test]
fn late_answers_slow_nothing_down() {
    let (mut pacer, mut now) = (Pacer::of_link(Pace::Auto), Instant::ZERO);
    let answer = Duration::from_millis(200);
    Path { answer, ..Path::new(ENDLESS) }.run(&mut pacer, &mut now, 20 * SECOND);
    assert!(pacer.is_open());
}

#[test]
fn the_rate_that_a_path_carries_is_found_and_kept() {
    for carries in [8_000.0, 20_000.0, 115_000.0, 900_000.0] {
        let (mut pacer, mut now) = (Pacer::of_link(Pace::Auto), Instant::ZERO);
        let mut path = Path::new(carries);
        path.run(&mut pacer, &mut now, 5 * SECOND);
        let began = now;
        let sent = path.run(&mut pacer, &mut now, 20 * SECOND);
        let rate = sent as f64 / now.since(began).as_secs_f64();
        assert!((0.85..1.03).contains(&(rate / carries)), "{carries}: {rate}");
    }
}

#[test]
fn losses_that_no_rate_avoids_cost_a_few_percent_of_the_rate() {
    for chance in [0.1, 0.5, 0.9, 1.0] {
        let (mut pacer, mut now) = (Pacer::of_link(Pace::Auto), Instant::ZERO);
        let carries = 40_000.0;
        let mut path = Path { chance, ..Path::new(carries) };
        // Nothing can be sent faster, so nothing is dropped.
        pacer.cap(0.99 * carries);
        path.run(&mut pacer, &mut now, 5 * SECOND);
        let began = now;
        let sent = path.run(&mut pacer, &mut now, 20 * SECOND);
        let rate = sent as f64 / now.since(began).as_secs_f64();
        assert!(rate > 0.9 * carries, "{chance}: {rate}");
    }
}

#[test]
fn a_limit_is_never_exceeded() {
    let (mut pacer, mut now) = (Pacer::of_link(Pace::AtMost(50_000.0)), Instant::ZERO);
    let sent = Path::new(ENDLESS).run(&mut pacer, &mut now, 2 * SECOND);
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
fn a_loss_or_two_limit_the_rate_to_a_little_more_than_is_delivered() {
    let (mut pacer, mut now) = (Pacer::of_link(Pace::Auto), Instant::ZERO);
    // The path queues the excess, so nothing is dropped: the answers show its rate.
    for lossy in [false, false, false, false, true, true] {
        let (first, last) = (now, now + Duration::from_millis(1));
        now += Duration::from_millis(2);
        pacer.batch_sent(first);
        let answer =
            Answer { first, last, passed: 128, lossy, tried: lossy, alone: false, crowded: true };
        pacer.answered(now, &answer);
    }
    assert!((pacer.rate - 1.25 * 64_000.0).abs() < 1.0, "{}", pacer.rate);
}

#[test]
fn an_answer_that_follows_retransmits_is_no_sample_of_the_delivery_rate() {
    let (mut pacer, first) = (Pacer::of_link(Pace::Auto), Instant::ZERO);
    let last = first + Duration::from_millis(1);
    let answer =
        Answer { first, last, passed: 128, lossy: false, tried: true, alone: false, crowded: true };
    // A batch that seems to have been late after retransmits, at the start.
    pacer.answered(first + Duration::from_millis(50), &answer);
    assert!(pacer.bandwidth.get() <= 0.0);
}
