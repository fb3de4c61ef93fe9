//! The tables of README and docs/performance.md, made of one entry of the history.

use crate::cli::entry::Entry;
use crate::cli::floors;

/// A table that stands in documents between `<!-- track:NAME -->` and `<!-- track -->`.
#[derive(Debug)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    /// The heads of its columns, each with how its cells are aligned.
    columns: &'static [(&'static str, &'static str)],
    rows: fn(&Figures<'_>) -> Option<Vec<Vec<String>>>,
}

/// Every table.
pub(crate) const TABLES: [Table; 5] = [
    Table {
        name: "replaced",
        columns: &[("", "---"), ("replaced tool", "---:"), ("this one", "---:")],
        rows: replaced,
    },
    Table {
        name: "frames",
        columns: &[("", "---"), ("CPU ns per frame", "---:"), ("times the plain loop", "---:")],
        rows: frames,
    },
    Table {
        name: "server",
        columns: &[("sleds", "---:"), ("CPU ns per frame", "---:")],
        rows: server,
    },
    Table { name: "images", columns: &[("", "---"), ("time", "---:"), ("", "---")], rows: images },
    Table {
        name: "floors",
        columns: &[("", "---"), ("found", "---:"), ("deviation", "---:"), ("at most", "---:")],
        rows: held,
    },
];

impl Table {
    /// The table in Markdown; nothing if the entry lacks something for it.
    pub(crate) fn markdown(&self, entry: &Entry) -> Option<String> {
        let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | ")).replace("|  |", "| |");
        let heads = self.columns.iter().map(|column| column.0).collect();
        let rules = self.columns.iter().map(|column| column.1).collect();
        let rows = (self.rows)(&Figures(entry))?;
        let rows = rows.iter().map(|row| line(row.iter().map(String::as_str).collect()));
        Some(line(heads) + &line(rules) + &rows.collect::<String>())
    }
}

/// What tables read.
struct Figures<'a>(&'a Entry);

impl Figures<'_> {
    fn of(&self, name: &str) -> Option<f64> {
        self.0.medians.get(name).copied()
    }

    fn ratio(&self, name: &str) -> Option<f64> {
        self.0.ratio(name)
    }

    /// 10^6 bytes per second of a boot.
    fn rate(&self, boot: &str) -> Option<f64> {
        Some(self.of(&format!("{boot}, bytes"))? / self.of(boot)? / 1e6)
    }

    fn mebibytes(&self, bytes: &str) -> Option<f64> {
        Some(self.of(bytes)? / f64::from(1 << 20))
    }

    /// By how much of a hundred the payload of ours is smaller than the peer's.
    fn smaller(&self, ours: &str) -> Option<String> {
        let percent = 100.0 * (1.0 - self.of(ours)? / self.of("peer pack bytes")?);
        let (word, percent) =
            if percent < 0.0 { ("larger", -percent) } else { ("smaller", percent) };
        Some(format!("{percent:.1}% {word}"))
    }

    /// How long a boot with losses took, or that it never ended.
    fn lossy(&self) -> Option<[String; 2]> {
        let ended = |who: &str| {
            let lost = ["0.1% lost", "1% lost"].map(|loss| self.of(&format!("{loss}, {who}")));
            Some(lost[0]? + lost[1]? == 0.0)
        };
        let word = |all: bool| if all { "boots" } else { "never boots" }.to_owned();
        let [some, more] =
            ["0.1% lost", "1% lost"].map(|loss| self.of(&format!("{loss}, virtual")));
        let ours = word(ended("sleds that do not boot")?);
        let ours = format!("{ours}, in {:.2} s and {:.2} s", some?, more?);
        Some([word(ended("sleds that the model does not boot")?), ours])
    }

    /// How many of eight boot.
    fn booted(&self, who: &str) -> Option<String> {
        let left = self.of(&format!("eight sleds, {who}"))?;
        Some(format!("{} of 8", 8.0 - left))
    }
}

fn row<const CELLS: usize>(cells: [&str; CELLS]) -> Vec<String> {
    cells.map(str::to_owned).to_vec()
}

fn replaced(figures: &Figures<'_>) -> Option<Vec<Vec<String>>> {
    let rate = |boot| Some(format!("{:.0} MB/s", figures.rate(boot)?));
    let seconds = |name| Some(format!("{:.1} s", figures.of(name)?));
    let fast = |name| Some(format!("{:.2} s", figures.of(name)?));
    let cpu = |name| Some(format!("{:.2}", figures.ratio(name)?));
    let [never, boots] = figures.lossy()?;
    let one = figures.mebibytes("model boot, bytes")?;
    let eight = figures.mebibytes("eight boots, bytes")?;
    let raw = figures.mebibytes("raw bytes")?;
    Some(vec![
        row([&format!("one boot of {one:.0} MiB"), &rate("model boot")?, &rate("mmsg boot")?]),
        row([
            &format!("eight sleds at once, {eight:.0} MiB in all"),
            &format!("{} boots", figures.booted("sleds that the model does not boot")?),
            &format!(
                "{}, {} together",
                figures.booted("sleds that do not boot")?,
                rate("eight boots")?
            ),
        ]),
        row(["0.1% or 1% of frames lost, 16 MiB, 1 Gbit/s", &never, &boots]),
        row([
            "CPU time of a boot",
            "1",
            &format!(
                "{} with AF_PACKET, {} with AF_XDP",
                cpu("boot with sendmmsg to the model's, CPU")?,
                cpu("boot with AF_XDP to the model's, CPU")?
            ),
        ]),
        row([
            &format!("compressing {raw:.0} MiB of many kinds"),
            &seconds("peer pack")?,
            &format!("{}, {}", seconds("pack")?, figures.smaller("pack bytes")?),
        ]),
        row(["checking that, compressed", &fast("peer verify")?, &fast("verify")?]),
        row(["a failed `mkimage`", "leaves a broken image", "leaves the old image"]),
    ])
}

fn frames(figures: &Figures<'_>) -> Option<Vec<Vec<String>>> {
    let ways = [
        ("copy and `sendto`", "naive"),
        ("sendmmsg", "mmsg"),
        ("io_uring", "uring"),
        ("AF_XDP", "xdp"),
        ("AF_XDP, the whole server, 1 sled", "served"),
    ];
    let naive = figures.of("naive frame")?;
    let way = |(name, key)| {
        let nanos = figures.of(&format!("{key} frame"))?;
        Some(row([name, &format!("{nanos:.0}"), &format!("{:.2}", naive / nanos)]))
    };
    ways.into_iter().map(way).collect()
}

fn server(figures: &Figures<'_>) -> Option<Vec<Vec<String>>> {
    let racks = [1, 8, 64, 512].map(|sleds| (sleds.to_string(), format!("for {sleds:>3} sleds")));
    let group = ("64, in step".to_owned(), "for a group of 64".to_owned());
    let rack = |(name, key): (String, String)| {
        let nanos = figures.of(&format!("server {key}, frame"))?;
        Some(row([&name, &format!("{nanos:.0}")]))
    };
    racks.into_iter().chain([group]).map(rack).collect()
}

fn images(figures: &Figures<'_>) -> Option<Vec<Vec<String>>> {
    let by = |one: &str, other: &str| Some(figures.of(one)? / figures.of(other)?);
    let raw = figures.mebibytes("raw bytes")?;
    let line = |name: &str, key: &str, beside: String| {
        Some(row([name, &format!("{:.2} s", figures.of(key)?), &beside]))
    };
    let against = |ours: &str, bytes: &str| {
        let times = by("peer pack", ours)?;
        Some(format!("{times:.1} times as fast, {}", figures.smaller(bytes)?))
    };
    let of_hash = |ours: &str| Some(format!("{:.1} times SHA-256", by(ours, "hash")?));
    let payload = format!("{:.0} MiB", figures.mebibytes("peer pack bytes")?);
    let verify = format!("{:.1} times as fast", by("peer verify", "verify")?);
    let name = format!("the peer, compressing {raw:.0} MiB");
    Some(vec![
        line(&name, "peer pack", payload)?,
        line("`mkimage -z`", "pack", against("pack", "pack bytes")?)?,
        line("`mkimage -z --level 6`", "pack level 6", against("pack level 6", "level 6 bytes")?)?,
        line("SHA-256 over the mapped raw images", "hash", String::new())?,
        line("`mkimage`", "pack raw", of_hash("pack raw")?)?,
        line("`lookimage` of those", "verify raw", of_hash("verify raw")?)?,
        line("the peer, checking them compressed", "peer verify", String::new())?,
        line("`lookimage` of compressed ones", "verify", verify)?,
    ])
}

fn held(figures: &Figures<'_>) -> Option<Vec<Vec<String>>> {
    let floor = |&(name, most): &(&str, f64)| {
        let deviation = 100.0 * figures.0.ratio_deviations.get(name)?;
        let found = format!("{:.2}", figures.ratio(name)?);
        Some(row([name, &found, &format!("{deviation:.1}%"), &most.to_string()]))
    };
    floors::FLOORS.iter().map(floor).collect()
}
