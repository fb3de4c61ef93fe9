use std::time::Duration;

use boot_format::wire::{BLOCK, SLOTS, emit_read};

use super::*;

const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 1]);

/// Has the sled ask for these of its slots, and the server answer.
fn read(server: &mut Server, now: Instant, slots: impl Iterator<Item = usize>) {
    let mut offsets = [0; SLOTS];
    let mut count = 0;
    for slot in slots {
        offsets[slot % SLOTS] = (slot * BLOCK) as u64;
        count += 1;
    }
    let body = emit_read(count, &offsets);
    let head = Head::new(SERVER, SLED, FrameType::Read, body.len());
    server.handle_frame(now, &[head.as_bytes(), &body].concat());
    let mut batch = Batch::with_capacity(SLOTS);
    server.poll_transmit(now, &mut batch);
}

#[test]
fn a_loss_that_a_sled_proves_counts_once_for_its_link() {
    let image = Contents::build(1 << 20, 1 << 20, "", "rpool", |bytes| bytes.fill(1));
    let mut server =
        Server::new(Config { pace: Pace::Unlimited, ..Config::new(SERVER, Serve::All) });
    server.set_images(vec![image.expect("there is memory for a mebibyte")]);
    let mut now = Instant::ZERO + Duration::from_secs(1);
    let hello = Head::new(MacAddr::BROADCAST, SLED, FrameType::Hello, 0);
    server.handle_frame(now, hello.as_bytes());
    server.poll_transmit(now, &mut Batch::with_capacity(SLOTS));
    read(&mut server, now, 0..SLOTS);
    now += Duration::from_millis(1);
    read(&mut server, now, SLOTS..2 * SLOTS);
    now += Duration::from_millis(1);
    let lossless = server.loss.of_link();
    assert!(lossless <= 1e-3, "{lossless}");
    // One batch arrived whole, and of the next one frame was lost.
    read(&mut server, now, SLOTS + 5..SLOTS + 6);
    let lossy = server.loss.of_link();
    assert!((lossy - 1.0 / 3.0).abs() < 1e-3, "{lossy}");
}
