//! The columns of the tables of boots.

use std::time::Duration;

use crate::units::megabytes_per_second;

/// The heading of a table whose rows have two `counts`, and end with a column named `last`.
pub fn heading(counts: [&str; 2], last: &str) -> String {
    let [one, other] = counts;
    columns("sled", ["seconds", "MB/s", one, other], last)
}

/// The row of `name`: the bytes it got and in what time, and two counts, if there are any.
pub fn row(
    name: &str,
    boot: Option<(u64, Duration)>,
    counts: Option<[u64; 2]>,
    last: &str,
) -> String {
    let none = || "-".to_owned();
    let [seconds, rate] = boot.map_or_else(
        || [none(), none()],
        |(bytes, time)| {
            let rate = megabytes_per_second(bytes, time);
            [format!("{:.3}", time.as_secs_f64()), format!("{rate:.0}")]
        },
    );
    let [one, other] =
        counts.map_or_else(|| [none(), none()], |counts| counts.map(|count| count.to_string()));
    columns(name, [&seconds, &rate, &one, &other], last)
}

fn columns(name: &str, [seconds, rate, one, other]: [&str; 4], last: &str) -> String {
    format!("{name:<17} {seconds:>9} {rate:>9} {one:>8} {other:>8}  {last}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_under_their_heading() {
        let time = Duration::from_millis(1500);
        let lines = [
            heading(["again", "early"], "outcome"),
            row("02:00:00:00:00:01", Some((3_000_000, time)), Some([3, 0]), "ok"),
            row("02:00:00:00:00:02", None, Some([3, 0]), "unfinished"),
            row("02:00:00:00:00:03", None, None, "not heard from"),
        ];
        let wanted = [
            "sled                seconds      MB/s    again    early  outcome",
            "02:00:00:00:00:01     1.500         2        3        0  ok",
            "02:00:00:00:00:02         -         -        3        0  unfinished",
            "02:00:00:00:00:03         -         -        -        -  not heard from",
        ];
        assert_eq!(lines, wanted);
    }
}
