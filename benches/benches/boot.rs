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
    use std::time::Duration;

    use boot_backends::TxPath;
    use boot_benches::boots::{Boot, Ends, boot_over_a_cable};
    use boot_benches::called::Called;
    use boot_benches::images::contents;
    use boot_benches::sending::PATHS;
    use boot_benches::stats::{median, sorted};
    use boot_image::Contents;
    use criterion::{BenchmarkId, Criterion, Throughput};
    use sha2::{Digest, Sha256};

    use crate::netns::{FAR, NEAR, denied, inside};

    const ENDS: Ends = Ends { near: NEAR, far: FAR };
    /// Boots of each variant, of which medians are printed.
    const TURNS: usize = 5;
    /// What one sled boots, and what many boot together.
    const ONE: usize = 256 << 20;
    const ALL: usize = 512 << 20;
    /// What one sled boots while criterion measures.
    const SMALL: usize = 32 << 20;

    pub(crate) fn main() {
        let called = Called::from_env("boot", |_| false);
        let denied = denied();
        if called.criterion {
            over_a_cable();
            if denied.is_none() {
                inside(1, over_a_link);
            }
        }
        if let Some(reason) = denied {
            println!("boot: what goes over a veth pair is left out: {reason}");
        } else if called.table {
            inside(1, against_the_replaced_tool);
            inside(1, many_against_few);
        }
    }

    fn criterion() -> Criterion {
        Criterion::default()
            .configure_from_args()
            .sample_size(10)
            .warm_up_time(Duration::from_secs(1))
            .measurement_time(Duration::from_secs(3))
    }

    /// Whole boots inside this process, beside the hash that each sled computes.
    fn over_a_cable() {
        let mut criterion = criterion();
        let image = contents(SMALL);
        let contents = image.held().expect("it is in memory");
        let mut group = criterion.benchmark_group("boot over a cable");
        group.throughput(Throughput::Bytes(SMALL as u64));
        group.bench_function("floor: the sled's hash", |b| b.iter(|| Sha256::digest(contents)));
        group.bench_function("ours", |b| {
            b.iter_custom(|times| (0..times).map(|_| boot_over_a_cable(&image).time).sum());
        });
        group.finish();
        criterion.final_summary();
    }

    /// Whole boots over a veth pair, beside a model of the replaced tool.
    fn over_a_link() {
        let mut criterion = criterion();
        let image = contents(SMALL);
        let file = file_of(&image);
        let mut group = criterion.benchmark_group("boot over veth");
        group.throughput(Throughput::Bytes(SMALL as u64));
        group.bench_function("peer", |b| {
            b.iter_custom(|times| (0..times).map(|_| ENDS.boot_naively(&image, &file).time).sum());
        });
        for (path, sleds) in PATHS.map(|path| (path, 1)).into_iter().chain([(TxPath::Xdp, 8)]) {
            group.throughput(Throughput::Bytes((SMALL * usize::from(sleds)) as u64));
            group.bench_function(BenchmarkId::new(path.to_string(), sleds), |b| {
                b.iter_custom(|times| {
                    (0..times).map(|_| ENDS.boot(path, &image, sleds).time).sum()
                });
            });
        }
        group.finish();
        criterion.final_summary();
    }

    /// The contents as the replaced tool reads them.
    fn file_of(image: &Contents) -> File {
        let mut file = tempfile::tempfile().expect("there is a place for files");
        let contents = image.held().expect("it is in memory");
        file.write_all(contents).expect("there is room for a file");
        file
    }

    fn against_the_replaced_tool() {
        let image = contents(ONE);
        let file = file_of(&image);
        let mut naive = Vec::new();
        let mut ours = PATHS.map(|path| (path, Vec::new()));
        for _ in 0..TURNS {
            naive.push(ENDS.boot_naively(&image, &file));
            for (path, boots) in &mut ours {
                boots.push(ENDS.boot(*path, &image, 1));
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
        let (few, many) = (contents(ALL / usize::from(FEW)), contents(ALL / usize::from(MANY)));
        let mut paths = PATHS.map(|path| (path, Vec::new()));
        for turn in 0..TURNS {
            for (path, boots) in &mut paths {
                let [few, many] = [(&few, FEW), (&many, MANY)];
                let boot = |(image, sleds)| ENDS.boot(*path, image, sleds);
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
                of(&|boots| boots.0.fairness),
                of(&|boots| boots.1.fairness),
                busy(|boot| boot.cpu),
                busy(|boot| boot.sleds_cpu)
            );
        }
    }
}

fn main() {
    #[cfg(target_os = "linux")]
    linux::main();
    #[cfg(not(target_os = "linux"))]
    println!("boot: left out: these ways out are Linux's");
}
