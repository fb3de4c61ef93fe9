//! The loop: a clock, a link and a station meet here, and nowhere else.

use std::ops::ControlFlow;
use std::time::{Duration, Instant as SystemInstant};

use boot_netboot::batch::Batch;
use boot_netboot::station::Station;
use boot_netboot::time::Instant;

use crate::{BATCH, Datalink, LinkError};

/// The clock of one process: engine time, counted from its creation.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch: SystemInstant,
}

impl Clock {
    /// A clock that starts now.
    #[expect(clippy::new_without_default, reason = "a default clock would hide when it started")]
    pub fn new() -> Self {
        Self { epoch: SystemInstant::now() }
    }

    /// The time.
    pub fn now(&self) -> Instant {
        Instant::ZERO + self.epoch.elapsed()
    }
}

/// Runs `station` on `link` until `attend` breaks, and returns what it breaks with.
///
/// `attend` is called once per iteration, before the station may send: it drains the station's
/// events, and may look at the link's counters and at the rest of the world (signals, files, other
/// threads). It returns the time until which the loop may wait if no frame arrives. On Linux, all
/// timers of the calling thread are exact from then on.
///
/// # Errors
///
/// If the link is gone for good.
pub fn serve<S: Station, T>(
    clock: Clock,
    link: &mut dyn Datalink,
    station: &mut S,
    mut attend: impl FnMut(Instant, &mut S, &mut dyn Datalink) -> ControlFlow<T, Instant>,
) -> Result<T, LinkError> {
    #[cfg(target_os = "linux")]
    crate::packet::wake_on_time();
    let mut batch = Batch::with_capacity(BATCH);
    loop {
        let now = clock.now();
        link.tick(now);
        let mut wake = match attend(now, station, link) {
            ControlFlow::Continue(wake) => wake,
            ControlFlow::Break(result) => return Ok(result),
        };
        if batch.is_empty() {
            station.poll_transmit(now, &mut batch);
        }
        if !batch.is_empty() {
            link.send(&mut batch)?;
            for destination in batch.take_unreadable() {
                station.handle_unreadable(destination);
            }
        }
        let want_room = !batch.is_empty();
        if !want_room {
            wake = wake.min(station.poll_timeout().unwrap_or(wake));
        }
        let timeout = if wake <= now { Duration::ZERO } else { wake.since(clock.now()) };
        link.receive(timeout, want_room, &mut |frame| station.handle_frame(clock.now(), frame))?;
    }
}

#[cfg(test)]
mod tests {
    use boot_format::wire::{FrameType, Head, MacAddr, SLOTS, emit_read};
    use boot_image::Contents;
    use boot_netboot::server::{Config, EventKind, Serve, Server};

    use super::*;
    use crate::cable::Segment;

    #[test]
    fn a_read_on_the_cable_is_answered_from_the_image() {
        let (server, sled) = (MacAddr::new([2, 0, 0, 0, 0, 1]), MacAddr::new([2, 0, 0, 0, 0, 2]));
        let segment = Segment::new();
        let mut link = segment.plug(server);
        let mut port = segment.plug(sled);
        let image =
            Contents::build(1 << 20, 1 << 20, "", "rpool", |bytes| bytes.fill(0x5a)).unwrap();
        let serving = std::thread::spawn(move || {
            let clock = Clock::new();
            let mut station = Server::new(Config::new(server, Serve::All));
            station.set_images(vec![image]);
            serve(clock, &mut link, &mut station, |now, station, _| {
                while let Some(event) = station.poll_event() {
                    if matches!(event.kind, EventKind::Finished(_)) {
                        return ControlFlow::Break(());
                    }
                }
                ControlFlow::Continue(now + Duration::from_secs(20))
            })
        });
        let mut say = |to, kind, body: &[u8], wanted: usize| {
            let mut batch = Batch::with_capacity(1);
            batch.push_body(Head::new(to, sled, kind, body.len()), body);
            port.send(&mut batch).unwrap();
            let mut frames = Vec::new();
            while frames.len() < wanted {
                let mut sink = |frame: &[u8]| frames.push(frame.to_vec());
                port.receive(Duration::from_secs(20), false, &mut sink).unwrap();
            }
            frames
        };
        say(MacAddr::BROADCAST, FrameType::Hello, b"hello", 1);
        let data = |frame: &&Vec<u8>| frame.len() == 1058 && frame[34..] == [0x5a; 1024];
        for batch in 0..8 {
            let offsets =
                std::array::from_fn::<_, SLOTS, _>(|slot| ((batch * SLOTS + slot) * 1024) as u64);
            let frames = say(server, FrameType::Read, &emit_read(128, &offsets), 128);
            // An OFFER that was to wake it may be among them.
            assert!(frames.iter().filter(data).count() >= 127, "{batch}");
        }
        say(server, FrameType::Finished, &[], 0);
        serving.join().unwrap().unwrap();
    }
}
