//! The demonstration: a server and simulated sleds on a cable inside this process.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context, anyhow};
use boot_backends::cable::{Port, Segment};
use boot_backends::{Clock, serve};
use boot_format::wire::MacAddr;
use boot_image::Contents;
use boot_netboot::server::{Config, Serve, Server};
use boot_netboot::sled::{Sled, SledConfig, Sleds};
use boot_tools::exit::Exit;
use boot_tools::patient::Patient;
use boot_tools::signals::Signals;
use boot_tools::units::{Bytes, Plural};
use boot_tools::{boot_table, say};

/// Bytes of the image that is made if none is given.
const SIZE: usize = 64 << 20;
/// Nothing takes this long on the slowest machine, unless something is wrong.
const PATIENCE: Duration = Duration::from_mins(10);
const TICK: Duration = Duration::from_millis(100);

/// Boots `sleds` simulated sleds, and prints how it went.
pub(crate) fn run(sleds: usize, image: Option<&Path>) -> anyhow::Result<Exit> {
    let signals = Signals::install()?;
    let contents = match image {
        Some(path) => Contents::load(path)?,
        None => own_image()?,
    };
    say!(
        "serving {} to {}, sha256 {}",
        Bytes(contents.size() as u64),
        Plural(sleds as u64, "simulated sled"),
        contents.checksum()
    );
    let clock = Clock::new();
    let segment = Segment::new();
    let mut link = segment.plug(address(0));
    let (stop, stopped) = crossbeam::channel::bounded::<()>(0);
    let sleds = thread::scope(|scope| {
        let mut threads = Vec::new();
        for number in 1..=sleds {
            let address = address(number);
            let wanted = Some(contents.checksum());
            let power_on = clock.now();
            let sled = Sled::new(SledConfig { wanted, power_on, ..SledConfig::new(address) });
            let port = segment.plug(address);
            let signals = &signals;
            threads.push(scope.spawn(move || boot(clock, port, Sleds::new(vec![sled]), signals)));
        }
        let server = scope.spawn(move || {
            let mut server = Server::new(Config::new(address(0), Serve::All));
            server.set_images(vec![contents]);
            serve(clock, &mut link, &mut server, |now, server, _| {
                while server.poll_event().is_some() {}
                match stopped.try_recv() {
                    Err(crossbeam::channel::TryRecvError::Empty) => {
                        ControlFlow::Continue(now + TICK)
                    }
                    _ => ControlFlow::Break(()),
                }
            })
        });
        let sleds: Vec<_> = threads.into_iter().map(thread::ScopedJoinHandle::join).collect();
        drop(stop);
        server.join().map_err(|_| anyhow!("the server panicked"))??;
        sleds
            .into_iter()
            .map(|booted| booted.map_err(|_| anyhow!("a sled's thread panicked"))?)
            .collect::<anyhow::Result<Vec<_>>>()
    })?;
    let sleds = || sleds.iter().flat_map(Sleds::sleds);
    let table = boot_table::table(sleds().map(|sled| (sled.address(), sled.report())));
    Patient(io::stdout().lock()).write_all(table.as_bytes())?;
    if signals.interrupted() {
        return Ok(Exit::Interrupted);
    }
    Ok(if sleds().all(Sled::is_booted) { Exit::Success } else { Exit::Failure })
}

fn boot(clock: Clock, mut port: Port, mut sled: Sleds, signals: &Signals) -> anyhow::Result<Sleds> {
    let end = clock.now() + PATIENCE;
    serve(clock, &mut port, &mut sled, |now, sled, _| {
        if sled.is_booted() || now >= end || signals.interrupted() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(now + TICK)
        }
    })?;
    Ok(sled)
}

/// A locally administered address: the server's is number 0.
fn address(number: usize) -> MacAddr {
    let [.., high, low] = number.to_be_bytes();
    MacAddr::new([0x02, 0, 0, 0, high, low])
}

/// An image that is the same everywhere, without two equal words: so the README can name its sum.
fn own_image() -> anyhow::Result<Contents> {
    // 2^64 divided by the golden ratio: multiples of it are spread evenly.
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let fill = |bytes: &mut [u8]| {
        for (word, number) in bytes.chunks_exact_mut(8).zip(0_u64..) {
            word.copy_from_slice(&number.wrapping_mul(GOLDEN).to_be_bytes());
        }
    };
    Contents::build(SIZE, SIZE as u64, "demonstration", "rpool/ROOT/ramdisk", fill)
        .context("no memory for the image")
}
