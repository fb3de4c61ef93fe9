//! What a frame costs on each way out of the machine, over a veth pair whose far end throws
//! frames away, against a copy and a sendto per frame; and what the whole server adds.
//!
//! Costs are CPU time of the sending thread, in which the far end's share is included. The
//! table at the end comes from rounds in which all variants take turns. What the server adds is
//! what it costs more than sending alone of the same payload, before it or after it by turns:
//! many sleds ask for the same bytes, which then come from a cache.

#[cfg(target_os = "linux")]
#[path = "../../backends/tests/netns/mod.rs"]
mod netns;

#[cfg(target_os = "linux")]
mod linux {
    use std::sync::Barrier;
    use std::thread;
    use std::time::{Duration, Instant};

    use boot_benches::called::Called;
    use boot_benches::cores::keep_to;
    use boot_benches::naive::Naive;
    use boot_benches::sending::{
        FIRST, FRAMES as TURN, Link, PATHS, Sender, image, open, send, served,
    };
    use boot_image::Contents;
    use criterion::{Criterion, Throughput};

    use crate::netns::{NEAR, denied, inside, sent_by};

    /// Turns of each variant, in which it sends the whole image.
    const TURNS: usize = 15;
    /// Sleds that the whole server serves.
    const SLEDS: [u8; 3] = [1, 8, 64];

    pub(crate) fn main() {
        let called = Called::from_env("packet", |_| false);
        if let Some(reason) = denied() {
            println!("packet: left out: {reason}");
            return;
        }
        let image = image();
        if called.criterion {
            inside(1, || singly(&image));
        }
        if called.table {
            inside(1, || alone_in_turns(&image));
            inside(2, || two_in_turns(&image));
        }
    }

    /// Each variant by itself, as criterion measures.
    fn singly(image: &Contents) {
        let mut criterion = Criterion::default()
            .configure_from_args()
            .sample_size(10)
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs(1));
        let mut group = criterion.benchmark_group("packet");
        group.throughput(Throughput::Elements(1));
        let mut naive = Naive::open(NEAR).expect("the link is there");
        let mut sender = Sender::new(image);
        group.bench_function("naive", |b| {
            b.iter_custom(|frames| sender.run(frames as usize, |batch| naive.send(batch).unwrap()));
        });
        for path in PATHS {
            let [mut link] = open::<1>(NEAR, path);
            group.bench_function(path.to_string(), |b| {
                b.iter_custom(|frames| sender.run(frames as usize, |batch| send(&mut link, batch)));
            });
            for sleds in SLEDS {
                group.bench_function(format!("{path}/served/{sleds}"), |b| {
                    b.iter_custom(|frames| served(link.as_mut(), image, sleds, frames as usize));
                });
            }
        }
        group.finish();
        criterion.final_summary();
    }

    /// All variants by turns, and the table.
    fn alone_in_turns(image: &Contents) {
        let mut naive = Naive::open(NEAR).expect("the link is there");
        let mut sender = Sender::new(image);
        let mut table = Table::default();
        let mut added = PATHS.map(|path| (path, SLEDS.map(|sleds| (sleds, Vec::new()))));
        for turn in 0..TURNS {
            let cpu = sender.run(TURN, |batch| naive.send(batch).unwrap());
            table.add("naive", cpu / TURN as u32);
            for (path, added) in &mut added {
                // A queue has one AF_XDP socket at a time.
                let [mut link] = open::<1>(NEAR, *path);
                sender.run(FIRST, |batch| send(&mut link, batch));
                for (sleds, added) in added {
                    let mut bare = |link: &mut Link| {
                        let before = sent_by(NEAR);
                        let cpu = sender.run_for(*sleds, TURN, |batch| send(link, batch));
                        assert_eq!(sent_by(NEAR) - before, TURN as u64, "{path}: frames were lost");
                        cpu
                    };
                    let whole = |link: &mut Link| served(link.as_mut(), image, *sleds, TURN);
                    let (bare, whole) = if turn % 2 == 0 {
                        let bare = bare(&mut link);
                        (bare, whole(&mut link))
                    } else {
                        let whole = whole(&mut link);
                        (bare(&mut link), whole)
                    };
                    if *sleds == 1 {
                        table.add(&path.to_string(), bare / TURN as u32);
                    }
                    let name = format!("{path}, the whole server, {sleds} sleds");
                    table.add(&name, whole / TURN as u32);
                    added.push((whole.as_nanos() as f64 - bare.as_nanos() as f64) / TURN as f64);
                }
            }
        }
        table.print();
        for (path, added) in added {
            for (sleds, mut added) in added {
                added.sort_by(f64::total_cmp);
                let median = added[TURNS / 2];
                println!("{path}: the whole server adds {median:.0} ns a frame, {sleds} sleds");
            }
        }
    }

    /// One worker and two by turns, on a link with a queue for each.
    fn two_in_turns(image: &Contents) {
        let mut table = Table::default();
        let mut speedups = PATHS.map(|path| (path, Vec::new()));
        for _ in 0..TURNS {
            for (path, speedups) in &mut speedups {
                let mut links = open::<2>(NEAR, *path);
                let (single, both) = together(&mut links, image);
                table.add(&format!("{path}, one worker"), single.cpu / (2 * TURN) as u32);
                table.add(&format!("{path}, two workers"), both.cpu / (2 * TURN) as u32);
                speedups.push(single.time.as_secs_f64() / both.time.as_secs_f64());
            }
        }
        table.print();
        for (path, mut speedups) in speedups {
            speedups.sort_by(f64::total_cmp);
            println!("{path}: two workers send {:.2} times as fast as one", speedups[TURNS / 2]);
        }
    }

    /// CPU time per frame of each variant, turn by turn.
    #[derive(Default)]
    struct Table {
        rows: Vec<(String, Vec<Duration>)>,
    }

    impl Table {
        fn add(&mut self, name: &str, per_frame: Duration) {
            match self.rows.iter_mut().find(|row| row.0 == name) {
                Some((_, turns)) => turns.push(per_frame),
                None => self.rows.push((name.to_owned(), vec![per_frame])),
            }
        }

        /// Prints medians, and the median of the ratios within a turn to the first row.
        fn print(&self) {
            let (first, base) = &self.rows[0];
            println!("\n{:36} {:>9} {:>13}  times {first}", "", "ns/frame", "frames/CPU s");
            for (name, turns) in &self.rows {
                let ratio =
                    |(base, own): (&Duration, &Duration)| base.as_secs_f64() / own.as_secs_f64();
                let mut ratios: Vec<_> = base.iter().zip(turns).map(ratio).collect();
                ratios.sort_by(f64::total_cmp);
                let mut turns = turns.clone();
                turns.sort_unstable();
                let median = turns[TURNS / 2];
                println!(
                    "{name:36} {:>9} {:>13.0}  {:.2}",
                    median.as_nanos(),
                    1.0 / median.as_secs_f64(),
                    ratios[TURNS / 2]
                );
            }
        }
    }

    struct Cost {
        cpu: Duration,
        time: Duration,
    }

    /// Two workers at once, each on a core of its own, then one after the other.
    fn together(links: &mut [Link; 2], image: &Contents) -> (Cost, Cost) {
        let barrier = Barrier::new(2);
        let work = |core: usize, link: &mut Link| {
            keep_to(core);
            let mut sender = Sender::new(image);
            sender.run(TURN / 2, |batch| send(link, batch));
            barrier.wait();
            let start = Instant::now();
            let cpu = sender.run(TURN, |batch| send(link, batch));
            (cpu, start, Instant::now())
        };
        let [(cpu, start, end), (more, other_start, other_end)] = thread::scope(|scope| {
            let mut core = 0..;
            let workers = links.each_mut().map(|link| {
                let (work, core) = (&work, core.next().unwrap_or(0));
                scope.spawn(move || work(core, link))
            });
            workers.map(|worker| worker.join().expect("a worker does not panic"))
        });
        let time = end.max(other_end).saturating_duration_since(start.min(other_start));
        let both = Cost { cpu: cpu + more, time };
        let start = Instant::now();
        let cpu = links
            .iter_mut()
            .map(|link| Sender::new(image).run(TURN, |batch| send(link, batch)))
            .sum();
        let single = Cost { cpu, time: start.elapsed() };
        (single, both)
    }
}

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
    #[cfg(not(target_os = "linux"))]
    println!("packet: left out: these ways out are Linux's");
}
