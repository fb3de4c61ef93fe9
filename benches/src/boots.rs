//! Whole boots over a veth pair or a cable inside the process, with a core for each side.

use std::fs::File;
use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use boot_backends::cable::Segment;
use boot_backends::{Clock, Datalink, OpenOptions, TxPath, open, serve};
use boot_format::wire::{BLOCK, MacAddr};
use boot_image::Contents;
use boot_netboot::server::{Config, EventKind, Serve, Server};
use boot_netboot::sled::{Sled, SledConfig, Sleds};
use boot_netboot::station::Station;
use boot_netboot::time::Instant;

use crate::cores::{keep_to, thread_time};
use crate::naive::Naive;
use crate::naive_server::boot_one;

/// What it came to, when some sleds had booted.
#[derive(Clone, Copy, Debug)]
pub struct Boot {
    /// Contents that all sleds took together.
    pub bytes: usize,
    /// DATA frames that were sent.
    pub frames: u64,
    /// CPU time of the serving thread, in which the delivery to the sleds' socket is included.
    pub cpu: Duration,
    /// CPU time of the sleds' thread.
    pub sleds_cpu: Duration,
    /// From the first HELLO to the last sled's end.
    pub time: Duration,
    /// The fairness index (Jain) at the moment when the first sled had everything.
    pub fairness: f64,
}

impl Boot {
    /// CPU time of the server for each frame, in nanoseconds.
    pub fn nanos(&self) -> f64 {
        self.cpu.as_nanos() as f64 / self.frames as f64
    }

    /// Seconds that it took.
    pub fn seconds(&self) -> f64 {
        self.time.as_secs_f64()
    }

    /// Contents in 10^6 bytes per second, all sleds together.
    pub fn rate(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds()
    }
}

/// The two ends of a link.
#[derive(Clone, Copy, Debug)]
pub struct Ends {
    /// The server's.
    pub near: &'static str,
    /// The sleds'.
    pub far: &'static str,
}

impl Ends {
    /// Boots `sleds` sleds with this project's server.
    ///
    /// # Panics
    ///
    /// If the path can't be opened, or the sleds do not boot.
    pub fn boot(self, tx: TxPath, image: &Contents, sleds: u16) -> Boot {
        let mut link = open(self.near, OpenOptions { tx, ..OpenOptions::default() })
            .expect("the link is fit for use");
        let path = link.path().unwrap_or_default();
        // Another path than the one asked for says why in brackets.
        assert!(!path.contains('('), "{tx} does not work here: {path}");
        let clock = Clock::new();
        let mut far = self.far();
        with_sleds(clock, far.as_mut(), image, sleds, || {
            serve_boots(clock, link.as_mut(), image, sleds)
        })
    }

    /// Boots one sled as the replaced tool does, from the raw contents in `file`.
    ///
    /// # Panics
    ///
    /// If the link can't be opened, or the sled does not boot.
    pub fn boot_naively(self, image: &Contents, file: &File) -> Boot {
        let address = open(self.near, OpenOptions { tx: TxPath::Mmsg, ..OpenOptions::default() })
            .expect("the link is there")
            .address();
        let mut socket = Naive::open(self.near).expect("the link is there");
        socket.listen().expect("the link is there");
        let offer = image.offer().expect("an image that can be offered");
        let mut far = self.far();
        with_sleds(Clock::new(), far.as_mut(), image, 1, || {
            boot_one(&mut socket, address, file, &offer).expect("no frame is lost")
        })
    }

    fn far(self) -> Box<dyn Datalink + Send> {
        let options =
            OpenOptions { all_addresses: true, tx: TxPath::Mmsg, ..OpenOptions::default() };
        open(self.far, options).expect("the far end is there")
    }
}

/// Boots one sled over a cable inside this process, which takes no privilege.
///
/// # Panics
///
/// If the sled does not boot.
pub fn boot_over_a_cable(image: &Contents) -> Boot {
    let segment = Segment::new();
    let mut near = segment.plug(MacAddr::new([2, 0, 0, 0, 0, 1]));
    let mut far = segment.plug(FIRST_SLED);
    let clock = Clock::new();
    with_sleds(clock, &mut far, image, 1, || serve_boots(clock, &mut near, image, 1))
}

const FIRST_SLED: MacAddr = MacAddr::new([2, 0, 0, 0, 1, 1]);

/// Serves until `sleds` sleds have booted, and returns how many DATA frames that took.
fn serve_boots(clock: Clock, link: &mut dyn Datalink, image: &Contents, sleds: u16) -> u64 {
    let mut server = Server::new(Config::new(link.address(), Serve::All));
    server.set_images(vec![image.clone()]);
    let mut finished = 0;
    serve(clock, link, &mut server, |now, server, _| {
        while let Some(event) = server.poll_event() {
            finished += u16::from(matches!(event.kind, EventKind::Finished(_)));
        }
        if finished == sleds {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(now + Duration::from_secs(1))
    })
    .expect("the link stays");
    server.counters().data
}

/// Runs a server beside `sleds` sleds on `far`; it returns how many DATA frames it sent.
fn with_sleds(
    clock: Clock,
    far: &mut (dyn Datalink + Send),
    image: &Contents,
    sleds: u16,
    server: impl FnOnce() -> u64 + Send,
) -> Boot {
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            keep_to(0);
            let start = thread_time();
            let frames = server();
            (frames, thread_time().saturating_sub(start))
        });
        let sleds = scope.spawn(|| {
            keep_to(1);
            boot_sleds(clock, far, image, sleds)
        });
        let (rack, sleds_cpu, fairness) = sleds.join().expect("the sleds do not panic");
        let (frames, cpu) = server.join().expect("the server does not panic");
        let reports = || rack.sleds().iter().map(Sled::report);
        let hello = reports().filter_map(|report| report.hello).min();
        let last: Option<Instant> = reports().filter_map(|report| report.finished).max();
        let time = last.zip(hello).map_or(Duration::ZERO, |(last, hello)| last.since(hello));
        let bytes = image.size() * rack.sleds().len();
        assert!(frames >= (bytes / BLOCK) as u64, "{frames} frames");
        Boot { bytes, frames, cpu, sleds_cpu, time, fairness }
    })
}

/// Boots sleds on `far`. Returns them, their thread's CPU time, and how fair it was.
fn boot_sleds(
    clock: Clock,
    far: &mut dyn Datalink,
    image: &Contents,
    sleds: u16,
) -> (Sleds, Duration, f64) {
    let sleds = (0..sleds).map(|number| {
        Sled::new(SledConfig {
            power_on: clock.now(),
            compare: Some(image.clone()),
            ..SledConfig::new(FIRST_SLED.nth_after(number))
        })
    });
    let mut rack = Sleds::new(sleds.collect());
    let mut fairness = None;
    let start = thread_time();
    let end = clock.now() + Duration::from_mins(1);
    serve(clock, far, &mut rack, |now, rack, _| {
        assert!(now < end, "the sleds do not boot");
        if fairness.is_none() && rack.sleds().iter().any(Sled::is_booted) {
            fairness = Some(jain(rack));
        }
        if rack.is_booted() && rack.poll_timeout().is_none_or(|due| due > now) {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(now + Duration::from_secs(1))
    })
    .expect("the far end stays");
    (rack, thread_time().saturating_sub(start), fairness.unwrap_or(0.0))
}

/// Jain's fairness index of what the sleds have: 1 if all have the same.
fn jain(rack: &Sleds) -> f64 {
    let shares = rack.sleds().iter().map(|sled| sled.report().bytes as f64);
    let (sum, squares) =
        shares.fold((0.0, 0.0), |(sum, squares), share| (sum + share, squares + share * share));
    sum * sum / (rack.sleds().len() as f64 * squares)
}
