//! Fixed pieces of work, whose instructions `scripts/bench-guard` counts.
//!
//! `guard` lists their names; `guard NAME` does one and prints how many units it was. Only what
//! happens inside [`measured`] is counted, so that preparations cost nothing.

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Duration;

#[cfg(target_os = "linux")]
use boot_backends::TxPath;
use boot_benches::rack::Rack;

#[cfg(target_os = "linux")]
#[path = "../../../backends/tests/netns/mod.rs"]
mod netns;

/// One piece of work, which returns how many units it did.
type Work = fn() -> u64;

/// What is guarded.
const WORKS: &[(&str, Work)] = &[
    // A frame that the server sends, all told: its share of the READ that asks for it, the
    // turns, the counting, and the descriptor that a link is handed.
    ("server-frame-1-sled", || serve(1)),
    ("server-frame-8-sleds", || serve(8)),
    ("server-frame-64-sleds", || serve(64)),
    // A frame on its way from descriptor to system call, on our side of it.
    #[cfg(target_os = "linux")]
    ("mmsg-frame", || link::send(TxPath::Mmsg)),
    #[cfg(target_os = "linux")]
    ("uring-frame", || link::send(TxPath::Uring)),
    #[cfg(target_os = "linux")]
    ("xdp-frame", || link::send(TxPath::Xdp)),
];

fn main() -> ExitCode {
    let Some(name) = std::env::args().nth(1) else {
        for (name, _) in WORKS {
            println!("{name}");
        }
        return ExitCode::SUCCESS;
    };
    match WORKS.iter().find(|work| work.0 == name) {
        Some((_, work)) => {
            println!("{}", work());
            ExitCode::SUCCESS
        }
        None => {
            eprintln!("guard: there is no work {name:?}");
            ExitCode::FAILURE
        }
    }
}

fn serve(sleds: u8) -> u64 {
    /// Frames in all, whatever the number of sleds.
    const FRAMES: u64 = 64 * 128 * 8;
    let mut rack = Rack::new(sleds);
    let rounds = FRAMES / rack.frames_per_round();
    measured(&mut || {
        for _ in 0..rounds {
            black_box(rack.round(Duration::from_micros(200)));
        }
    });
    rounds * rack.frames_per_round()
}

#[cfg(target_os = "linux")]
mod link {
    use boot_backends::{OpenOptions, TxPath, open};
    use boot_format::wire::{BLOCK, Head, MacAddr, SLOTS};
    use boot_image::Contents;
    use boot_netboot::batch::Batch;

    use crate::measured;
    use crate::netns::{NEAR, inside};

    /// Sends batches on a link in a namespace of its own, which takes root.
    pub(crate) fn send(tx: TxPath) -> u64 {
        const BATCHES: u64 = 64;
        let fill = |bytes: &mut [u8]| bytes.fill(1);
        let image = Contents::build(SLOTS * BLOCK, 1 << 20, "", "rpool", fill);
        let image = image.expect("there is memory");
        let (to, from) = (MacAddr::new([2, 0, 0, 0, 1, 0]), MacAddr::new([2, 0, 0, 0, 0, 1]));
        inside(1, || {
            let mut link = open(NEAR, OpenOptions { tx, ..OpenOptions::default() })
                .expect("the link is fit for use");
            let path = link.path().unwrap_or_default();
            assert!(!path.contains('('), "{tx} does not work here: {path}");
            let mut batch = Batch::with_capacity(SLOTS);
            for _ in 0..BATCHES {
                for start in (0..SLOTS).map(|block| block * BLOCK) {
                    batch.push_contents(Head::data(to, from, 0, BLOCK), &image, start, BLOCK);
                }
                measured(&mut || {
                    link.send(&mut batch).expect("the link stays");
                });
                assert!(batch.is_empty(), "the far end keeps up");
            }
        });
        BATCHES * SLOTS as u64
    }
}

/// The one function in which instructions are counted: by its name, so it may not be inlined.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
    // Something has to come after the call, or it becomes a jump that never returns here.
    black_box(());
}
