//! What happened to a sled, on its way to the log.

use std::hint::black_box;
use std::time::{Duration, SystemTime};

use boot_format::Checksum;
use boot_format::wire::MacAddr;
use boot_netboot::server::{Event, EventKind, Summary};
use boot_tools::service::internals::log_lines;

use crate::{Work, measure};

pub(crate) const WORKS: &[(&str, Work)] = &[("event-to-log-lines", lines)];

/// The events of a boot, each as text and as JSON.
fn lines() -> u64 {
    /// Boots whose events are formatted: what the first one allocates does not count.
    const BOOTS: u64 = 100;
    let size = 64 << 20;
    let summary = Summary {
        time: Duration::from_millis(500),
        size,
        frames: size / 1024,
        again: 1,
        early: 3,
        needless: 1,
        assumed: false,
    };
    let checksum = Checksum::from_bytes([0xf5; 32]);
    let kinds = [
        EventKind::Hello { again: false },
        EventKind::Offered { checksum, repeated: false },
        EventKind::Started { size },
        EventKind::Progress { bytes: size / 2, size },
        EventKind::Finished(summary),
    ];
    let sled = MacAddr::new([2, 0, 0, 0, 1, 0]);
    let events = kinds.map(|kind| Event { sled, kind });
    let time = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
    measure(|| {
        for _ in 0..BOOTS {
            for event in &events {
                black_box(log_lines("net0", time, black_box(event)).expect("the log has it"));
            }
        }
    });
    BOOTS * events.len() as u64
}
