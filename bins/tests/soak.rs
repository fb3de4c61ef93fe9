//! Racks that boot again and again from one server, which is disturbed in all the ways that a lab
//! knows, and whose memory and descriptors must not grow.

#![cfg(target_os = "linux")]

mod lab;
#[path = "../../backends/tests/netns/mod.rs"]
mod netns;
mod tool;

use std::fs;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::lab::{Running, SOON, image};
use crate::netns::{FAR, NEAR, inside, ip, run};
use crate::tool::{Desk, raw};

/// Sleds that boot at a time.
const SLEDS: u32 = 64;
/// Twice the addresses that a server remembers for each link and in the state file, which is as
/// many as workers keep: after this many boots its tables are full.
const REMEMBERED: u32 = 8192;
/// Sleds that boot at a time to fill them.
const MANY: u32 = 256;
/// KiB that the server may have grown by: sleds whose power was cut may hold an image of 4 MiB that
/// was replaced since, and memory comes in steps of a few hundred KiB from the arenas of the threads
/// that load images. But if replaced images were kept, each cycle would add two.
const MOST_GROWTH: u64 = 6 << 10;
/// How long it goes on, warm-up and all, unless `BOOT_SOAK_SECONDS` says otherwise.
const SECONDS: u64 = 120;

/// What a server has of the machine.
#[derive(Clone, Copy, Debug)]
struct Usage {
    /// Without what it maps of files.
    kib: u64,
    descriptors: usize,
    threads: usize,
}

impl Usage {
    /// That of a process that does nothing at the moment: a file may be open for an instant, and a
    /// thread end.
    fn of(process: u32) -> Self {
        let least = |a: Self, b: Self| Self {
            kib: a.kib.min(b.kib),
            descriptors: a.descriptors.min(b.descriptors),
            threads: a.threads.min(b.threads),
        };
        let sample = |pause| {
            sleep(Duration::from_millis(pause));
            Self::now(process)
        };
        [50; 4].map(sample).into_iter().reduce(least).unwrap()
    }

    fn now(process: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
        let number = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<u64>().unwrap()
        };
        Self {
            kib: number("RssAnon:"),
            descriptors: fs::read_dir(format!("/proc/{process}/fd")).unwrap().count(),
            threads: number("Threads:") as usize,
        }
    }

    fn max(self, other: Self) -> Self {
        Self {
            kib: self.kib.max(other.kib),
            descriptors: self.descriptors.max(other.descriptors),
            threads: self.threads.max(other.threads),
        }
    }
}

/// The lab: a server, and how far the racks are.
struct Soak {
    desk: Desk,
    server: Running,
    /// Boots of sleds, each with an address of its own.
    sleds: u32,
    /// Images that were made so far, each with other contents.
    images: u32,
}

/// What happens while a rack boots.
const DISTURBANCES: [fn(&mut Soak); 8] = [
    Soak::boot_in_peace,
    Soak::boot_with_loss,
    Soak::boot_on_a_link_that_flaps,
    Soak::boot_from_a_new_image,
    Soak::boot_while_the_image_is_replaced,
    Soak::boot_with_loss_and_flaps,
    Soak::boot_after_a_power_cut,
    Soak::boot_the_same_sleds_again,
];

impl Soak {
    fn start() -> Self {
        let mut desk = Desk::new();
        image(&mut desk, "zfs.img", 1);
        ip("link add near2 type veth peer name far2");
        for end in ["near2", "far2"] {
            ip(&format!("link set {end} addrgenmode none"));
            ip(&format!("link set {end} up"));
        }
        let line = format!("{NEAR},near2 zfs.img all --state state --status ./status --control");
        let mut server = Running::start(&desk, "bootserver", &line);
        // From here on its log is read: of one that nobody reads, lines are lost.
        server.until_said(&["serving every sled"]);
        Self { desk, server, sleds: 0, images: 0 }
    }

    /// Starts `count` sleds with addresses that no sled had before.
    fn rack(&mut self, count: u32, options: &str) -> Running {
        self.sleds += count;
        self.rack_again(count, options)
    }

    /// Starts the last `count` sleds.
    fn rack_again(&self, count: u32, options: &str) -> Running {
        let [a, b, c, d] = (self.sleds - count).to_be_bytes();
        let line = format!(
            "{FAR} --sleds {count} --mac 02:00:{a:02x}:{b:02x}:{c:02x}:{d:02x} -t 600{options}"
        );
        Running::start(&self.desk, "sledsim", &line)
    }

    /// Waits until each of these sleds has booted, with the contents that were promised to it.
    fn booted(&mut self, count: u32, rack: Running) {
        let (status, table, said) = rack.end(11 * SOON);
        let all = format!("{count} of {count} booted");
        assert!(status == 0 && table.contains(&all), "{table}{said}");
        assert_eq!(table.matches(" ok\n").count(), count as usize, "{table}");
        assert!(self.server.is_running(), "the server has ended");
    }

    /// Boots sleds that take the image in service and no other.
    fn boot_in_peace(&mut self) {
        let rack = self.rack(SLEDS, " --csum zfs.img.csum");
        self.booted(SLEDS, rack);
    }

    fn boot_with_loss(&mut self) {
        self.lose();
        self.boot_in_peace();
        run("nft", "delete table netdev loss");
    }

    fn boot_on_a_link_that_flaps(&mut self) {
        let rack = self.rack(SLEDS, " --csum zfs.img.csum");
        flap();
        self.booted(SLEDS, rack);
    }

    fn boot_with_loss_and_flaps(&mut self) {
        self.lose();
        self.boot_on_a_link_that_flaps();
        run("nft", "delete table netdev loss");
    }

    fn boot_from_a_new_image(&mut self) {
        self.replace_image();
        self.boot_in_peace();
    }

    /// Those that have begun get the old one to its end.
    fn boot_while_the_image_is_replaced(&mut self) {
        let rack = self.rack(SLEDS, "");
        sleep(Duration::from_millis(300));
        self.replace_image();
        self.booted(SLEDS, rack);
    }

    fn boot_after_a_power_cut(&mut self) {
        let cut = self.rack(SLEDS, "");
        sleep(Duration::from_millis(300));
        drop(cut);
        self.boot_in_peace();
    }

    fn boot_the_same_sleds_again(&mut self) {
        let rack = self.rack_again(SLEDS, " --csum zfs.img.csum");
        self.booted(SLEDS, rack);
    }

    /// Loses one frame in two hundred, both ways.
    fn lose(&self) {
        let chain = |link: &str| {
            format!(
                " chain {link} {{\n  type filter hook ingress device {link} priority 0;\n  \
                 numgen random mod 200 < 1 drop\n }}\n"
            )
        };
        let rules = format!("table netdev loss {{\n{}{}}}\n", chain(NEAR), chain(FAR));
        self.desk.write("rules", rules.as_bytes());
        run("nft", &format!("-f {}", self.desk.path("rules").display()));
    }

    /// Puts another image in the place of the one in service, and has the server look.
    fn replace_image(&mut self) {
        self.images += 1;
        let mut contents = raw().repeat(4);
        for (block, index) in contents.chunks_exact_mut(1024).zip(0_u32..) {
            block[..4].copy_from_slice(&self.images.to_le_bytes());
            block[4..8].copy_from_slice(&index.to_le_bytes());
        }
        self.desk.write("contents", &contents);
        let made = self.desk.run("mkimage -q -i contents -o next.img -O next.img.csum");
        assert!(made.status.success());
        let place = |name: &str| -> PathBuf { self.desk.path(name) };
        for end in ["", ".csum"] {
            let next = place(&format!("next.img{end}"));
            fs::rename(next, place(&format!("zfs.img{end}"))).unwrap();
        }
        self.server.signal("-HUP");
    }

    /// Takes the second link away, which the server had open, and makes it anew.
    fn recreate_other_link(&mut self) {
        ip("link del near2");
        self.server.until_said(&["near2: the link is gone; its boots have ended"]);
        ip("link add near2 type veth peer name far2");
    }

    fn usage(&self) -> Usage {
        Usage::of(self.server.id())
    }
}

/// Has the server's end of the cable go down and come up three times.
fn flap() {
    for pause in [200, 50, 400] {
        sleep(Duration::from_millis(pause));
        ip(&format!("link set {NEAR} down"));
        sleep(Duration::from_millis(pause));
        ip(&format!("link set {NEAR} up"));
    }
}

#[test]
#[ignore = "needs root and network namespaces, and two minutes"]
fn a_server_that_boots_racks_again_and_again_does_not_grow() {
    let seconds = std::env::var("BOOT_SOAK_SECONDS").map_or(SECONDS, |text| {
        text.parse().unwrap_or_else(|_| panic!("BOOT_SOAK_SECONDS={text}: not a number"))
    });
    inside(1, || soak(Duration::from_secs(seconds)));
}

fn soak(time: Duration) {
    let end = Instant::now() + time;
    let mut soak = Soak::start();
    while soak.sleds < REMEMBERED {
        let rack = soak.rack(MANY, "");
        soak.booted(MANY, rack);
    }
    soak.recreate_other_link();
    let cycle = |soak: &mut Soak| {
        let usages = DISTURBANCES.map(|disturbance| {
            disturbance(soak);
            soak.usage()
        });
        let most = usages.into_iter().reduce(Usage::max).unwrap();
        println!("{} sleds, {} images: {most:?}", soak.sleds, soak.images);
        most
    };
    let warm = cycle(&mut soak).max(cycle(&mut soak));
    let mut last = cycle(&mut soak);
    while Instant::now() < end {
        last = cycle(&mut soak);
    }
    assert!(last.kib <= warm.kib + MOST_GROWTH, "{warm:?} became {last:?}");
    assert!(last.descriptors <= warm.descriptors, "{warm:?} became {last:?}");
    assert!(last.threads <= warm.threads, "{warm:?} became {last:?}");
    soak.server.signal("-TERM");
    let (status, _, log) = soak.server.end(SOON);
    assert_eq!(status, 0, "{log}");
    assert!(!log.contains("panicked"), "{log}");
}
