//! Whole boots over a veth pair, with sleds that take every frame: against the tool that this
//! project replaces, and many sleds against few.
//!
//! The server has one core and the sleds the other. What a frame costs is CPU time of the
//! serving thread, in which the delivery to the sleds' socket is included. The variants take
//! turns. How busy each side's core was shows which of them set the pace.

#[cfg(target_os = "linux")]
#[path = "../../backends/tests/netns/mod.rs"]
mod netns;

#[cfg(target_os = "linux")]
mod linux {
    use std::fs::File;
    use std::io::Write;
    use std::ops::ControlFlow;
    use std::thread;
    use std::time::Duration;

    use boot_backends::{Clock, OpenOptions, TxPath, open, serve};
    use boot_benches::naive::Naive;
    use boot_benches::naive_server::boot_one;
    use boot_format::wire::{BLOCK, MacAddr};
    use boot_image::Contents;
    use boot_netboot::server::{Config, Serve, Server};
    use boot_netboot::sled::{Sled, SledConfig, Sleds};
    use boot_netboot::station::Station;
    use boot_netboot::time::Instant;
    use nix::sched::{CpuSet, sched_setaffinity};
    use nix::time::{ClockId, clock_gettime};
    use nix::unistd::Pid;

    use crate::netns::{FAR, NEAR, denied, inside};

    const PATHS: [TxPath; 3] = [TxPath::Mmsg, TxPath::Uring, TxPath::Xdp];
    const TURNS: usize = 7;
    /// What one sled boots, and what many boot together.
    const ONE: usize = 256 << 20;
    const ALL: usize = 512 << 20;

    pub(crate) fn main() {
        if let Some(reason) = denied() {
            println!("boot: left out: {reason}");
            return;
        }
        inside(1, against_the_replaced_tool);
        inside(1, many_against_few);
    }

    fn against_the_replaced_tool() {
        let image = image(ONE);
        let mut file = tempfile::tempfile().expect("there is a place for files");
        file.write_all(image.held().unwrap()).expect("there is room for a file");
        let mut naive = Vec::new();
        let mut ours = PATHS.map(|path| (path, Vec::new()));
        for _ in 0..TURNS {
            naive.push(boot_naively(&image, &file));
            for (path, boots) in &mut ours {
                boots.push(boot(*path, &image, 1));
            }
        }
        println!(
            "\n{:24} {:>12} {:>9} {:>11} {:>9}",
            "one sled, 256 MiB", "CPU ns/frame", "seconds", "times CPU", "times s"
        );
        let row = |name: &str, boots: &[Boot]| {
            let of = |figure: fn(&Boot) -> f64| median(boots.iter().map(figure));
            let ratio = |figure: fn(&Boot) -> f64| {
                median(boots.iter().zip(&naive).map(|(own, naive)| figure(own) / figure(naive)))
            };
            println!(
                "{name:24} {:>12.0} {:>9.3} {:>11.2} {:>9.2}",
                of(Boot::nanos),
                of(Boot::seconds),
                ratio(Boot::nanos),
                ratio(Boot::seconds)
            );
        };
        row("the replaced tool", &naive);
        for (path, boots) in &ours {
            row(&path.to_string(), boots);
        }
    }

    fn many_against_few() {
        const FEW: u16 = 8;
        const MANY: u16 = 64;
        let (few, many) = (image(ALL / usize::from(FEW)), image(ALL / usize::from(MANY)));
        let mut paths = PATHS.map(|path| (path, Vec::new()));
        for turn in 0..TURNS {
            for (path, boots) in &mut paths {
                let [few, many] = [(&few, FEW), (&many, MANY)];
                let boot = |(image, sleds)| boot(*path, image, sleds);
                boots.push(if turn % 2 == 0 {
                    let few = boot(few);
                    (few, boot(many))
                } else {
                    let many = boot(many);
                    (boot(few), many)
                });
            }
        }
        println!(
            "\n{:16} {:>8} {:>8} {:>7} {:>15} {:>7} {:>8} {:>12} {:>12}",
            "512 MiB in all",
            "8: MB/s",
            "64: MB/s",
            "64 / 8",
            "quartiles",
            "8: Jain",
            "64: Jain",
            "server busy",
            "sleds busy"
        );
        for (path, boots) in &paths {
            let all = |figure: &dyn Fn(&(Boot, Boot)) -> f64| sorted(boots.iter().map(figure));
            let of = |figure: &dyn Fn(&(Boot, Boot)) -> f64| all(figure)[TURNS / 2];
            let ratios = all(&|(few, many)| many.rate() / few.rate());
            let busy = |cpu: fn(&Boot) -> Duration| {
                let share = |boot: &Boot| 100.0 * cpu(boot).as_secs_f64() / boot.seconds();
                let [few, many] = [of(&|boots| share(&boots.0)), of(&|boots| share(&boots.1))];
                format!("{few:.0}%, {many:.0}%")
            };
            println!(
                "{:16} {:>8.0} {:>8.0} {:>7.3} {:>15} {:>7.4} {:>8.4} {:>12} {:>12}",
                path.to_string(),
                of(&|boots| boots.0.rate()),
                of(&|boots| boots.1.rate()),
                ratios[TURNS / 2],
                format!("{:.3} to {:.3}", ratios[TURNS / 4], ratios[TURNS - 1 - TURNS / 4]),
                of(&|boots| boots.0.jain),
                of(&|boots| boots.1.jain),
                busy(|boot| boot.cpu),
                busy(|boot| boot.sleds_cpu)
            );
        }
    }

    /// The result of a boot.
    struct Boot {
        bytes: usize,
        frames: u64,
        /// Of the serving thread, and of the sleds'.
        cpu: Duration,
        sleds_cpu: Duration,
        /// From the first HELLO to the last sled's end.
        time: Duration,
        /// The fairness index at the moment when the first sled had everything.
        jain: f64,
    }

    impl Boot {
        fn nanos(&self) -> f64 {
            self.cpu.as_nanos() as f64 / self.frames as f64
        }

        fn seconds(&self) -> f64 {
            self.time.as_secs_f64()
        }

        fn rate(&self) -> f64 {
            self.bytes as f64 / 1e6 / self.seconds()
        }
    }

    fn boot(tx: TxPath, image: &Contents, sleds: u16) -> Boot {
        let mut link = open(NEAR, OpenOptions { tx, ..OpenOptions::default() }).expect("the link");
        let path = link.path().unwrap_or_default();
        // Another path than the one asked for says why in brackets.
        assert!(!path.contains('('), "{tx} does not work here: {path}");
        let clock = Clock::new();
        with_sleds(clock, image, sleds, || {
            let mut server = Server::new(Config::new(link.address(), Serve::All));
            server.set_images(vec![image.clone()]);
            let mut finished = 0;
            serve(clock, link.as_mut(), &mut server, |now, server, _| {
                while let Some(event) = server.poll_event() {
                    let booted = matches!(event.kind, boot_netboot::server::EventKind::Finished(_));
                    finished += u16::from(booted);
                }
                if finished == sleds {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(now + Duration::from_secs(1))
            })
            .expect("the link stays");
            server.counters().data
        })
    }

    fn boot_naively(image: &Contents, file: &File) -> Boot {
        let address = open(NEAR, OpenOptions { tx: TxPath::Mmsg, ..OpenOptions::default() })
            .expect("the link is there")
            .address();
        let mut socket = Naive::open(NEAR).expect("the link is there");
        socket.listen().expect("the link is there");
        let offer = image.offer().expect("an image that can be offered");
        with_sleds(Clock::new(), image, 1, || {
            boot_one(&mut socket, address, file, &offer).expect("no frame is lost")
        })
    }

    /// Runs a server beside `sleds` sleds, and returns how many DATA frames it sent.
    fn with_sleds(
        clock: Clock,
        image: &Contents,
        sleds: u16,
        server: impl FnOnce() -> u64 + Send,
    ) -> Boot {
        let options =
            OpenOptions { all_addresses: true, tx: TxPath::Mmsg, ..OpenOptions::default() };
        let mut far = open(FAR, options).expect("the far end is there");
        thread::scope(|scope| {
            let server = scope.spawn(|| {
                keep_to(0);
                let start = cpu();
                let frames = server();
                (frames, cpu().saturating_sub(start))
            });
            keep_to(1);
            let first = MacAddr::new([2, 0, 0, 0, 1, 1]);
            let sleds = (0..sleds).map(|number| {
                Sled::new(SledConfig {
                    power_on: clock.now(),
                    compare: Some(image.clone()),
                    ..SledConfig::new(first.nth_after(number))
                })
            });
            let mut rack = Sleds::new(sleds.collect());
            let mut fairness = None;
            let start = cpu();
            let end = clock.now() + Duration::from_mins(1);
            serve(clock, far.as_mut(), &mut rack, |now, rack, _| {
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
            let sleds_cpu = cpu().saturating_sub(start);
            let reports = || rack.sleds().iter().map(Sled::report);
            let hello = reports().filter_map(|report| report.hello).min();
            let last: Option<Instant> = reports().filter_map(|report| report.finished).max();
            let time = last.zip(hello).map_or(Duration::ZERO, |(last, hello)| last.since(hello));
            let (frames, cpu) = server.join().expect("the server does not panic");
            let bytes = image.size() * rack.sleds().len();
            assert!(frames >= (bytes / BLOCK) as u64, "{frames} frames");
            Boot { bytes, frames, cpu, sleds_cpu, time, jain: fairness.unwrap_or(0.0) }
        })
    }

    /// Jain's fairness index of what the sleds have: 1 if all have the same.
    fn jain(rack: &Sleds) -> f64 {
        let shares = rack.sleds().iter().map(|sled| sled.report().bytes as f64);
        let (sum, squares) =
            shares.fold((0.0, 0.0), |(sum, squares), share| (sum + share, squares + share * share));
        sum * sum / (rack.sleds().len() as f64 * squares)
    }

    fn image(size: usize) -> Contents {
        let fill = |bytes: &mut [u8]| {
            for (block, number) in bytes.chunks_exact_mut(BLOCK).zip(0_u64..) {
                block.fill(number as u8);
                block[..8].copy_from_slice(&number.to_le_bytes());
            }
        };
        Contents::build(size, size as u64, "", "rpool", fill).expect("there is memory")
    }

    fn median(figures: impl Iterator<Item = f64>) -> f64 {
        let figures = sorted(figures);
        figures[figures.len() / 2]
    }

    fn sorted(figures: impl Iterator<Item = f64>) -> Vec<f64> {
        let mut figures: Vec<_> = figures.collect();
        figures.sort_by(f64::total_cmp);
        figures
    }

    /// Keeps the calling thread on one core: some systems leave both sides on the same one for
    /// many boots.
    fn keep_to(core: usize) {
        let mut own = CpuSet::new();
        own.set(core).expect("there are not that many cores");
        sched_setaffinity(Pid::from_raw(0), &own).expect("a core for each side");
    }

    fn cpu() -> Duration {
        clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("Linux has this clock").into()
    }
}

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
    #[cfg(not(target_os = "linux"))]
    println!("boot: skipped: these ways out are Linux's");
}
