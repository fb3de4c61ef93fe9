//! DATA frames on each way out, with and without the server.

use std::ops::ControlFlow;
use std::time::Duration;

use boot_backends::{Clock, Datalink, OpenOptions, TxPath, open_workers, serve};
use boot_format::wire::{BLOCK, Head, MacAddr, SLOTS};
use boot_image::Contents;
use boot_netboot::batch::Batch;
use boot_netboot::server::{Config, Serve, Server};

use crate::cores::thread_time;
use crate::feed::Feed;

/// A link of a worker.
pub type Link = Box<dyn Datalink + Send>;

/// The ways out.
pub const PATHS: [TxPath; 3] = [TxPath::Mmsg, TxPath::Uring, TxPath::Xdp];
/// Frames in the image that is sent.
pub const FRAMES: usize = 256 * SLOTS;
/// Bytes in it.
pub const SIZE: usize = FRAMES * BLOCK;
/// Frames by which a server has found out how fast its link is.
pub const FIRST: usize = 32 * SLOTS;

/// The image that is sent.
///
/// # Panics
///
/// If there is no memory for it.
pub fn image() -> Contents {
    let fill = |bytes: &mut [u8]| bytes.fill(1);
    Contents::build(SIZE, SIZE as u64, "", "rpool", fill).expect("there is memory")
}

/// The link `name`, for each of some workers.
///
/// # Panics
///
/// If it is not fit for this way out.
pub fn open<const WORKERS: usize>(name: &str, tx: TxPath) -> [Link; WORKERS] {
    let options = OpenOptions { tx, ..OpenOptions::default() };
    let links = open_workers(name, options, WORKERS).expect("the link is fit for use");
    for link in &links {
        let path = link.path().unwrap_or_default();
        // Another path than the one asked for says why in brackets.
        assert!(!path.contains('('), "{tx} does not work here: {path}");
    }
    links.try_into().ok().expect("one link for each worker")
}

/// Sends all of a batch.
///
/// # Panics
///
/// If the link drops frames.
pub fn send(link: &mut Link, batch: &mut Batch) {
    while !batch.is_empty() {
        let sent = link.send(batch).expect("the link stays");
        assert_eq!(sent.dropped, 0, "the far end keeps up");
    }
}

/// Fills batches with DATA frames, block after block of the image.
#[derive(Debug)]
pub struct Sender<'a> {
    image: &'a Contents,
    batch: Batch,
    next: usize,
}

impl<'a> Sender<'a> {
    /// One that sends `image`.
    pub fn new(image: &'a Contents) -> Self {
        Self { image, batch: Batch::with_capacity(SLOTS), next: 0 }
    }

    /// Sends `frames` frames, and returns the CPU time that it took.
    pub fn run(&mut self, frames: usize, send: impl FnMut(&mut Batch)) -> Duration {
        self.run_for(1, frames, send)
    }

    /// The same with what `sleds` sleds ask for that read in step, a few frames for each in turn,
    /// as a server does.
    pub fn run_for(
        &mut self,
        sleds: u8,
        frames: usize,
        mut send: impl FnMut(&mut Batch),
    ) -> Duration {
        const FEW: usize = 8;
        let (to, from) = (MacAddr::new([2, 0, 0, 0, 1, 0]), MacAddr::new([2, 0, 0, 0, 0, 1]));
        let sleds = usize::from(sleds);
        let start = thread_time();
        for first in (0..frames).step_by(SLOTS) {
            for frame in first..frames.min(first + SLOTS) {
                let block = frame / (FEW * sleds) * FEW + frame % FEW;
                let offset = (self.next + block * BLOCK) % SIZE;
                let head = Head::data(to, from, offset as u64, BLOCK);
                self.batch.push_contents(head, self.image, offset, BLOCK);
            }
            send(&mut self.batch);
        }
        self.next = (self.next + frames / sleds * BLOCK) % SIZE;
        thread_time().saturating_sub(start)
    }
}

/// CPU time to serve `frames` frames with the real loop and the real server, once it has found
/// out how fast the link is.
///
/// # Panics
///
/// If the link goes.
pub fn served(link: &mut dyn Datalink, image: &Contents, sleds: u8, frames: usize) -> Duration {
    let mut server = Server::new(Config::new(link.address(), Serve::All));
    server.set_images(vec![image.clone()]);
    let mut link = Feed::new(link, sleds, SIZE);
    let mut start = None;
    let cost = serve(Clock::new(), &mut link, &mut server, |now, server, link| {
        while server.poll_event().is_some() {}
        let taken = link.counters().taken;
        match start {
            None if taken >= FIRST as u64 => start = Some((thread_time(), taken)),
            Some((start, before)) if taken - before >= frames as u64 => {
                let spent = thread_time().saturating_sub(start).as_nanos();
                let each = spent / u128::from(taken - before);
                return ControlFlow::Break(Duration::from_nanos(each as u64) * frames as u32);
            }
            _ => {}
        }
        ControlFlow::Continue(now + Duration::from_secs(1))
    });
    cost.expect("the link stays")
}
