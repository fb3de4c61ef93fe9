//! What every path must do, and how frames spread over workers.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use boot_backends::{OpenOptions, TxPath, open_workers};
use boot_format::wire::{FrameType, Head, MacAddr};
use boot_netboot::batch::Batch;

use crate::netns::{NEAR, inside, sent_by};
use crate::{BLOCK, PATHS, SLED, SOURCE, far, frames_at, image, push, send_all, via};

#[test]
#[ignore = "needs root and network namespaces"]
fn every_path_sends_whole_frames_in_order_and_counts_as_the_link_does() {
    for tx in PATHS {
        inside(1, || {
            let mut link = via(tx);
            let mut far = far();
            let image = image(256);
            let mut batch = Batch::with_capacity(128);
            let mut taken = 0;
            for round in 0..20 {
                for block in 0..100 {
                    push(&mut batch, &image, (round * 100 + block) % 256);
                }
                let hello = Head::new(SLED, SOURCE, FrameType::Hello, 3);
                batch.push_body(hello, b"abc");
                send_all(&mut link, &mut batch, &mut taken);
                let frames = frames_at(&mut far, 101);
                for (block, frame) in frames[..100].iter().enumerate() {
                    let start = (round * 100 + block) % 256 * BLOCK;
                    assert_eq!(frame[26..34], (start as u64).to_be_bytes(), "{tx}");
                    assert!(
                        frame[34..] == image.held().unwrap()[start..start + BLOCK],
                        "{tx}: {start}"
                    );
                }
                assert_eq!(frames[100][26..], *b"abc");
            }
            assert_eq!((taken, sent_by(NEAR)), (2020, 2020), "{tx}");
            let counters = link.counters();
            assert_eq!((counters.taken, counters.dropped), (2020, 0), "{tx}");
            assert_eq!(far.counters().received, 2020);
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_frame_longer_than_the_mtu_is_dropped_and_the_others_go_out() {
    for tx in PATHS {
        inside(1, || {
            let mut link = via(tx);
            let mut far = far();
            let mut batch = Batch::with_capacity(8);
            for length in [100, 1489, 1488, 4000, 200] {
                let head = Head::new(SLED, SOURCE, FrameType::Hello, length);
                batch.push_body(head, &vec![7; length]);
            }
            let sent = link.send(&mut batch).unwrap();
            assert!(batch.is_empty());
            assert_eq!((sent.taken, sent.dropped), (3, 2), "{tx}");
            let lengths: Vec<_> = frames_at(&mut far, 3).iter().map(Vec::len).collect();
            let mut sorted = lengths.clone();
            sorted.sort_unstable();
            assert_eq!(sorted, [126, 226, 1514], "{tx}: {lengths:?}");
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn a_link_can_move_to_another_thread() {
    for tx in PATHS {
        inside(1, || {
            let mut link = via(tx);
            let image = image(1);
            for _ in 0..3 {
                thread::scope(|scope| {
                    scope.spawn(|| {
                        let mut batch = Batch::with_capacity(1);
                        push(&mut batch, &image, 0);
                        send_all(&mut link, &mut batch, &mut 0);
                    });
                });
            }
            assert_eq!(sent_by(NEAR), 3, "{tx}");
        });
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn workers_share_the_sleds_and_each_sled_meets_the_same_worker() {
    inside(1, || {
        const SLEDS: u8 = 64;
        let options = OpenOptions { tx: TxPath::Mmsg, ..OpenOptions::default() };
        let mut workers = open_workers(NEAR, options, 4).unwrap();
        let server = workers[0].address();
        let mut far = far();
        let mut worker_of = BTreeMap::new();
        for round in 0..3 {
            for step in [1, 4] {
                let mut batch = Batch::with_capacity(128);
                for sled in 0..SLEDS {
                    let source = MacAddr::new([0xa8, 0x40, 0x25, step, 0, sled * step]);
                    let to = if round == 0 { MacAddr::BROADCAST } else { server };
                    batch.push_body(Head::new(to, source, FrameType::Hello, 0), &[]);
                }
                send_all(&mut far, &mut batch, &mut 0);
                let mut frames = 0;
                let mut most = 0;
                for (index, worker) in workers.iter_mut().enumerate() {
                    let mut own = 0;
                    let mut sink = |frame: &[u8]| {
                        own += 1;
                        let source: [u8; 6] = frame[6..12].try_into().unwrap();
                        assert_eq!(*worker_of.entry(source).or_insert(index), index);
                    };
                    worker.receive(Duration::ZERO, false, &mut sink).unwrap();
                    frames += own;
                    most = most.max(own);
                }
                assert_eq!(frames, SLEDS, "each frame reaches one worker");
                assert!(most <= SLEDS / 2, "a worker has {most} of {SLEDS} sleds");
            }
        }
        // No worker receives what a worker sends.
        let mut batch = Batch::with_capacity(1);
        let head = Head::new(MacAddr::BROADCAST, server, FrameType::Hello, 0);
        batch.push_body(head, &[]);
        send_all(&mut workers[1], &mut batch, &mut 0);
        assert_eq!(frames_at(&mut far, 1).len(), 1);
        for worker in &mut workers {
            worker.receive(Duration::ZERO, false, &mut |_| panic!("an own frame")).unwrap();
        }
    });
}
