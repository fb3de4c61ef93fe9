//! A rack in virtual time: how long it would take to boot, without a link and without waiting.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context, ensure};
use boot_format::wire::BLOCK;
use boot_image::Contents;
use boot_netboot::server::Together;
use boot_netboot::sim::{Faults, Outcome, PortConfig, Scenario, bounds, judged};
use boot_tools::boot_table::table;
use boot_tools::exit::Exit;
use boot_tools::groups;
use boot_tools::patient::Patient;
use boot_tools::units::Bytes;

use crate::args::Args;

/// Runs what the command line describes and prints the figures.
pub(crate) fn run(args: &Args) -> anyhow::Result<Exit> {
    let image = match &args.image {
        Some(path) => Contents::load(path)?,
        None => made_up(args.size)?,
    };
    let rate = args.rate.bits_per_second();
    let mut out = Patient(io::stdout().lock());
    if args.judge && args.together {
        return judge_together(&mut out, &image, args.seed);
    }
    if args.judge {
        write_heading(&mut out)?;
        for (name, scenario) in judged(args.sleds, &image, rate) {
            write_row(&mut out, &name, &Scenario { seed: args.seed, ..scenario }.run())?;
        }
        return Ok(Exit::Success);
    }
    let port = PortConfig::new(rate, args.queue);
    let server_rate = args.server_rate.unwrap_or(args.rate).bits_per_second();
    let scenario = Scenario {
        seed: args.seed,
        server_port: PortConfig::new(server_rate, args.queue),
        trunk: port,
        sled_port: port,
        faults: Faults::loss(args.loss / 100.0),
        console: Duration::from_micros(args.console),
        answers: args.answers,
        pause: args.pause,
        ring: args.ring,
        ..Scenario::new(args.sleds, image, rate)
    };
    let outcome = scenario.run();
    let rows = (0..args.sleds).map(Scenario::address).zip(&outcome.sleds);
    write!(out, "{}", table(rows))?;
    writeln!(out)?;
    write_heading(&mut out)?;
    write_row(&mut out, "this server", &outcome)?;
    if args.together {
        let together = Some(Together { expect: Some(args.sleds.into()), ..Together::default() });
        let outcome = Scenario { together, ..scenario.clone() }.run();
        write_row(&mut out, "the same, in step", &outcome)?;
        for (at, event) in &outcome.groups {
            writeln!(out, "{at} {}", groups::line(event))?;
        }
    }
    out.flush()?;
    if args.compare {
        write_row(&mut out, "the replaced tool", &scenario.run_naive())?;
    }
    Ok(if outcome.booted == args.sleds { Exit::Success } else { Exit::Failure })
}

/// Runs the scenarios of sleds in step, and prints which bounds are kept.
fn judge_together(out: &mut impl Write, image: &Contents, seed: u64) -> anyhow::Result<Exit> {
    let mut exit = Exit::Success;
    writeln!(
        out,
        "{:<44} {:>6} {:>9} {:>9} {:>7} {:>7} {:>7} {:>9}",
        "virtual time", "booted", "seconds", "against", "ratio", "at most", "frames", "unwanted"
    )?;
    for bound in bounds(image, seed) {
        let outcome = bound.scenario.run();
        let against = bound.against.time(&bound.scenario);
        let ratio = outcome.time.as_secs_f64() / against.as_secs_f64();
        let kept =
            outcome.booted == bound.scenario.sleds - bound.scenario.dead && ratio <= bound.most;
        if !kept {
            exit = Exit::Failure;
        }
        writeln!(
            out,
            "{:<44} {:>6} {:>9.3} {:>9.3} {ratio:>7.3} {:>7.3} {:>7.3} {:>8.2}%{}",
            bound.name,
            outcome.booted,
            outcome.time.as_secs_f64(),
            against.as_secs_f64(),
            bound.most,
            outcome.server.sent as f64 / (image.size() as f64 / BLOCK as f64),
            100.0 * outcome.unwanted_share(),
            if kept { "" } else { "  MISSED" },
        )?;
        out.flush()?;
    }
    Ok(exit)
}

/// Contents without two equal blocks.
fn made_up(mebibytes: u32) -> anyhow::Result<Contents> {
    ensure!(mebibytes > 0, "--size 0: no sled boots an image of less than 1 MiB");
    let size = (mebibytes as usize) << 20;
    let fill = |bytes: &mut [u8]| {
        for (block, number) in bytes.chunks_exact_mut(1024).zip(0_u64..) {
            block[..8].copy_from_slice(&number.to_le_bytes());
        }
    };
    Contents::build(size, size as u64, "simulated", "rpool/ROOT/ramdisk", fill)
        .with_context(|| format!("no memory for an image of {}", Bytes(size as u64)))
}

fn write_heading(out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "{:<44} {:>6} {:>9} {:>8} {:>7} {:>9} {:>8} {:>9}",
        "virtual time", "booted", "seconds", "of wire", "Jain", "unwanted", "timeouts", "dropped"
    )
}

fn write_row(out: &mut impl Write, name: &str, outcome: &Outcome) -> io::Result<()> {
    writeln!(
        out,
        "{name:<44} {:>6} {:>9.3} {:>7.1}% {:>7.4} {:>8.2}% {:>8} {:>9}",
        outcome.booted,
        outcome.time.as_secs_f64(),
        100.0 * outcome.efficiency(),
        outcome.fairness,
        100.0 * outcome.unwanted_share(),
        outcome.timeouts(),
        outcome.server.trunk_drops + outcome.ports.port_drops,
    )?;
    out.flush()
}
