//! Sleds on a real link, in real time.

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::time::Duration;

use anyhow::ensure;
use boot_backends::{Clock, OpenOptions, serve};
use boot_format::wire::MacAddr;
use boot_netboot::sled::{Event, Sled, SledConfig, Sleds};
use boot_tools::boot_table::table;
use boot_tools::csum;
use boot_tools::exit::Exit;
use boot_tools::patient::Patient;
use boot_tools::signals::Signals;
use boot_tools::units::{Bytes, Plural};
use boot_tools::{say, stderr};

use crate::args::Args;

/// How often to look for signals.
const TICK: Duration = Duration::from_millis(100);

/// Boots the sleds, or gives up, and prints how it went.
pub(crate) fn run(link: &str, args: &Args) -> anyhow::Result<Exit> {
    let signals = Signals::install()?;
    stderr::write_beside("sledsim", stderr::Style::Plain)?;
    let wanted = args.csum.as_deref().map(csum::read).transpose()?;
    let mut link = boot_backends::open(
        link,
        OpenOptions { all_addresses: true, tx: args.tx, ..OpenOptions::default() },
    )?;
    let first = args.mac.unwrap_or_else(|| first_address(link.address()));
    ensure!(first.is_station(), "--mac {first} is not the address of a single sled");
    let clock = Clock::new();
    let sleds = (0..args.sleds).map(|number| {
        Sled::new(SledConfig {
            wanted,
            power_on: clock.now(),
            console: Duration::from_micros(args.console),
            answers: args.answers,
            pause: args.pause,
            ring: args.ring,
            seed: args.seed,
            ..SledConfig::new(first.nth_after(number))
        })
    });
    let mut sleds = Sleds::new(sleds.collect());
    say!(
        "sledsim: {} on {}, addresses from {first}",
        Plural(args.sleds.into(), "sled"),
        link.name()
    );
    if let Some(path) = link.path() {
        say!("sledsim: {}: {path}", link.name());
    }
    let end = args.timeout.map(|timeout| clock.now() + timeout);
    let exit = serve(clock, link.as_mut(), &mut sleds, |now, sleds, _| {
        for sled in sleds.sleds_mut() {
            let address = sled.address();
            while let Some(event) = sled.poll_event() {
                tell(address, &event);
            }
        }
        if sleds.is_booted() {
            ControlFlow::Break(Exit::Success)
        } else if signals.interrupted() {
            ControlFlow::Break(Exit::Interrupted)
        } else if end.is_some_and(|end| now >= end) {
            say!("sledsim: gave up");
            ControlFlow::Break(Exit::Failure)
        } else {
            ControlFlow::Continue(now + TICK)
        }
    })?;
    let table = table(sleds.sleds().iter().map(|sled| (sled.address(), sled.report())));
    Patient(io::stdout().lock()).write_all(table.as_bytes())?;
    Ok(exit)
}

fn tell(sled: MacAddr, event: &Event) {
    match event {
        Event::Accepted { checksum, size } => {
            say!("{sled}: takes {checksum}, {}", Bytes(*size));
        }
        Event::Booted => say!("{sled}: booted"),
        Event::Panicked(why) => say!("{sled}: panicked: {why}"),
    }
}

/// A locally administered address that another link of this host is unlikely to choose.
fn first_address(link: MacAddr) -> MacAddr {
    let [_, _, _, a, b, c] = link.octets();
    MacAddr::new([0x02, a, b, c, 0, 1])
}
