//! The server on a link whose address changes while sleds boot.

mod bench;

use std::time::Duration;

use boot_format::wire::{Frame, FrameType, MacAddr};
use boot_netboot::server::{EventKind, Serve};

use self::bench::{BATCHES, Bench, SERVER, count, data, sled};

const SECOND: Duration = Duration::from_secs(1);

fn later(number: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 1, number])
}

/// A server whose address changes when sled 1 has read its first batch, and another waits for its
/// first.
fn changed() -> Bench {
    let mut bench = Bench::new(Serve::All);
    bench.hello(sled(1));
    bench.read_batch(sled(1), 0);
    bench.hello(sled(2));
    bench.server.set_address(later(1));
    bench
}

fn resets_in_a_minute(bench: &mut Bench) -> usize {
    (0..60).map(|_| count(&bench.wait(SECOND), FrameType::Reset)).sum()
}

#[test]
fn boots_under_way_go_on_at_the_former_address_and_are_answered_from_the_new_one() {
    let mut bench = changed();
    assert_eq!(bench.server.former_addresses(bench.now), [SERVER]);
    for batch in 1..BATCHES {
        let frames = bench.read_batch(sled(1), batch);
        assert_eq!(data(&frames).len(), 128);
        assert!(frames.iter().all(|frame| Frame::parse(frame).unwrap().source == later(1)));
    }
    // It had its offer and had not read yet.
    assert_eq!(data(&bench.read(sled(2), &[0])).len(), 1);
    bench.finished(sled(1));
    let finished = |bench: &mut Bench| {
        bench.events().iter().any(|event| matches!(event.kind, EventKind::Finished(_)))
    };
    assert!(finished(&mut bench));
    assert_eq!(bench.server.former_addresses(bench.now), [SERVER]);
    bench.wait(4 * SECOND);
    bench.wait(30 * SECOND);
    assert!(bench.server.former_addresses(bench.now).is_empty());
}

#[test]
fn who_was_made_no_offer_from_a_former_address_asks_somebody_else_there() {
    let mut bench = changed();
    assert!(bench.read(sled(3), &[0]).is_empty(), "it was never made an offer");
    bench.hello(sled(4));
    assert!(bench.read(sled(4), &[0]).is_empty(), "its offer came from the new address");
    assert_eq!(data(&bench.read_at(later(1), sled(4), &[0])).len(), 1);
    // Another boot, at the new address.
    bench.now += 20 * SECOND;
    bench.hello(sled(1));
    let batch: Vec<_> = (0..128).map(|block| block * 1024).collect();
    assert_eq!(data(&bench.read_at(later(1), sled(1), &batch)).len(), 128);
    assert!(bench.read(sled(1), &[1024]).is_empty());
}

#[test]
fn an_address_that_comes_back_is_the_own_one_and_few_are_kept() {
    let mut bench = changed();
    bench.server.set_address(SERVER);
    assert_eq!(data(&bench.read_batch(sled(1), 1)).len(), 128);
    assert!(bench.server.former_addresses(bench.now).is_empty(), "no offer was made from it");
    for number in 0..9 {
        bench.server.set_address(later(number));
        bench.hello(sled(10 + number));
    }
    let kept = [5, 6, 7].map(later);
    assert_eq!(bench.server.former_addresses(bench.now), [&[later(4)], &kept[..]].concat());
}

#[test]
fn a_sled_that_can_not_be_heard_any_more_starts_over() {
    let mut bench = changed();
    bench.events();
    let resets: usize = (0..4).map(|_| count(&bench.wait(SECOND), FrameType::Reset)).sum();
    assert_eq!(resets, 1, "of the two, one was in the middle of its boot");
    let kinds: Vec<_> = bench.events().into_iter().map(|event| (event.sled, event.kind)).collect();
    assert!(kinds.contains(&(sled(1), EventKind::Unheard)), "{kinds:?}");
    // Once more when its boot is given up: the first may have been lost.
    assert_eq!(resets_in_a_minute(&mut bench), 1);
    assert_eq!(resets_in_a_minute(&mut bench), 0);
    bench.hello(sled(1));
    assert_eq!(data(&bench.read_at(later(1), sled(1), &[0])).len(), 1);
}

#[test]
fn a_sled_that_is_heard_at_the_former_address_is_only_silent() {
    let mut bench = changed();
    bench.read_batch(sled(1), 1);
    assert_eq!(resets_in_a_minute(&mut bench), 0);
}
