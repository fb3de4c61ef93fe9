//! Sizes, rates and times for people.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A number of bytes, shown in binary units: `512 MiB`, `1.5 GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes(pub u64);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
        if self.0 < 1024 {
            return write!(f, "{} B", self.0);
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < UNITS.len() {
            value /= 1024.0;
            unit += 1;
        }
        let whole = (value - value.round()).abs() < 0.05;
        write!(f, "{value:.*} {}", usize::from(!whole), UNITS[unit])
    }
}

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const UNITS: [(&str, u32); 4] = [("k", 10), ("m", 20), ("g", 30), ("t", 40)];
        let lower = text.to_ascii_lowercase();
        let plain =
            lower.strip_suffix("ib").or(lower.strip_suffix('b')).unwrap_or(&lower).trim_end();
        let unit = UNITS.iter().find_map(|(unit, shift)| Some((plain.strip_suffix(unit)?, *shift)));
        let (number, shift) = unit.unwrap_or((plain, 0));
        let number = number.trim_end().parse::<u64>().ok();
        match number.and_then(|number| number.checked_mul(1 << shift)) {
            Some(bytes) if bytes > 0 => Ok(Self(bytes)),
            _ => Err("a size is a whole number with a unit, as in 500MiB or 16G".to_owned()),
        }
    }
}

/// Bits per second, as in `9.4Gbit` or `100Mbit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BitRate(u64);

impl BitRate {
    /// The number.
    pub const fn bits_per_second(self) -> u64 {
        self.0
    }
}

impl BitRate {
    /// As many as `bits` per second.
    pub const fn new(bits: u64) -> Self {
        Self(bits)
    }
}

impl fmt::Display for BitRate {
    /// In the largest unit that it fills, with three digits behind the point at most.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 3] =
            [("Gbit", 1_000_000_000), ("Mbit", 1_000_000), ("kbit", 1000)];
        let unit = UNITS.into_iter().find(|(_, size)| self.0 >= *size);
        let (unit, size) = unit.unwrap_or(("bit", 1));
        let value = format!("{:.3}", self.0 as f64 / size as f64);
        write!(f, "{}{unit}", value.trim_end_matches('0').trim_end_matches('.'))
    }
}

impl FromStr for BitRate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const UNITS: [(&str, f64); 4] = [("gbit", 1e9), ("mbit", 1e6), ("kbit", 1e3), ("bit", 1.0)];
        let lower = text.to_ascii_lowercase();
        let lower = lower.strip_suffix("/s").unwrap_or(&lower);
        let unit =
            UNITS.iter().find_map(|(unit, factor)| Some((lower.strip_suffix(unit)?, factor)));
        let rate = unit.and_then(|(number, factor)| Some(number.parse::<f64>().ok()? * factor));
        match rate {
            Some(rate) if (1.0..1e15).contains(&rate) => Ok(Self(rate as u64)),
            _ => Err("a rate is a number with a unit, as in 9.4Gbit or 100Mbit".to_owned()),
        }
    }
}

/// Decimal megabytes per second, for `bytes` moved in `time`; zero if no time has passed.
pub fn megabytes_per_second(bytes: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { bytes as f64 / 1e6 / time.as_secs_f64() }
}

/// How often, in words.
#[derive(Clone, Copy, Debug)]
pub struct Times(pub u64);

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1 => f.write_str("once"),
            times => write!(f, "{times} times"),
        }
    }
}

/// A count with its noun, in the singular or plural.
#[derive(Clone, Copy, Debug)]
pub struct Plural<'a>(pub u64, pub &'a str);

impl fmt::Display for Plural<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(count, noun) = self;
        let ending = if *count == 1 { "" } else { "s" };
        write!(f, "{count} {noun}{ending}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_with_their_unit() {
        for (text, rate) in [("9.4Gbit", 9_400_000_000), ("100mbit/s", 100_000_000), ("8bit", 8)] {
            assert_eq!(text.parse(), Ok(BitRate(rate)));
        }
        for text in ["9.4Gbit", "100Mbit", "10.387Mbit", "8bit", "2kbit"] {
            assert_eq!(text.parse::<BitRate>().unwrap().to_string(), text);
        }
        for text in ["", "5", "Gbit", "0Gbit", "-1Gbit", "nanGbit", "1e99Gbit"] {
            text.parse::<BitRate>().unwrap_err();
        }
    }

    #[test]
    fn sizes_are_read_in_binary_units() {
        let sizes = [("1", 1), ("64k", 64 << 10), ("500MiB", 500 << 20), ("16G", 16 << 30)];
        for (text, bytes) in sizes.into_iter().chain([("2 TB", 2 << 40), ("7B", 7)]) {
            assert_eq!(text.parse(), Ok(Bytes(bytes)), "{text}");
        }
        for text in ["", "G", "0", "-1G", "1.5G", "99999999T", "5X"] {
            text.parse::<Bytes>().unwrap_err();
        }
    }

    #[test]
    fn bytes_are_shown_in_the_largest_unit_that_they_fill() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (512 << 20, "512 MiB"),
            (3 << 29, "1.5 GiB"),
            (u64::MAX, "16777216 TiB"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
