//! The server among stations that send in others' names, or in invented ones.

mod bench;

use std::time::Duration;

use boot_format::wire::{FrameType, Head, MacAddr, SLOTS, emit_read};
use boot_netboot::batch::Batch;
use boot_netboot::server::{Config, Event, EventKind, Serve};
use boot_netboot::station::Station;

use self::bench::{BATCHES, Bench, SERVER, SIZE, contents, count, data, finished, sled};

fn invented(number: u32) -> MacAddr {
    let [a, b, c, d] = number.to_be_bytes();
    MacAddr::new([2, 0xaa, a, b, c, d])
}

fn small(max_sessions: usize) -> Bench {
    let config = Config { max_sessions, ..Config::new(SERVER, Serve::All) };
    Bench::with(config, vec![contents(SIZE, 0)])
}

fn evicted(bench: &mut Bench) -> Vec<MacAddr> {
    let evicted = |event: &Event| event.kind == EventKind::Evicted;
    bench.events().into_iter().filter(evicted).map(|event| event.sled).collect()
}

#[test]
fn when_sessions_run_out_history_goes_first_then_who_has_not_read_then_who_has_just_begun() {
    let mut bench = small(4);
    bench.read_all(sled(1));
    bench.finished(sled(1));
    bench.hello(sled(2));
    for number in [3, 4] {
        bench.hello(sled(number));
        bench.read_batch(sled(number), 0);
    }
    bench.read_batch(sled(4), 1);
    bench.wait(Duration::from_secs(2));
    evicted(&mut bench);
    bench.hello(sled(5));
    assert_eq!(evicted(&mut bench), [sled(1)], "it has booted");
    bench.hello(sled(6));
    assert_eq!(evicted(&mut bench), [sled(2)], "it has not read");
    // Sleds that have just been made an offer, and boots, keep their sessions.
    let withheld = bench.server.counters().offers_withheld;
    assert_eq!(count(&bench.hello(sled(7)), FrameType::Offer), 0);
    assert_eq!(bench.server.counters().offers_withheld, withheld + 1);
    for number in [5, 6] {
        bench.read_batch(sled(number), 0);
        bench.read_batch(sled(number), 1);
    }
    bench.wait(Duration::from_secs(2));
    bench.hello(sled(8));
    assert_eq!(evicted(&mut bench), [sled(3)], "it stopped soon after it had begun");
    assert_eq!(bench.server.sessions(), 4);
}

#[test]
fn after_a_month_of_addresses_all_of_a_rack_are_answered_at_once() {
    let mut bench = small(64);
    for number in 0..64 {
        bench.hello(invented(number));
        bench.read_batch(invented(number), 0);
        bench.wait(Duration::from_secs(30));
    }
    // All of them say HELLO before the server answers any.
    for number in 0..32 {
        let head = Head::new(MacAddr::BROADCAST, sled(number), FrameType::Hello, 2);
        bench.server.handle_frame(bench.now, &[head.as_bytes(), b"hi"].concat());
    }
    assert_eq!(count(&bench.sent(), FrameType::Offer), 32);
}

#[test]
fn finished_is_believed_only_when_all_was_sent() {
    let mut bench = Bench::new(Serve::All);
    bench.hello(sled(1));
    bench.finished(sled(1));
    for batch in 0..BATCHES {
        bench.read_batch(sled(1), batch);
        if batch + 1 < BATCHES {
            bench.finished(sled(1));
        }
    }
    assert_eq!(finished(&mut bench), 0);
    assert_eq!(bench.server.booting(bench.now), 1);
    assert_eq!(bench.server.remembered().count(), 0);
    bench.finished(sled(1));
    assert_eq!(finished(&mut bench), 1);
    assert_eq!(bench.server.remembered().count(), 1);
}

#[test]
fn a_hello_in_the_name_of_a_sled_that_reads_on_changes_nothing() {
    let (old, new) = (contents(SIZE, 0), contents(SIZE, 7));
    let mut bench = Bench::with(Config::new(SERVER, Serve::All), vec![old.clone()]);
    bench.hello(sled(1));
    bench.read_batch(sled(1), 0);
    bench.server.set_images(vec![new.clone()]);
    let mut offers = 0;
    for batch in 1..BATCHES {
        for _ in 0..10 {
            offers += count(&bench.wait(Duration::from_millis(50)), FrameType::Offer);
            offers += count(&bench.hello(sled(1)), FrameType::Offer);
        }
        let frames = bench.read_batch(sled(1), batch);
        assert_eq!(data(&frames).len(), 128);
        let start = batch * 128 * 1024;
        assert_eq!(frames[0][34..], old.held().unwrap()[start..start + 1024]);
    }
    // 3.5 s of it.
    assert!((1..=4).contains(&offers), "{offers}");
    bench.finished(sled(1));
    assert_eq!(finished(&mut bench), 1);
    assert_eq!(bench.server.remembered().next(), Some((sled(1), old.checksum())));
}

#[test]
fn a_new_image_is_for_boots_that_begin_after_its_offer() {
    let (old, new) = (contents(SIZE, 0), contents(SIZE, 7));
    let mut bench = Bench::with(Config::new(SERVER, Serve::All), vec![old.clone()]);
    bench.hello(sled(1));
    bench.read_batch(sled(1), 0);
    bench.read_batch(sled(1), 1);
    bench.wait(Duration::from_millis(1500));
    bench.server.set_images(vec![new.clone()]);
    assert_eq!(count(&bench.hello(sled(1)), FrameType::Offer), 1, "it may have lost power");
    let frames = bench.read_batch(sled(1), 2);
    assert_eq!(frames[0][34..], old.held().unwrap()[256 << 10..][..1024]);
    // It has not; and now it has.
    bench.wait(Duration::from_millis(1500));
    bench.events();
    assert_eq!(count(&bench.hello(sled(1)), FrameType::Offer), 1);
    let frames = bench.read_batch(sled(1), 0);
    assert_eq!(frames[0][34..], new.held().unwrap()[..1024]);
    let again = Event { sled: sled(1), kind: EventKind::Hello { again: true } };
    assert!(bench.events().contains(&again));
    let frames = bench.read_batch(sled(1), 1);
    assert_eq!(frames[0][34..], new.held().unwrap()[128 << 10..][..1024]);
}

#[test]
fn a_boot_does_not_begin_in_the_middle_of_an_image() {
    let mut bench = Bench::new(Serve::All);
    bench.hello(sled(1));
    let frames = bench.read_batch(sled(1), 3);
    assert_eq!((data(&frames).len(), count(&frames, FrameType::Reset)), (0, 1));
    assert_eq!(data(&bench.read_batch(sled(1), 0)).len(), 128);
}

#[test]
fn what_is_lacking_of_the_first_batch_does_not_begin_a_boot() {
    let (old, new) = (contents(SIZE, 0), contents(SIZE, 7));
    let mut bench = Bench::with(Config::new(SERVER, Serve::All), vec![old.clone()]);
    bench.hello(sled(1));
    bench.read_batch(sled(1), 0);
    bench.server.set_images(vec![new]);
    bench.wait(Duration::from_secs(1));
    bench.hello(sled(1));
    let frames = bench.read(sled(1), &[0, 5120]);
    let first = frames.iter().find(|frame| data(std::slice::from_ref(*frame)) == [(0, 1024)]);
    assert_eq!(first.expect("it is answered")[34..], old.held().unwrap()[..1024]);
}

#[test]
fn images_are_let_go_when_the_last_boot_from_them_ends() {
    let mut bench = Bench::new(Serve::All);
    let image = contents(SIZE, 9);
    let checksum = image.checksum();
    bench.server.set_images(vec![image]);
    bench.read_all(sled(1));
    bench.finished(sled(1));
    bench.hello(sled(2));
    bench.hello(sled(3));
    bench.read_batch(sled(3), 0);
    let kept = |bench: &Bench| bench.server.kept_images().any(|kept| kept == checksum);
    bench.server.set_images(vec![contents(SIZE, 0)]);
    assert!(kept(&bench));
    for _ in 0..30 {
        bench.wait(Duration::from_secs(1));
    }
    assert!(!kept(&bench));
    // One that goes on nevertheless must start over.
    let frames = bench.read_batch(sled(3), 1);
    assert_eq!((data(&frames).len(), count(&frames, FrameType::Reset)), (0, 1));
}

#[test]
fn a_sled_given_up_goes_on_while_its_image_is_in_service() {
    let mut bench = Bench::new(Serve::All);
    bench.hello(sled(1));
    bench.read_batch(sled(1), 0);
    for _ in 0..30 {
        bench.wait(Duration::from_secs(1));
    }
    for batch in 1..BATCHES {
        assert_eq!(data(&bench.read_batch(sled(1), batch)).len(), 128);
    }
    bench.events();
    bench.finished(sled(1));
    assert_eq!(finished(&mut bench), 1);
}

#[test]
fn an_offer_that_was_refused_is_followed_by_single_ones() {
    let images = vec![contents(SIZE, 0), contents(SIZE, 1)];
    let mut bench = Bench::with(Config::new(SERVER, Serve::All), images);
    let offers = [0; 3].map(|_| {
        let mut offers = count(&bench.hello(sled(1)), FrameType::Offer);
        for _ in 0..400 {
            offers += count(&bench.wait(Duration::from_millis(10)), FrameType::Offer);
        }
        offers
    });
    assert_eq!(offers, [2, 1, 1]);
    bench.read_all(sled(1));
    bench.finished(sled(1));
    bench.wait(Duration::from_mins(1));
    bench.hello(sled(1));
    assert_eq!(count(&bench.wait(Duration::from_millis(1)), FrameType::Offer), 1, "once more");
}

#[test]
fn resets_go_to_sleds_that_ask_each_second_whatever_others_invent() {
    let mut bench = Bench::new(Serve::All);
    let mut number = 0;
    let mut resets = 0;
    for _ in 0..5 {
        for _ in 0..3000 {
            bench.now += Duration::from_micros(333);
            bench.read(invented(number), &[0]);
            number += 1;
        }
        for sled in (1..=20).map(sled) {
            resets += count(&bench.read(sled, &[4096]), FrameType::Reset);
        }
    }
    // The first time, any address counts as much as theirs.
    assert!(resets >= 75, "{resets} of 100");
    assert_eq!(bench.server.sessions(), 0);
}

#[test]
fn a_flood_of_hellos_draws_fewer_bytes_than_it_sends_and_keeps_no_sled_off() {
    let mut bench = Bench::new(Serve::All);
    bench.server.remember(sled(9), contents(SIZE, 0).checksum());
    let (mut number, mut drawn, mut offered) = (0, 0, Vec::new());
    for second in 0..9 {
        if second % 4 == 0 {
            for sled in (1..=8).map(sled) {
                offered.push(count(&bench.hello(sled), FrameType::Offer));
            }
        }
        for _ in 0..45_000 {
            bench.now += Duration::from_nanos(22_222);
            drawn += bench.hello(invented(number % 100_000)).iter().map(Vec::len).sum::<usize>();
            number += 1;
        }
        assert!(bench.server.sessions() <= Config::MAX_SESSIONS);
    }
    assert!(drawn < 9 * 45_000 * 60 / 4, "{drawn} bytes");
    assert!(offered.iter().sum::<usize>() >= 20, "{offered:?}");
    assert_eq!(count(&bench.hello(sled(9)), FrameType::Offer), 1, "it has booted before");
}

#[test]
fn who_is_not_served_is_told_of_once() {
    let mut bench = Bench::new(Serve::These([sled(1)].into()));
    for _ in 0..3 {
        bench.hello(sled(2));
        bench.read(sled(2), &[0]);
    }
    assert_eq!(bench.events(), [Event { sled: sled(2), kind: EventKind::NotServed }]);
    for number in 0..5000 {
        bench.hello(invented(number));
    }
    assert_eq!(bench.events().len(), 1023);
}

#[test]
fn who_is_not_served_is_told_of_also_after_thousands_of_others() {
    let mut bench = Bench::new(Serve::These([sled(1)].into()));
    for number in 0..50_000 {
        bench.now += Duration::from_millis(1);
        bench.hello(invented(number));
    }
    let told = bench.events().len();
    assert!((1024..=1024 + 50).contains(&told), "{told} lines");
    bench.now += Duration::from_secs(1);
    for _ in 0..3 {
        bench.hello(sled(2));
        bench.wait(Duration::from_secs(4));
    }
    assert_eq!(bench.events(), [Event { sled: sled(2), kind: EventKind::NotServed }]);
}

/// Gives a READ for the batch with this number, and leaves the server no time to answer.
fn read_unanswered(bench: &mut Bench, from: MacAddr, number: u64) {
    let offsets = std::array::from_fn(|slot| (number * SLOTS as u64 + slot as u64) * 1024);
    let body = emit_read(SLOTS as u64, &offsets);
    let head = Head::new(SERVER, from, FrameType::Read, body.len());
    bench.server.handle_frame(bench.now, &[head.as_bytes(), &body].concat());
}

#[test]
fn who_asks_for_all_at_once_has_not_booted_before_all_was_sent() {
    let mut bench = small(4);
    bench.hello(sled(1));
    for number in 0..BATCHES as u64 {
        read_unanswered(&mut bench, sled(1), number);
    }
    assert!(data(&bench.sent()).len() < SIZE / 1024, "only so much is kept of what is asked for");
    bench.finished(sled(1));
    assert_eq!(finished(&mut bench), 0);
    bench.wait(Duration::from_mins(1));
    assert_eq!(finished(&mut bench), 0, "nor is it taken for granted");
}

#[test]
fn what_waits_to_be_sent_when_a_sled_is_given_up_counts_as_not_sent() {
    let mut bench = small(4);
    bench.hello(sled(1));
    for number in 0..BATCHES - 1 {
        bench.read_batch(sled(1), number);
    }
    read_unanswered(&mut bench, sled(1), BATCHES as u64 - 1);
    // The link is down so long that nothing of the last batch can be sent.
    for _ in 0..40 {
        bench.now += Duration::from_secs(1);
        bench.server.poll_transmit(bench.now, &mut Batch::with_capacity(1));
    }
    bench.read(sled(1), &[SIZE as u64]);
    bench.finished(sled(1));
    assert_eq!(finished(&mut bench), 0);
}

#[test]
fn a_finished_that_overtakes_repeats_is_believed() {
    let mut bench = small(4);
    bench.read_all(sled(1));
    // It asks again for a late frame, and receives it before the retransmit.
    read_unanswered(&mut bench, sled(1), BATCHES as u64 - 1);
    bench.finished(sled(1));
    assert_eq!(finished(&mut bench), 1);
}

#[test]
fn a_sled_whose_finished_is_lost_is_remembered_too() {
    let mut bench = small(4);
    bench.read_all(sled(1));
    for _ in 0..10 {
        bench.wait(Duration::from_secs(1));
    }
    assert_eq!(finished(&mut bench), 1);
    assert_eq!(bench.server.remembered().count(), 1);
}
