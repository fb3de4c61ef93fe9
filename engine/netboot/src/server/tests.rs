use std::collections::BTreeSet;
use std::time::Duration;

use boot_format::wire::{BLOCK, SLOTS, emit_read};

use super::*;

const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 1]);

/// An image of eight batches.
fn image(fill: u8) -> Contents {
    let image = Contents::build(1 << 20, 1 << 20, "", "rpool", |bytes| bytes.fill(fill));
    image.expect("there is memory for a mebibyte")
}

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
    let mut server =
        Server::new(Config { pace: Pace::Unlimited, ..Config::new(SERVER, Serve::All) });
    server.set_images(vec![image(1)]);
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

/// Whatever happens, in any order, every sled gets attention when it is due.
#[test]
fn every_sled_that_has_changed_is_planned_anew() {
    let images = [image(1), image(2)];
    for seed in 0..50 {
        let mut random = fastrand::Rng::with_seed(seed);
        let config = Config { max_sessions: 4, ..Config::new(SERVER, Serve::All) };
        let together = random.bool().then(Together::default);
        let mut server = Server::new(Config { together, ..config });
        let mut now = Instant::ZERO + Duration::from_secs(1);
        let mut own = SERVER;
        for _ in 0..1000 {
            now += Duration::from_micros(1 << random.u32(0..22));
            happen(&mut server, &mut random, now, &mut own, &images);
            server.poll_transmit(now, &mut Batch::with_capacity(random.usize(1..SLOTS)));
            for (id, sled) in server.sleds.iter() {
                let (noted, due) = (server.agenda.noted(id), sled.due(server.withholds(id)));
                // Attention that comes early costs little.
                let in_time = due.is_none_or(|due| noted.is_some_and(|noted| noted <= due));
                let in_line = noted.is_none() && sled.recovery.due().is_some_and(|due| due <= now);
                assert!(in_time || in_line, "seed {seed}: {noted:?} is not {due:?}: {sled:?}");
            }
        }
    }
}

/// One of all things that happen to a server.
fn happen(
    server: &mut Server,
    random: &mut fastrand::Rng,
    now: Instant,
    own: &mut MacAddr,
    images: &[Contents],
) {
    let sled = SLED.nth_after(random.u16(..6));
    let frame =
        |kind, to, body: &[u8]| [Head::new(to, sled, kind, body.len()).as_bytes(), body].concat();
    match random.u8(..20) {
        0..4 => server.handle_frame(now, &frame(FrameType::Hello, MacAddr::BROADCAST, &[])),
        4..12 => {
            let known = server.sleds.find(sled).map_or(0, |id| server.sleds.get(id).frontier);
            let first = if random.u8(..8) == 0 { 0 } else { known };
            let mut offsets = [0; SLOTS];
            for (offset, slot) in offsets.iter_mut().zip(0..) {
                *offset = first + slot * BLOCK as u64;
            }
            let count = if random.bool() { SLOTS as u64 } else { random.u64(1..SLOTS as u64) };
            server.handle_frame(now, &frame(FrameType::Read, *own, &emit_read(count, &offsets)));
        }
        12 => server.handle_frame(now, &frame(FrameType::Finished, *own, &[])),
        13 => server.hold_offers(random.bool()),
        14 => server.set_images(images[random.usize(..2)..].to_vec()),
        15 => {
            *own = SERVER.nth_after(random.u16(..4));
            server.set_address(*own);
        }
        16 => server.handle_unreadable(sled),
        17 => server.disregard_boot(sled, None),
        18 if random.u8(..8) == 0 => {
            server.set_serve(Serve::These(BTreeSet::from([sled])));
            server.set_serve(Serve::All);
        }
        _ => {}
    }
}
