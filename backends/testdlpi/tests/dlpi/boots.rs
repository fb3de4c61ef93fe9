//! Racks that boot through the DLPI backend, while everything goes wrong that can.

use std::ffi::CStr;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use boot_backends::{Clock, serve};
use boot_format::wire::MacAddr;
use boot_image::Contents;
use boot_netboot::server::{Config, Counters, Serve, Server, Together};
use boot_netboot::sled::{Sled, SledConfig, Sleds};

use crate::knobs::{Count, Fault};
use crate::links::{
    Link, NET0, NET1, ask, count, image, on_a_cable, open, open_for_all_addresses, open_plainly,
    try_open,
};
use crate::netns::SOON;

const SLEDS: u8 = 8;
/// Every Nth event goes wrong; the numbers have no common factor.
const BAD_DAY: [(Fault, u64); 11] = [
    (Fault::InterruptReceive, 7),
    (Fault::EmptyReceive, 11),
    (Fault::ShortAddress, 13),
    (Fault::Stray, 17),
    (Fault::BadMessage, 37),
    (Fault::LoseIncoming, 41),
    (Fault::BadAddress, 43),
    (Fault::InterruptSend, 101),
    (Fault::NoMemory, 499),
    (Fault::LoseOutgoing, 701),
    (Fault::FullSend, 997),
];

fn have_a_bad_day(link: &CStr) {
    for (fault, every) in BAD_DAY {
        ask(link, fault, every);
    }
}

/// Boots eight sleds, all of whose frames go over `sleds`, one by one.
fn boot(servers: Vec<Link>, sleds: Link, image: &Contents, meanwhile: impl FnOnce()) -> Sleds {
    boot_as(None, servers, sleds, image, meanwhile).0
}

/// Boots eight sleds, all of whose frames go over `sleds`, from as many servers as there are
/// links, while `meanwhile` runs. Returns the sleds with their reports, and what each server has
/// counted.
fn boot_as(
    together: Option<Together>,
    servers: Vec<Link>,
    mut sleds: Link,
    image: &Contents,
    meanwhile: impl FnOnce(),
) -> (Sleds, Vec<Counters>) {
    let clock = Clock::new();
    let rack = (1..=SLEDS).map(|number| {
        let address = MacAddr::new([2, 0, 0, 0, 7, number]);
        let (wanted, power_on) = (Some(image.checksum()), clock.now());
        Sled::new(SledConfig { wanted, power_on, ..SledConfig::new(address) })
    });
    let mut rack = Sleds::new(rack.collect());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let mut threads = Vec::new();
        for mut link in servers {
            let (image, done) = (image.clone(), &done);
            threads.push(scope.spawn(move || {
                let mut server =
                    Server::new(Config { together, ..Config::new(link.address(), Serve::All) });
                server.set_images(vec![image]);
                serve(clock, link.as_mut(), &mut server, |now, server, _| {
                    while server.poll_event().is_some() {}
                    if done.load(Ordering::Relaxed) {
                        return ControlFlow::Break(());
                    }
                    ControlFlow::Continue(now + Duration::from_millis(20))
                })
                .unwrap();
                (server.counters(), link.counters())
            }));
        }
        let booting = scope.spawn(move || {
            let end = Instant::now() + SOON;
            serve(clock, sleds.as_mut(), &mut rack, |now, rack, _| {
                if rack.is_booted() || Instant::now() > end {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(now + Duration::from_millis(20))
            })
            .unwrap();
            rack
        });
        meanwhile();
        let rack = booting.join().unwrap();
        done.store(true, Ordering::Relaxed);
        let counted = threads.into_iter().enumerate().map(|(index, server)| {
            let (server, link) = server.join().unwrap();
            println!("server {index}: {server:?} {link:?}");
            server
        });
        (rack, counted.collect())
    })
}

fn assert_booted(rack: &Sleds) {
    for sled in rack.sleds() {
        let report = sled.report();
        println!("{}: {report:?}", sled.address());
        assert!(sled.is_booted() && report.boots == 1 && report.panics == 0, "{report:?}");
    }
}

#[test]
#[ignore = "needs root and network namespaces"]
fn eight_sleds_boot() {
    on_a_cable(|| {
        let image = image(4);
        assert_booted(&boot(vec![open(NET0)], open_plainly(NET1), &image, || {}));
        assert_eq!(count(NET0, Count::QueueFull), 0);
        assert_eq!(count(NET0, Count::Oversize) + count(NET0, Count::Unbound), 0);
        assert!(count(NET0, Count::Sent) >= u64::from(SLEDS) * 4 * 1024);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn eight_sleds_in_step_take_the_frames_of_one() {
    on_a_cable(|| {
        let together = Together { expect: Some(SLEDS.into()), ..Together::default() };
        let (image, frames) = (image(4), 4 * 1024);
        let (rack, counted) =
            boot_as(Some(together), vec![open(NET0)], open_plainly(NET1), &image, || {});
        assert_booted(&rack);
        assert_eq!(counted[0].broadcast, frames);
        // On a busy machine a few frames may be late, and retransmitted to the sled that lacks
        // them.
        let sent = count(NET0, Count::Sent);
        assert!((frames..2 * frames).contains(&sent), "{sent}");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn sleds_in_step_boot_although_all_goes_wrong_at_the_server() {
    on_a_cable(|| {
        let together = Together { expect: Some(SLEDS.into()), ..Together::default() };
        let server = open(NET0);
        have_a_bad_day(NET0);
        let (rack, counted) =
            boot_as(Some(together), vec![server], open_plainly(NET1), &image(4), || {});
        assert_booted(&rack);
        assert!(counted[0].broadcast > 0);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn eight_sleds_boot_although_all_goes_wrong_at_the_server() {
    on_a_cable(|| {
        // Two answers are lost while the server opens its link.
        ask(NET0, Fault::LoseAcks, 2);
        let server = open(NET0);
        have_a_bad_day(NET0);
        let image = image(4);
        let rack = boot(vec![server], open_plainly(NET1), &image, || {
            for sent in [2000, 8000] {
                let until = Instant::now() + SOON;
                while count(NET0, Count::Sent) < sent && Instant::now() < until {
                    thread::sleep(Duration::from_millis(1));
                }
                ask(NET0, Fault::Down, 1);
                thread::sleep(Duration::from_millis(150));
                ask(NET0, Fault::Down, 0);
            }
        });
        assert_booted(&rack);
        assert_eq!(count(NET0, Count::Eaten), 0, "a control call under traffic eats frames");
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn eight_sleds_boot_although_all_goes_wrong_at_both_ends() {
    on_a_cable(|| {
        let (server, sleds) = (open(NET0), open_for_all_addresses(NET1));
        have_a_bad_day(NET0);
        have_a_bad_day(NET1);
        // The sleds lose fewer frames: each lost one costs them a second.
        ask(NET1, Fault::LoseIncoming, 1009);
        ask(NET1, Fault::ShortAddress, 1511);
        ask(NET1, Fault::BadMessage, 2003);
        ask(NET1, Fault::BadAddress, 3001);
        assert_booted(&boot(vec![server], sleds, &image(2), || {}));
        assert_eq!(count(NET0, Count::Eaten) + count(NET1, Count::Eaten), 0);
    });
}

#[test]
#[ignore = "needs root and network namespaces"]
fn two_workers_share_eight_sleds() {
    on_a_cable(|| {
        let servers = try_open(NET0, 2).unwrap();
        assert_eq!(servers.len(), 2);
        have_a_bad_day(NET0);
        assert_booted(&boot(servers, open_plainly(NET1), &image(2), || {}));
    });
}
