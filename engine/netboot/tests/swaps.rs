//! Images that are replaced while sleds begin to boot: a sled takes 50 ms from an OFFER to its
//! first READ, and what it reads then is what it was offered.

mod bench;

use std::time::Duration;

use boot_format::Checksum;
use boot_format::wire::{Frame, FrameType, Message, SLOTS};
use boot_image::Contents;
use boot_netboot::server::{Config, Serve};

use self::bench::{BATCHES, Bench, SERVER, SIZE, are_of, contents, count, data, finished, sled};

/// What else happens between an OFFER and the first READ.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Nothing,
    /// A stranger says HELLO in the sled's name, before or after the image is replaced.
    HelloBefore,
    HelloAfter,
    /// The first image comes back.
    Back,
}

/// The checksums that are offered in `frames`.
fn offers(frames: &[Vec<u8>]) -> Vec<Checksum> {
    let offer = |frame: &Vec<u8>| match Frame::parse(frame).unwrap().message {
        Message::Offer(offer) => Some(offer.checksum),
        _ => None,
    };
    frames.iter().filter_map(offer).collect()
}

/// A sled that is offered the first image, and asks for it 50 ms later; the second one takes its
/// place `swapped` milliseconds after the OFFER.
fn offered(images: [&Contents; 2], swapped: u64, meanwhile: Meanwhile) -> Bench {
    let mut bench = Bench::with(Config::new(SERVER, Serve::All), vec![images[0].clone()]);
    let mut frames = bench.hello(sled(1));
    assert_eq!(offers(&frames), [images[0].checksum()]);
    if matches!(meanwhile, Meanwhile::HelloBefore) {
        frames.extend(bench.hello(sled(1)));
    }
    // The server keeps running until the image is replaced.
    for _ in 0..swapped {
        frames.extend(bench.wait(Duration::from_millis(1)));
    }
    bench.server.set_images(vec![images[1].clone()]);
    if matches!(meanwhile, Meanwhile::HelloAfter) {
        frames.extend(bench.hello(sled(1)));
    }
    if matches!(meanwhile, Meanwhile::Back) {
        frames.extend(bench.sent());
        bench.server.set_images(vec![images[0].clone()]);
    }
    for _ in swapped..50 {
        frames.extend(bench.wait(Duration::from_millis(1)));
    }
    assert!(offers(&frames).iter().all(|&offer| offer == images[0].checksum()), "{meanwhile:?}");
    bench
}

#[test]
fn a_sled_reads_the_image_that_it_was_offered_whenever_that_is_replaced() {
    use Meanwhile::{Back, HelloAfter, HelloBefore, Nothing};
    let (old, new) = (contents(SIZE, 0), contents(SIZE, 7));
    for meanwhile in [Nothing, HelloBefore, HelloAfter, Back] {
        for swapped in 0..=50 {
            let mut bench = offered([&old, &new], swapped, meanwhile);
            for batch in 0..BATCHES {
                let frames = bench.read_batch(sled(1), batch);
                let right = data(&frames).len() == SLOTS && are_of(&frames, &old);
                assert!(right, "{meanwhile:?}, after {swapped} ms, batch {batch}");
                assert_eq!(count(&frames, FrameType::Reset), 0);
            }
            bench.finished(sled(1));
            assert_eq!(finished(&mut bench), 1);
            assert_eq!(bench.server.remembered().next(), Some((sled(1), old.checksum())));
        }
    }
}

#[test]
fn a_sled_whose_offer_was_for_an_image_that_is_gone_is_offered_the_next_one_at_its_next_hello() {
    let (old, new) = (contents(SIZE, 0), contents(SIZE, 7));
    let mut bench = offered([&old, &new], 25, Meanwhile::Nothing);
    // It did not want that one.
    bench.wait(Duration::from_secs(4));
    assert_eq!(offers(&bench.hello(sled(1))), [new.checksum()]);
    for batch in 0..BATCHES {
        assert!(are_of(&bench.read_batch(sled(1), batch), &new), "{batch}");
    }
}
