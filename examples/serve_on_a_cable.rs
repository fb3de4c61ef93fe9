//! A boot server and a sled on a cable inside this process:
//! `cargo run --example serve_on_a_cable`.

use std::error::Error;
use std::ops::ControlFlow;
use std::thread;
use std::time::Duration;

use boot_backends::cable::Segment;
use boot_backends::{Clock, serve};
use boot_format::wire::MacAddr;
use boot_image::Contents;
use boot_netboot::server::{Config, EventKind, Serve, Server};
use boot_netboot::sled::{Sled, SledConfig};

pub(crate) fn main() -> Result<(), Box<dyn Error>> {
    let image = Contents::build(1 << 20, 1 << 20, "example", "rpool/ROOT/ramdisk", |_| {})?;
    let [server_at, sled_at] = [1, 2].map(|last| MacAddr::new([2, 0, 0, 0, 0, last]));
    let segment = Segment::new();
    let (mut near, mut far) = (segment.plug(server_at), segment.plug(sled_at));

    let clock = Clock::new();
    let mut server = Server::new(Config::new(server_at, Serve::All));
    server.set_images(vec![image]);
    let mut sled = Sled::new(SledConfig { power_on: clock.now(), ..SledConfig::new(sled_at) });

    thread::scope(|scope| {
        scope.spawn(move || {
            serve(clock, &mut far, &mut sled, |now, sled, _| {
                if sled.is_booted() {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(now + Duration::from_millis(10))
            })
        });
        serve(clock, &mut near, &mut server, |now, server, _| {
            while let Some(event) = server.poll_event() {
                println!("{}: {:?}", event.sled, event.kind);
                if matches!(event.kind, EventKind::Finished(_)) {
                    return ControlFlow::Break(());
                }
            }
            ControlFlow::Continue(now + Duration::from_millis(10))
        })
    })?;
    Ok(())
}
