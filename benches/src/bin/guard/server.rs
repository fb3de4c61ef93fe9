//! What the server does for a frame, in and out, and for hostile stations.

use std::time::Duration;

use boot_benches::served::{Call, ServedSleds, hello};
use boot_format::wire::{BLOCK, FrameType, Head, SLOTS, emit_read};
use boot_netboot::server::{Config, Serve};

use crate::{Work, measure};

pub(crate) const WORKS: &[(&str, Work)] = &[
    // A frame that the server sends, all told: its share of the READ that asks for it, the
    // scheduler, the counting, and the descriptor that a link is handed.
    ("server-frame-1-sled", || frames(ServedSleds::new(1))),
    ("server-frame-8-sleds", || frames(ServedSleds::new(8))),
    ("server-frame-64-sleds", || frames(ServedSleds::new(64))),
    ("server-frame-512-sleds", || frames(ServedSleds::new(512))),
    ("handle-read-1-sled", || reads(1, 0)),
    ("handle-read-8-sleds", || reads(8, 0)),
    ("handle-read-64-sleds", || reads(64, 0)),
    ("handle-read-512-sleds", || reads(512, 0)),
    ("transmit-1-sled", || transmit(1)),
    ("transmit-8-sleds", || transmit(8)),
    ("transmit-64-sleds", || transmit(64)),
    ("transmit-512-sleds", || transmit(512)),
    // A batch goes to a group once, however many read it.
    ("group-frame-64-sleds", || frames(ServedSleds::together(64))),
    // READs that name lost frames: what recovery and pacing learn from.
    ("handle-lossy-read-64-sleds", || reads(64, 3)),
    // What is sent meanwhile, again and paced.
    ("transmit-lossy-64-sleds", transmit_lossy),
    ("retransmit-64-sleds", retransmit),
    ("hello-64-sleds", hellos_of_sleds),
    ("finish-and-hello-64-sleds", boots),
    ("stranger-hello-full-table", strangers_hello),
    ("stranger-read-full-table", strangers_read),
];

/// Frames that are measured, whatever the number of sleds: a batch for each of the most.
const FRAMES: u64 = 512 * SLOTS as u64;

/// A rack whose server has found how fast the link is.
fn warm(mut rack: ServedSleds) -> ServedSleds {
    rack.serve(2 * FRAMES);
    rack
}

fn frames(rack: ServedSleds) -> u64 {
    warm(rack).serve_through(FRAMES, |_, call| measure(call));
    FRAMES
}

fn reads(sleds: u16, lacking: usize) -> u64 {
    let mut rack = warm(ServedSleds::new(sleds));
    rack.lacking = lacking;
    rack.serve_through(FRAMES, only(Call::Handle))
}

fn transmit(sleds: u16) -> u64 {
    warm(ServedSleds::new(sleds)).serve_through(FRAMES, only(Call::Transmit));
    FRAMES
}

/// Each sled lacks frames of every batch, and the server slows down.
fn transmit_lossy() -> u64 {
    let mut rack = warm(ServedSleds::new(64));
    rack.lacking = 3;
    rack.serve_through(FRAMES, only(Call::Transmit));
    FRAMES
}

/// Measures calls of one kind.
fn only(wanted: Call) -> impl FnMut(Call, &mut dyn FnMut()) {
    move |call, work| if call == wanted { measure(work) } else { work() }
}

/// All sleds fall silent: each time that the server looks after them.
fn retransmit() -> u64 {
    /// Fewer than it takes to send every sled its batch again, after which its budget is spent.
    const TIMES: u64 = 800;
    let mut rack = warm(ServedSleds::new(64));
    let mut sent = 0;
    measure(|| {
        for _ in 0..TIMES {
            sent += rack.wait();
        }
    });
    assert!(sent > 64, "nothing was retransmitted");
    TIMES
}

/// Each sled asks for an OFFER again, and gets it.
fn hellos_of_sleds() -> u64 {
    const ROUNDS: u64 = 64;
    let mut rack = ServedSleds::new(64);
    let hellos: Vec<_> = (0..64).map(|sled| hello(ServedSleds::address(1, sled))).collect();
    let mut offers = 0;
    for _ in 0..ROUNDS {
        // As often as a sled says HELLO.
        rack.pass(Duration::from_secs(4));
        measure(|| {
            for hello in &hellos {
                rack.hear(hello);
            }
            offers += rack.transmit();
        });
    }
    assert_eq!(offers as u64, ROUNDS * 64, "each HELLO is answered");
    ROUNDS * 64
}

/// Each sled has booted, and starts over.
fn boots() -> u64 {
    const ROUNDS: u64 = 32;
    let mut rack = ServedSleds::new(64);
    let frames: Vec<_> = (0..64)
        .map(|sled| {
            let address = ServedSleds::address(1, sled);
            let finished = Head::new(ServedSleds::SERVER, address, FrameType::Finished, 0);
            [finished.as_bytes().to_vec(), hello(address)]
        })
        .collect();
    for _ in 0..ROUNDS {
        rack.pass(Duration::from_mins(1));
        measure(|| {
            for frame in frames.iter().flatten() {
                rack.hear(frame);
            }
            rack.transmit();
        });
    }
    ROUNDS * 64
}

/// A rack whose table is full of sleds that are being served.
fn full() -> ServedSleds {
    let config = Config::new(ServedSleds::SERVER, Serve::All);
    warm(ServedSleds::with(64, Config { max_sessions: 64, ..config }))
}

/// Stations of ever new addresses say HELLO.
fn strangers_hello() -> u64 {
    strangers(|number| hello(ServedSleds::address(2, number)))
}

/// Stations with ever new addresses ask for images that they were not offered.
fn strangers_read() -> u64 {
    let offsets = std::array::from_fn(|slot| (slot * BLOCK) as u64);
    let body = emit_read(SLOTS as u64, &offsets);
    strangers(|number| {
        let address = ServedSleds::address(2, number);
        let head = Head::new(ServedSleds::SERVER, address, FrameType::Read, body.len());
        [head.as_bytes(), &body].concat()
    })
}

fn strangers(frame: impl Fn(u16) -> Vec<u8>) -> u64 {
    const STATIONS: u16 = 8192;
    let mut rack = full();
    let frames: Vec<_> = (0..STATIONS).map(frame).collect();
    for frames in frames.chunks(256) {
        rack.serve(64 * SLOTS as u64);
        measure(|| {
            for frame in frames {
                rack.hear(frame);
            }
            rack.transmit();
        });
    }
    STATIONS.into()
}
