//! The server against single frames: what it answers, and what it must never answer.

mod bench;
mod pcap;

use std::collections::BTreeSet;
use std::time::Duration;

use boot_format::wire::{Frame, FrameType, Head, MacAddr, Message, SLOTS, emit_read};
use boot_image::Contents;
use boot_netboot::batch::Batch;
use boot_netboot::server::{Config, Event, EventKind, Pace, Serve, Server, Stage};
use boot_netboot::station::Station;
use boot_netboot::time::Instant;
use proptest::prelude::*;

use self::bench::{Bench, SERVER, SIZE, contents, count, data, sled};

#[test]
fn the_real_sleds_frames_are_answered_to_the_last_offset() {
    let frames = pcap::frames(include_bytes!("fixtures/real-boot.pcap"));
    let address = Frame::parse(&frames[0].1).unwrap().source;
    let own = Frame::parse(&frames[1].1).unwrap().source;
    let fill = |bytes: &mut [u8]| pcap::fill_raw(bytes);
    let image = Contents::build(SIZE, 16 << 20, "", "rpool/ROOT/ramdisk", fill).unwrap();
    let mut bench = Bench::with(Config::new(own, Serve::First), vec![image]);
    let mut wanted = 0;
    let mut sent = Vec::new();
    for (at, frame) in &frames {
        let parsed = Frame::parse(frame).unwrap();
        if parsed.source == address {
            bench.now = Instant::ZERO + Duration::from_secs(1) + *at;
            bench.server.handle_frame(bench.now, frame);
            if let Message::Read(read) = parsed.message {
                wanted += read.offsets().count();
            }
            sent.extend(bench.sent());
        }
    }
    assert_eq!(data(&sent).len(), wanted);
    for (_, frame) in
        frames.iter().filter(|(_, frame)| frame[18..20] == [0, 0] && frame[20] == 0x91)
    {
        assert!(sent.contains(frame), "the server did not send what the original one did");
    }
    let finished = bench.events().into_iter().any(|event| {
        event.sled == address && matches!(event.kind, EventKind::Finished(done) if !done.assumed)
    });
    assert!(finished);
}

#[test]
fn offsets_at_and_past_the_end_are_answered_as_the_sled_needs_it() {
    let mut bench = Bench::with(Config::new(SERVER, Serve::All), vec![contents(SIZE + 100, 0)]);
    bench.hello(sled(1));
    bench.read(sled(1), &[0]);
    let size = SIZE as u64 + 100;
    let top = u64::MAX - 1;
    let frames = bench.read(sled(1), &[SIZE as u64, size - 1, size, size + 1024, top, u64::MAX]);
    let expected = [(SIZE as u64, 100), (size - 1, 1), (size, 0), (size + 1024, 0), (top, 0)];
    assert_eq!(data(&frames), expected);
}

#[test]
fn how_far_each_sled_is_can_be_seen_at_any_time() {
    let mut bench = Bench::new(Serve::All);
    bench.hello(sled(1));
    let image = contents(SIZE, 0).checksum();
    let status = |bench: &Bench| bench.server.sleds().next().unwrap();
    let offered = status(&bench);
    assert_eq!((offered.sled, offered.stage), (sled(1), Stage::Offered));
    assert_eq!((offered.image, offered.size), (Some(image), 0));
    bench.read(sled(1), &[0, 1024]);
    bench.now += Duration::from_millis(5);
    bench.read(sled(1), &[0]);
    let reading = status(&bench);
    assert_eq!((reading.stage, reading.image), (Stage::Reading, Some(image)));
    assert_eq!((reading.bytes, reading.size), (2048, SIZE as u64));
    assert_eq!((reading.frames, reading.again, reading.heard), (3, 1, bench.now));
}

#[test]
fn any_settles_on_the_first_hello() {
    let mut bench = Bench::new(Serve::First);
    assert_eq!(count(&bench.hello(sled(1)), FrameType::Offer), 1);
    assert_eq!(count(&bench.hello(sled(2)), FrameType::Offer), 0);
    assert_eq!(bench.events()[0], Event { sled: sled(1), kind: EventKind::Settled });
    assert_eq!(bench.server.serves(), &Serve::These(BTreeSet::from([sled(1)])));
}

#[test]
fn a_read_without_an_offer_is_answered_by_reset_only_if_it_was_meant_for_us() {
    let mut bench = Bench::new(Serve::These(BTreeSet::from([sled(1)])));
    assert_eq!(count(&bench.read(sled(1), &[0]), FrameType::Reset), 1);
    assert_eq!(bench.read(sled(2), &[0]), [[0_u8; 0]; 0], "a sled that is not served");
    let body = emit_read(1, &[1024; SLOTS]);
    let elsewhere = bench.give(sled(1), sled(9), FrameType::Read, &body);
    assert_eq!(elsewhere, [[0_u8; 0]; 0], "another server's sled");
}

#[test]
fn resets_are_limited() {
    let mut bench = Bench::new(Serve::All);
    let resets: usize = (0..2000_u32)
        .map(|number| {
            let [_, _, a, b] = number.to_be_bytes();
            let spoofed = MacAddr::new([2, 0, 0, 1, a, b]);
            count(&bench.read(spoofed, &[0]), FrameType::Reset)
        })
        .sum();
    assert_eq!(resets, 64);
    assert_eq!(bench.server.sessions(), 0);
    assert_eq!(bench.server.counters().resets_withheld, 2000 - 64);
}

#[test]
fn sleds_take_turns() {
    let mut bench = Bench::new(Serve::All);
    let offsets: Vec<_> = (0..128_u64).map(|block| block * 1024).collect();
    for number in 1..=4 {
        bench.hello(sled(number));
    }
    for number in 1..=4 {
        let body = emit_read(128, &<[u64; SLOTS]>::try_from(offsets.clone()).unwrap());
        let head = Head::new(SERVER, sled(number), FrameType::Read, body.len());
        bench.server.handle_frame(bench.now, &[head.as_bytes(), &body].concat());
    }
    let frames = bench.sent();
    assert_eq!(data(&frames).len(), 4 * 128);
    for window in frames.windows(32) {
        let seen: BTreeSet<_> =
            window.iter().map(|f| Frame::parse(f).unwrap().destination).collect();
        assert!(seen.len() >= 3, "a sled was left out for 32 frames");
    }
}

#[test]
fn a_lost_finished_is_assumed_after_a_while() {
    let mut bench = Bench::new(Serve::All);
    bench.read_all(sled(1));
    bench.wait(Duration::from_secs(1));
    bench.wait(Duration::from_secs(3));
    assert_eq!(bench.server.booting(bench.now), 1);
    bench.wait(Duration::from_secs(3));
    let assumed = |event: &Event| matches!(event.kind, EventKind::Finished(s) if s.assumed);
    assert_eq!(bench.events().iter().filter(|event| assumed(event)).count(), 1);
    assert_eq!(bench.server.booting(bench.now), 0);
}

#[test]
fn a_sled_that_dies_is_told_of_and_given_up() {
    let mut bench = Bench::new(Serve::All);
    bench.hello(sled(1));
    bench.read(sled(1), &[0, 1024]);
    for _ in 0..40 {
        bench.wait(Duration::from_secs(1));
    }
    let kinds: Vec<_> = bench.events().into_iter().map(|event| event.kind).collect();
    let stalled = EventKind::Stalled { bytes: 2048, size: SIZE as u64 };
    let lost = EventKind::Lost { bytes: 2048, size: SIZE as u64 };
    assert!(kinds.ends_with(&[stalled, lost]), "{kinds:?}");
}

#[test]
fn without_proof_of_loss_a_silent_sled_is_sent_its_batch_twice_and_no_more() {
    let mut bench = Bench::new(Serve::All);
    bench.hello(sled(1));
    bench.read(sled(1), &[0]);
    let offsets: Vec<_> = (1..=128_u64).map(|block| block * 1024).collect();
    let mut sent = data(&bench.read(sled(1), &offsets)).len();
    for _ in 0..100_000 {
        sent += data(&bench.wait(Duration::from_micros(100))).len();
    }
    assert_eq!(sent, 2 * 128);
}

#[test]
fn a_caller_with_small_batches_is_served_after_a_loss_too() {
    let mut server =
        Server::new(Config { pace: Pace::Unlimited, ..Config::new(SERVER, Serve::All) });
    server.set_images(vec![contents(SIZE, 0)]);
    let mut now = Instant::ZERO + Duration::from_secs(1);
    let mut give = |server: &mut Server, to, kind, body: &[u8], after: Duration| {
        now += after;
        let head = Head::new(to, sled(1), kind, body.len());
        server.handle_frame(now, &[head.as_bytes(), body].concat());
        let mut batch = Batch::with_capacity(8);
        let mut sent = 0;
        while server.poll_timeout().is_some_and(|due| due <= now) {
            server.poll_transmit(now, &mut batch);
            let due = server.poll_timeout().is_some_and(|due| due <= now);
            assert!(!batch.is_empty() || !due, "it wants to be called and sends nothing");
            sent += batch.len();
            batch.clear();
        }
        sent
    };
    give(&mut server, MacAddr::BROADCAST, FrameType::Hello, b"hello", Duration::ZERO);
    // The second answer is late, so its batch is repaired; later ones are in time.
    for (batch, millis) in (0..7_u64).zip([1, 1, 400, 1, 1, 1, 1]) {
        let offsets = std::array::from_fn(|slot| (batch * 128 + slot as u64) * 1024);
        let body = emit_read(128, &offsets);
        // Time passes in small steps, as repairs need it.
        for _ in 0..millis - 1 {
            give(&mut server, SERVER, FrameType::Offer, &[], Duration::from_millis(1));
        }
        let sent = give(&mut server, SERVER, FrameType::Read, &body, Duration::from_millis(1));
        assert!(sent >= 128, "batch {batch}: {sent}");
    }
}

#[test]
fn offers_wait_while_they_are_held() {
    let mut bench = Bench::new(Serve::All);
    bench.server.hold_offers(true);
    assert_eq!(count(&bench.hello(sled(1)), FrameType::Offer), 0);
    assert_eq!(count(&bench.wait(Duration::from_secs(1)), FrameType::Offer), 0);
    bench.server.hold_offers(false);
    assert_eq!(count(&bench.sent(), FrameType::Offer), 1);
}

#[test]
fn the_next_image_is_offered_at_each_new_hello_and_the_one_taken_is_remembered() {
    let images = vec![contents(SIZE, 0), contents(SIZE, 1), contents(SIZE, 1), contents(SIZE, 2)];
    let sums: Vec<_> = [0, 1, 3].map(|index| images[index].checksum()).to_vec();
    let mut bench = Bench::with(Config::new(SERVER, Serve::All), images);
    let offered = |bench: &mut Bench, after: u64| {
        bench.wait(Duration::from_millis(1));
        bench.wait(Duration::from_secs(after));
        bench.events();
        bench.hello(sled(1));
        bench.events().into_iter().find_map(|event| match event.kind {
            EventKind::Offered { checksum, .. } => Some(checksum),
            _ => None,
        })
    };
    assert_eq!(offered(&mut bench, 4), Some(sums[0]));
    assert_eq!(offered(&mut bench, 4), Some(sums[1]));
    assert_eq!(offered(&mut bench, 2), Some(sums[1]), "the same question again");
    assert_eq!(offered(&mut bench, 4), Some(sums[2]));
    assert_eq!(offered(&mut bench, 4), Some(sums[0]));
    assert_eq!(offered(&mut bench, 4), Some(sums[1]));
    bench.read_all(sled(1));
    assert_eq!(bench.server.remembered().count(), 0, "it has not booted");
    bench.finished(sled(1));
    assert_eq!(offered(&mut bench, 60), Some(sums[1]), "what it took last time");
    assert_eq!(bench.server.remembered().collect::<Vec<_>>(), [(sled(1), sums[1])]);
}

#[test]
fn a_sled_whose_image_can_not_be_read_any_more_starts_over_and_is_told_so_once() {
    let mut bench = Bench::new(Serve::All);
    for number in [1, 2] {
        bench.hello(sled(number));
        bench.read(sled(number), &[0, 1024, 2048]);
    }
    bench.events();
    for _ in 0..3 {
        bench.server.handle_unreadable(sled(1));
    }
    bench.server.handle_unreadable(sled(3));
    let sent = bench.wait(Duration::from_millis(1));
    assert_eq!(count(&sent, FrameType::Reset), 1);
    assert_eq!(bench.events(), [Event { sled: sled(1), kind: EventKind::Unreadable }]);
    // The other one continues, and the first may come back.
    assert_eq!(data(&bench.read(sled(2), &[3072])), [(3072, 1024)]);
    assert_eq!(count(&bench.hello(sled(1)), FrameType::Offer), 1);
}

proptest! {
    #[test]
    fn no_frame_panics_or_fills_the_table(
        frames in proptest::collection::vec(
            (0_u8..4, 0_usize..7, any::<u64>(), any::<[u64; 4]>(), 0_usize..1400, 0_u64..3_000), 1..60),
    ) {
        let config = Config { max_sessions: 2, ..Config::new(SERVER, Serve::All) };
        let mut bench = Bench::with(config, vec![contents(SIZE + 77, 0)]);
        let kinds = [
            FrameType::Hello, FrameType::Offer, FrameType::Read, FrameType::Data,
            FrameType::Finished, FrameType::Reset, FrameType::Read,
        ];
        for (from, kind, number, some, length, millis) in frames {
            let mut offsets = [0; SLOTS];
            offsets[..4].copy_from_slice(&some);
            offsets[9] = SIZE as u64;
            let mut body = emit_read(number % 200, &offsets).to_vec();
            body.resize(length, 0);
            let sent = bench.give(sled(from), SERVER, kinds[kind], &body);
            for (offset, length) in data(&sent) {
                prop_assert_ne!(offset, u64::MAX);
                let left = (SIZE as u64 + 77).saturating_sub(offset);
                prop_assert_eq!(length as u64, left.min(1024));
            }
            bench.wait(Duration::from_millis(millis));
            prop_assert!(bench.server.sessions() <= 2);
        }
    }
}

#[test]
fn a_boot_that_is_disregarded_changes_nothing_for_the_next_one() {
    let images = vec![contents(SIZE, 0), contents(SIZE, 1)];
    let [first, once] = [0, 1].map(|index| images[index].checksum());
    for before in [Some(first), None] {
        let mut bench = Bench::with(Config::new(SERVER, Serve::All), images.clone());
        bench.server.assign([(sled(1), once)].into());
        bench.read_all(sled(1));
        bench.finished(sled(1));
        bench.server.assign([].into());
        bench.server.disregard_boot(sled(1), before);
        bench.events();
        bench.now += Duration::from_secs(10);
        bench.hello(sled(1));
        let offered = bench.events().into_iter().find_map(|event| match event.kind {
            EventKind::Offered { checksum, .. } => Some(checksum),
            _ => None,
        });
        assert_eq!(offered, Some(first), "{before:?}");
        let booted: Vec<_> = before.map(|image| (sled(1), image)).into_iter().collect();
        assert_eq!(bench.server.remembered().collect::<Vec<_>>(), booted);
    }
}
