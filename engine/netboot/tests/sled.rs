//! The sled against single frames, and against what a real one did.

mod pcap;

use std::time::Duration;

use boot_format::Checksum;
use boot_format::wire::{BLOCK, Frame, FrameType, Head, MacAddr, Message, Offer, SLOTS};
use boot_image::Contents;
use boot_netboot::batch::Batch;
use boot_netboot::sled::{AnswerTimes, Event, Panic, Sled, SledConfig};
use boot_netboot::station::Station;
use boot_netboot::time::Instant;

const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 2]);
const MS: Duration = Duration::from_millis(1);

/// A sled, its clock, and what it sends.
struct Bench {
    sled: Sled,
    now: Instant,
}

/// A sled whose console costs nothing and that answers at once, so that times are exact.
fn at_ease() -> SledConfig {
    let answers = AnswerTimes::Constant(Duration::ZERO);
    SledConfig { answers, console: Duration::ZERO, ..SledConfig::new(SLED) }
}

impl Bench {
    fn new(wanted: Option<Checksum>) -> Self {
        let config = SledConfig { wanted, ..at_ease() };
        Self { sled: Sled::new(config), now: Instant::ZERO }
    }

    fn sent(&mut self) -> Vec<Vec<u8>> {
        let mut batch = Batch::with_capacity(16);
        self.sled.poll_transmit(self.now, &mut batch);
        batch.iter().map(|frame| frame.to_vec()).collect()
    }

    /// Lets time pass, waking the sled when it is due. Returns its frames with their times.
    fn wait(&mut self, time: Duration) -> Vec<(Instant, Vec<u8>)> {
        let end = self.now + time;
        let mut frames = Vec::new();
        loop {
            let now = self.now;
            frames.extend(self.sent().into_iter().map(|frame| (now, frame)));
            match self.sled.poll_timeout() {
                Some(due) if due <= end => self.now = due.max(self.now),
                _ => break,
            }
        }
        self.now = end;
        frames
    }

    fn give(&mut self, kind: FrameType, body: &[u8]) -> Vec<Vec<u8>> {
        let mut frame = [Head::new(SLED, SERVER, kind, body.len()).as_bytes(), body].concat();
        frame.resize(frame.len().max(60), 0);
        self.sled.handle_frame(self.now, &frame);
        self.sent()
    }

    fn offer(&mut self, image: &Contents) {
        self.give(FrameType::Offer, &image.offer().unwrap().emit());
    }

    fn data(&mut self, image: &Contents, offset: u64) -> Vec<Vec<u8>> {
        let bytes = image.held().unwrap().get(offset as usize..).unwrap_or(&[]);
        let bytes = &bytes[..bytes.len().min(BLOCK)];
        self.give(FrameType::Data, &[&offset.to_be_bytes(), bytes].concat())
    }

    /// Answers READs until there are none, dropping the frames that `lose` picks.
    fn answer(
        &mut self,
        image: &Contents,
        mut frames: Vec<Vec<u8>>,
        lose: impl Fn(u64) -> bool,
    ) -> usize {
        let mut reads = 0;
        while let Some(frame) = frames.pop() {
            if let Message::Read(read) = Frame::parse(&frame).unwrap().message {
                reads += 1;
                for offset in read.offsets().filter(|&offset| !lose(offset)) {
                    frames.extend(self.data(image, offset));
                }
            }
        }
        reads
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.sled.poll_event()).collect()
    }
}

fn image(size: usize) -> Contents {
    let fill =
        |bytes: &mut [u8]| bytes.iter_mut().zip(0_u32..).for_each(|(b, i)| *b = (i / 7) as u8);
    Contents::build(size, 16 << 20, "", "rpool/ROOT/ramdisk", fill).unwrap()
}

fn kind(frame: &[u8]) -> u16 {
    u16::from_be_bytes([frame[20], frame[21]])
}

fn frames(timed: Vec<(Instant, Vec<u8>)>) -> Vec<Vec<u8>> {
    timed.into_iter().map(|(_, frame)| frame).collect()
}

#[test]
fn it_sends_what_the_real_sled_sent() {
    let capture = pcap::frames(include_bytes!("fixtures/real-boot.pcap"));
    let address = Frame::parse(&capture[0].1).unwrap().source;
    let theirs: Vec<_> = capture
        .iter()
        .filter(|(_, frame)| Frame::parse(frame).unwrap().source == address)
        .cloned()
        .collect();
    let image =
        Contents::build(1 << 20, 16 << 20, "", "rpool/ROOT/ramdisk", pcap::fill_raw).unwrap();
    // The frames lost are those that the real sled had to ask for again.
    let mut lost: Vec<u64> = theirs
        .iter()
        .filter_map(|(_, frame)| match Frame::parse(frame).unwrap().message {
            Message::Read(read) if read.count() < 128 => Some(read.offsets().collect::<Vec<_>>()),
            _ => None,
        })
        .flatten()
        .collect();
    let config = SledConfig { wanted: Some(image.checksum()), ..SledConfig::new(address) };
    let mut bench = Bench { sled: Sled::new(config), now: Instant::ZERO };
    let mut ours = bench.wait(Duration::ZERO);
    bench.offer(&image);
    let mut answered = ours.len();
    while !bench.sled.is_booted() {
        ours.extend(bench.wait(MS));
        while answered < ours.len() {
            let frame = ours[answered].1.clone();
            answered += 1;
            if let Message::Read(read) = Frame::parse(&frame).unwrap().message {
                for offset in read.offsets() {
                    if let Some(index) = lost.iter().position(|&lost| lost == offset) {
                        lost.remove(index);
                    } else {
                        let sent = bench.data(&image, offset);
                        ours.extend(sent.into_iter().map(|frame| (bench.now, frame)));
                    }
                }
            }
        }
    }
    assert_eq!(ours.len(), theirs.len());
    for ((our_time, our), (their_time, their)) in ours.iter().zip(&theirs) {
        // The real machine's clock slips a few milliseconds in each second of waiting.
        let apart = our_time.since(Instant::ZERO).abs_diff(*their_time);
        assert!(apart < 60 * MS, "{apart:?} apart at {their_time:?}");
        let length = our.len().min(their.len());
        let (ours, theirs) = (&our[6..length], &their[6..length]);
        assert_eq!(ours, theirs, "at {their_time:?}");
    }
}

#[test]
fn the_first_read_and_finished_wait_for_wake_ups() {
    let image = image(1 << 20);
    let mut bench = Bench::new(Some(image.checksum()));
    bench.wait(MS);
    bench.offer(&image);
    let start = bench.now;
    let read = bench.wait(60 * MS);
    assert_eq!(read[0].0.since(start), 50 * MS);
    bench.answer(&image, frames(read), |_| false);
    let last = bench.now;
    let finished = bench.wait(Duration::from_secs(1));
    assert_eq!((finished[0].0.since(last), kind(&finished[0].1)), (100 * MS, 0x9005));
    assert_eq!(bench.events().pop(), Some(Event::Booted));
}

#[test]
fn equal_offers_wake_it() {
    let image = image(1 << 20);
    let mut bench = Bench::new(None);
    bench.wait(MS);
    bench.offer(&image);
    let offer = image.offer().unwrap().emit();
    let read = bench.give(FrameType::Offer, &offer);
    assert_eq!(kind(&read[0]), 0x9003);
    assert_eq!(bench.answer(&image, read, |_| false), 8);
    assert!(bench.give(FrameType::Offer, &offer).is_empty());
    assert_eq!(kind(&bench.give(FrameType::Offer, &offer)[0]), 0x9005);
    assert_eq!(bench.sled.report().unwanted, 0);
}

#[test]
fn it_says_hello_every_four_seconds_until_the_right_offer_comes() {
    let (right, wrong) = (image(1 << 20), image(2 << 20));
    let mut bench = Bench::new(Some(right.checksum()));
    let hellos = bench.wait(Duration::from_secs(9));
    let times: Vec<_> = hellos.iter().map(|(at, _)| at.since(Instant::ZERO)).collect();
    assert_eq!(times, [0, 4, 8].map(Duration::from_secs));
    bench.offer(&wrong);
    let offer = right.offer().unwrap();
    let mut unended = offer;
    unended.dataset = [b'x'; 128];
    let small = Offer { image_size: (1 << 20) - 1, ..offer };
    let large = Offer { image_size: 17 << 20, ..offer };
    for bad in [unended, small, large] {
        bench.give(FrameType::Offer, &bad.emit());
    }
    assert!(bench.events().is_empty());
    bench.offer(&right);
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn what_it_did_not_ask_for_costs_a_line_on_the_console() {
    let image = image(1 << 20);
    let config = SledConfig { console: Duration::from_micros(150), ..at_ease() };
    let mut bench = Bench { sled: Sled::new(config), now: Instant::ZERO };
    bench.wait(MS);
    bench.offer(&image);
    bench.wait(60 * MS);
    for _ in 0..300 {
        bench.data(&image, 512 << 10);
    }
    assert_eq!(bench.sled.report().unwanted, 1);
    bench.wait(Duration::from_micros(150) * 256);
    let report = bench.sled.report();
    assert_eq!((report.unwanted, report.overrun), (257, 43));
}

#[test]
fn what_is_lost_is_asked_for_again_after_a_second_at_its_place() {
    let image = image(1 << 20);
    let mut bench = Bench::new(None);
    bench.wait(MS);
    bench.offer(&image);
    let read = frames(bench.wait(60 * MS));
    bench.answer(&image, read, |offset| offset == 0 || offset == 7 * 1024);
    let again = frames(bench.wait(Duration::from_millis(1100)));
    let Message::Read(read) = Frame::parse(&again[0]).unwrap().message else {
        panic!("not a READ");
    };
    assert_eq!(read.count(), 2);
    assert_eq!(read.entry(7), Some(7 * 1024));
    assert_eq!(read.offsets().collect::<Vec<_>>(), [0, 7 * 1024]);
}

#[test]
fn an_image_with_a_tail_fails_its_checksum() {
    let image = image((1 << 20) + 4096);
    let mut bench = Bench::new(None);
    bench.wait(MS);
    bench.offer(&image);
    let read = frames(bench.wait(60 * MS));
    assert_eq!(bench.answer(&image, read, |_| false), 9);
    bench.wait(Duration::from_secs(1));
    assert_eq!(bench.events().pop(), Some(Event::Panicked(Panic::Checksum)));
}

#[test]
fn frames_that_make_a_real_sled_panic_make_this_one_panic() {
    let image = image(1 << 20);
    let reading = || {
        let mut bench = Bench::new(None);
        bench.wait(MS);
        bench.offer(&image);
        bench.wait(60 * MS);
        bench
    };
    let mut bench = reading();
    bench.give(FrameType::Reset, &[]);
    assert_eq!(bench.events().pop(), Some(Event::Panicked(Panic::Reset)));
    let mut bench = reading();
    // Nine bytes of body, padded to 60 by the sender's driver.
    bench.give(FrameType::Data, &[0; 9]);
    assert_eq!(bench.events().pop(), Some(Event::Panicked(Panic::DataLength)));
    let mut bench = reading();
    bench.give(FrameType::Data, &[0; 8]);
    assert_eq!(bench.events().len(), 1, "an empty one may be padded");
}

#[test]
fn an_empty_frame_for_the_mark_of_an_empty_slot_ends_the_transfer_early() {
    let image = image(1 << 20);
    let mut bench = Bench::new(None);
    bench.wait(MS);
    bench.offer(&image);
    bench.wait(60 * MS);
    bench.data(&image, 0);
    bench.give(FrameType::Data, &u64::MAX.to_be_bytes());
    for slot in 1..SLOTS as u64 {
        bench.data(&image, slot * BLOCK as u64);
    }
    bench.wait(Duration::from_secs(1));
    assert_eq!(bench.events().pop(), Some(Event::Panicked(Panic::Checksum)));
}

#[test]
fn comparing_finds_the_same_as_hashing() {
    let image = image(1 << 20);
    let boot = |spoil: bool| {
        let config = SledConfig { compare: Some(image.clone()), ..at_ease() };
        let mut bench = Bench { sled: Sled::new(config), now: Instant::ZERO };
        bench.wait(MS);
        bench.offer(&image);
        bench.wait(60 * MS);
        for batch in 0..8 {
            for slot in 0..SLOTS {
                let offset = ((batch * SLOTS + slot) * BLOCK) as u64;
                let mut body = offset.to_be_bytes().to_vec();
                body.extend(&image.held().unwrap()[offset as usize..][..BLOCK]);
                body[100] ^= u8::from(spoil && batch == 3 && slot == 9);
                bench.give(FrameType::Data, &body);
            }
        }
        bench.wait(Duration::from_secs(1));
        bench.events().pop()
    };
    assert_eq!(boot(false), Some(Event::Booted));
    assert_eq!(boot(true), Some(Event::Panicked(Panic::Checksum)));
}

#[test]
fn a_batch_is_checked_once_the_next_read_is_out() {
    let image = image(1 << 20);
    let mut bench = Bench::new(None);
    bench.wait(MS);
    bench.offer(&image);
    bench.wait(60 * MS);
    let mut sent = Vec::new();
    for slot in 0..SLOTS {
        sent = bench.data(&image, (slot * BLOCK) as u64);
    }
    assert_eq!(sent.iter().map(|frame| kind(frame)).collect::<Vec<_>>(), [FrameType::Read as u16]);
    // It has something to do at once, which sends nothing.
    assert_eq!(bench.sled.poll_timeout(), Some(Instant::ZERO));
    assert_eq!(bench.sent(), Vec::<Vec<u8>>::new());
    assert!(bench.sled.poll_timeout() > Some(bench.now));
}
