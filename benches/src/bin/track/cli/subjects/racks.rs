//! The server by itself, and racks in virtual time beside the replaced tool's model.

use boot_benches::cores::thread_time;
use boot_benches::images::contents;
use boot_benches::served::ServedSleds;
use boot_image::Contents;
use boot_netboot::sim::{Faults, Scenario};

use super::{Extent, Round};

/// What all racks boot.
#[derive(Debug)]
pub(super) struct Racks {
    image: Contents,
}

/// Sleds of the rack in virtual time.
pub(crate) const SLEDS: u16 = 8;

impl Racks {
    /// Frames of a measurement: some milliseconds, beside which reading the clock is nothing.
    const FRAMES: u64 = 256 * 1024;

    pub(super) fn new(extent: Extent) -> Self {
        let size = if extent == Extent::Quick { 2 } else { 16 };
        Self { image: contents(size << 20) }
    }

    pub(super) fn measure(&self, round: &mut Round) {
        for sleds in [1, 8, 64, 512] {
            let nanos = frame_time(ServedSleds::new(sleds));
            round.insert(format!("server for {sleds:>3} sleds, frame"), nanos);
        }
        round.insert(
            "server for a group of 64, frame".to_owned(),
            frame_time(ServedSleds::together(64)),
        );
        for (name, sleds, loss) in
            [("eight sleds", SLEDS, 0.0), ("0.1% lost", 1, 0.001), ("1% lost", 1, 0.01)]
        {
            let rack = Scenario::new(sleds, self.image.clone(), 1_000_000_000);
            let rack = Scenario { faults: Faults::loss(loss), ..rack };
            let outcome = rack.run();
            let replaced = Scenario { limit: 10 * outcome.time, ..rack }.run_naive();
            let mut insert = |key: &str, figure| round.insert(format!("{name}, {key}"), figure);
            insert("virtual", outcome.time.as_secs_f64());
            insert("sleds that do not boot", f64::from(sleds - outcome.booted));
            insert("sleds that the model does not boot", f64::from(sleds - replaced.booted));
        }
    }
}

/// CPU time per frame, in nanoseconds, once the server has found out how fast the link is.
fn frame_time(mut rack: ServedSleds) -> f64 {
    rack.serve(Racks::FRAMES / 2);
    let start = thread_time();
    rack.serve(Racks::FRAMES);
    thread_time().saturating_sub(start).as_nanos() as f64 / Racks::FRAMES as f64
}
