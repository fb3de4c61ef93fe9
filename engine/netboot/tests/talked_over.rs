//! Boots that continue although strangers send frames in the sled's name.

mod bench;

use std::time::Duration;

use boot_format::wire::{FrameType, SLOTS};
use boot_image::Contents;
use boot_netboot::server::{Config, Serve};

use self::bench::{BATCHES, Bench, SERVER, SIZE, are_of, contents, count, data, finished, sled};

/// A boot of the first image that has reached this batch when a stranger starts over in the sled's
/// name, with the second image if there is one.
fn talked_over(batches: usize, images: [&Contents; 2]) -> Bench {
    let mut bench = Bench::with(Config::new(SERVER, Serve::All), vec![images[0].clone()]);
    bench.hello(sled(1));
    bench.wait(Duration::from_secs(1));
    for batch in 0..batches {
        bench.read_batch(sled(1), batch);
    }
    bench.server.set_images(vec![images[1].clone()]);
    bench.hello(sled(1));
    bench.wait(Duration::from_secs(1));
    let frames = bench.read_batch(sled(1), 0);
    assert!(data(&frames).len() == SLOTS && are_of(&frames, images[1]));
    bench
}

#[test]
fn a_boot_that_is_talked_over_goes_on_from_its_own_image() {
    let (old, new) = (contents(SIZE, 0), contents(SIZE, 7));
    for image in [&old, &new] {
        for batches in 3..=BATCHES {
            let mut bench = talked_over(batches, [&old, image]);
            for batch in batches..BATCHES {
                let frames = bench.read_batch(sled(1), batch);
                assert!(data(&frames).len() == SLOTS && are_of(&frames, &old), "{batch}");
                bench.wait(Duration::from_secs(1));
                bench.hello(sled(1));
                assert!(are_of(&bench.read_batch(sled(1), 0), image));
            }
            bench.finished(sled(1));
            assert_eq!(finished(&mut bench), 1, "{batches}");
            assert_eq!(bench.server.remembered().next(), Some((sled(1), old.checksum())));
        }
    }
}

#[test]
fn a_boot_that_has_begun_anew_goes_on_although_another_speaks_for_the_one_before() {
    let (old, new) = (contents(SIZE, 0), contents(SIZE, 7));
    let mut bench = talked_over(6, [&old, &new]);
    for batch in 1..BATCHES {
        let frames = bench.read_batch(sled(1), batch);
        if count(&frames, FrameType::Reset) > 0 {
            // A READ at the other boot's position could be from either.
            assert!(batch >= 5 && data(&frames).is_empty());
            return;
        }
        assert!(data(&frames).len() == SLOTS && are_of(&frames, &new), "{batch}");
        assert!(are_of(&bench.read_batch(sled(1), 6), &old), "{batch}");
        bench.finished(sled(1));
        assert_eq!(finished(&mut bench), 0);
    }
    panic!("two boots in one place can't be told apart, and are");
}

#[test]
fn who_asks_for_what_neither_of_two_boots_can_lack_starts_over() {
    let (old, new) = (contents(SIZE, 0), contents(SIZE, 7));
    let mut bench = talked_over(3, [&old, &new]);
    let frames = bench.read_batch(sled(1), 6);
    assert_eq!((data(&frames).len(), count(&frames, FrameType::Reset)), (0, 1));
    bench.wait(Duration::from_secs(2));
    bench.hello(sled(1));
    for batch in 0..BATCHES {
        let frames = bench.read_batch(sled(1), batch);
        assert!(data(&frames).len() == SLOTS && are_of(&frames, &new), "{batch}");
    }
}

#[test]
fn a_finished_in_a_sleds_name_costs_it_no_frame_of_its_last_batch() {
    let (old, new) = (contents(SIZE, 0), contents(SIZE, 7));
    let mut bench = Bench::with(Config::new(SERVER, Serve::All), vec![old.clone()]);
    bench.read_all(sled(1));
    // Only the sled knows that the last frame has not arrived.
    bench.finished(sled(1));
    bench.server.set_images(vec![new]);
    for _ in 0..2 {
        bench.wait(Duration::from_millis(1060));
        let frames = bench.read(sled(1), &[SIZE as u64 - 1024]);
        assert_eq!(data(&frames), [(SIZE as u64 - 1024, 1024)]);
        assert!(are_of(&frames, &old));
    }
    bench.finished(sled(1));
    assert_eq!(finished(&mut bench), 1);
}
