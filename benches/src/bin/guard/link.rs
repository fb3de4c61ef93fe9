//! Frames on their way between descriptor and system call, on our side of it, which takes root.

use boot_backends::{OpenOptions, TxPath, open};
use boot_format::wire::{BLOCK, FrameType, Head, MacAddr, SLOTS, emit_read};
use boot_image::Contents;
use boot_netboot::batch::Batch;

use crate::{Work, measure};

#[path = "../../../../backends/tests/netns/mod.rs"]
mod netns;

use netns::{FAR, NEAR, inside};

pub(crate) const WORKS: &[(&str, Work)] = &[
    ("mmsg-frame", || send(TxPath::Mmsg)),
    ("uring-frame", || send(TxPath::Uring)),
    ("xdp-frame", || send(TxPath::Xdp)),
    ("receive-frame", receive),
];

const BATCHES: u64 = 64;
const SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 0]);
const SERVER: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);

fn send(tx: TxPath) -> u64 {
    let fill = |bytes: &mut [u8]| bytes.fill(1);
    let image = Contents::build(SLOTS * BLOCK, 1 << 20, "", "rpool", fill);
    let image = image.expect("there is memory");
    inside(1, || {
        let mut link = open(NEAR, OpenOptions { tx, ..OpenOptions::default() })
            .expect("the link is fit for use");
        let path = link.path().unwrap_or_default();
        assert!(!path.contains('('), "{tx} does not work here: {path}");
        let mut batch = Batch::with_capacity(SLOTS);
        for _ in 0..BATCHES {
            for start in (0..SLOTS).map(|block| block * BLOCK) {
                batch.push_contents(Head::data(SLED, SERVER, 0, BLOCK), &image, start, BLOCK);
            }
            measure(|| {
                link.send(&mut batch).expect("the link stays");
            });
            assert!(batch.is_empty(), "the far end keeps up");
        }
    });
    BATCHES * SLOTS as u64
}

/// A READ on its way in.
fn receive() -> u64 {
    const READS: u64 = 64;
    inside(1, || {
        let options = OpenOptions { tx: TxPath::Mmsg, ..OpenOptions::default() };
        let mut far = open(FAR, options).expect("the link is fit for use");
        let mut near = open(NEAR, options).expect("the link is fit for use");
        let body = emit_read(SLOTS as u64, &[0; SLOTS]);
        let mut batch = Batch::with_capacity(SLOTS);
        let mut received = 0;
        for _ in 0..BATCHES {
            for _ in 0..READS {
                let head = Head::new(near.address(), SLED, FrameType::Read, body.len());
                batch.push_body(head, &body);
            }
            far.send(&mut batch).expect("the link stays");
            measure(|| {
                while received % READS != 0 || received == 0 {
                    near.receive(netns::SOON, false, &mut |_| received += 1)
                        .expect("the link stays");
                }
            });
            received = 0;
        }
    });
    BATCHES * READS
}
